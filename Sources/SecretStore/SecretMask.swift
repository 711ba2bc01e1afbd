// What this is: the mask over secrets in a stream: whatever is part of one of their forms becomes `***`.
// Owns: what is held back until it is certain; one search for each way of writing.
// Never: lets a part of a form out, however the stream is cut into pieces; alters anything else.
// On failure: nothing here fails.
import JobModel

public struct SecretMask: Sendable {
    public static let sign = "***"
    fileprivate let plain: PatternTree
    fileprivate let wrapped: PatternTree
    /// Bytes with which a form, or an escape, begins.
    fileprivate let mayBegin: [Bool]
    public let isEmpty: Bool

    public init(_ secrets: [[UInt8]]) {
        var plain: Set<[UInt8]> = [], wrapped: Set<[UInt8]> = []
        for forms in secrets.map(MaskForms.forms) {
            plain.formUnion(forms.plain)
            wrapped.formUnion(forms.wrapped)
        }
        self.plain = PatternTree(plain)
        self.wrapped = PatternTree(wrapped, skipping: [0x0A, 0x0D, 0x20, 0x09])
        isEmpty = plain.isEmpty
        var mayBegin = [Bool](repeating: false, count: 256)
        for byte in self.plain.beginnings + self.wrapped.beginnings + Array("%\\&".utf8) {
            mayBegin[Int(byte)] = true
        }
        self.mayBegin = mayBegin
    }

    public func masked(_ text: String) -> String {
        guard !isEmpty else { return text }
        let stream = MaskedStream(self)
        let bytes = stream.pass(Array(text.utf8)) + stream.finish()
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// One stream.
public final class MaskedStream: OutputFilter {
    private let mask: SecretMask
    private var plain = PatternTree.Search()
    /// Of the plain forms as well, each with escapes of one kind. Until an escape comes it would say what `plain` says, and rests.
    private var escaped: [PatternTree.Search] = [
        .init(.percent), .init(.form), .init(.backslash), .init(.entity), .init(.percent, twice: true),
        .init(.backslash, twice: true),
    ]
    private var isAwake = [Bool](repeating: false, count: 6)
    private var wrapped = PatternTree.Search()
    /// Not given on yet, from `start` on.
    private var held: [UInt8] = []
    private var start = 0
    /// Of each byte in `held`: whether it is part of a secret.
    private var isCovered: [Bool] = []
    /// The same of the byte that was given on last.
    private var wasCovered = false

    public init(_ mask: SecretMask) { self.mask = mask }

    public func pass(_ bytes: [UInt8]) -> [UInt8] {
        guard !mask.isEmpty else { return bytes }
        var out: [UInt8] = []
        var rest = bytes[...]
        while let byte = rest.first {
            if held.isEmpty {
                let count = harmless(rest)
                if count > 0 {
                    out += rest.prefix(count)
                    rest = rest.dropFirst(count)
                    wasCovered = false
                    continue
                }
            }
            rest = rest.dropFirst()
            take(byte)
            let end = open
            // All of it, so that the next bytes can be passed; a part of it not with each byte.
            if end - start == held.count || held.count > 1 << 16 { release(before: end, to: &out) }
        }
        release(before: open, to: &out)
        return out
    }

    public func finish() -> [UInt8] {
        var out: [UInt8] = []
        release(before: start + held.count, to: &out)
        return out
    }

    /// Passes over what can be part of nothing.
    private func harmless(_ bytes: ArraySlice<UInt8>) -> Int {
        let count = mask.mayBegin.withUnsafeBufferPointer { mayBegin in
            bytes.withUnsafeBufferPointer { bytes in
                var count = 0
                while count < bytes.count, !mayBegin[Int(bytes[count])] { count += 1 }
                return count
            }
        }
        plain.advance(count)
        wrapped.advance(count)
        start += count
        return count
    }

    private func take(_ byte: UInt8) {
        held.append(byte)
        isCovered.append(false)
        for index in escaped.indices {
            if !isAwake[index] {
                guard escaped[index].isEscape(byte) else { continue }
                escaped[index].follow(plain)
                isAwake[index] = true
            }
            escaped[index].take(byte, mask.plain, cover)
            if escaped[index].isAtRest { isAwake[index] = false }
        }
        plain.take(byte, mask.plain, cover)
        wrapped.take(byte, mask.wrapped, cover)
    }
    private func cover(_ place: ClosedRange<Int>) {
        for index in max(0, place.lowerBound - start)...(place.upperBound - start) { isCovered[index] = true }
    }

    /// Before this everything is certain.
    private var open: Int {
        var open = min(plain.open(mask.plain), wrapped.open(mask.wrapped))
        for index in escaped.indices where isAwake[index] {
            open = min(open, escaped[index].open(mask.plain))
        }
        return open
    }

    private func release(before end: Int, to out: inout [UInt8]) {
        let count = end - start
        guard count > 0 else { return }
        for index in 0..<count {
            if !isCovered[index] {
                out.append(held[index])
            } else if !wasCovered {
                out += Array(SecretMask.sign.utf8)
            }
            wasCovered = isCovered[index]
        }
        held.removeFirst(count)
        isCovered.removeFirst(count)
        start = end
    }
}
