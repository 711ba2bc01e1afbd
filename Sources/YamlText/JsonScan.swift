// JsonScan: one pass over a text that should be JSON, for its escapes only.
// Owns: what may stand outside of strings, and where surrogate pairs are.
// Never: checks the grammar of JSON; the parser does that afterwards.
// On failure: `run` gives false for a text that cannot be JSON.
// It runs only after a first parse has failed at an escape.

/// One pass over a text that should be JSON: finds pairs and the control characters in escapes.
struct JsonScan {
    struct Pair {
        var offset: Int
        var scalar: UInt32
    }

    private let bytes: [UInt8]
    private var index = 0
    /// The last byte outside of strings that is no blank.
    private var previous = UInt8(ascii: ",")
    private(set) var pairs: [Pair] = []
    private(set) var controls: Set<UInt8> = []

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// False when something outside of strings cannot be JSON.
    mutating func run() -> Bool {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { index = 3 }
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""):
                guard "{[,:".utf8.contains(previous), string() else { return false }
            case UInt8(ascii: ":"):
                guard previous == UInt8(ascii: "\"") else { return false }
                take()
            case 0x20, 0x09, 0x0A, 0x0D: index += 1
            case let byte where Self.isOutside(byte): take()
            default: return false
            }
        }
        return true
    }

    private mutating func take() {
        previous = bytes[index]
        index += 1
    }

    /// True for what numbers, words, brackets and commas are made of.
    private static func isOutside(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
        default: "E+-.,[]{}".utf8.contains(byte)
        }
    }

    /// Reads a string from its quote to behind the closing one; false when it is never closed.
    private mutating func string() -> Bool {
        take()
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""):
                take()
                return true
            case UInt8(ascii: "\\"): escape()
            default: index += 1
            }
        }
        return false
    }

    private mutating func escape() {
        guard let unit = unit(at: index) else {
            index += 2
            return
        }
        if unit < 0x20 { controls.insert(UInt8(unit)) }
        let isHigh = (0xD800...0xDBFF).contains(unit)
        guard isHigh, let low = self.unit(at: index + 6), (0xDC00...0xDFFF).contains(low) else {
            index += 6
            return
        }
        pairs.append(Pair(offset: index, scalar: 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)))
        index += 12
    }

    /// The value of a `\uXXXX` escape at `start`, or nil for anything else.
    private func unit(at start: Int) -> UInt32? {
        guard start + 6 <= bytes.count, bytes[start] == UInt8(ascii: "\\"),
            bytes[start + 1] == UInt8(ascii: "u")
        else { return nil }
        var value: UInt32 = 0
        for byte in bytes[(start + 2)..<(start + 6)] {
            guard let digit = CoreSchema.digitValue(byte) else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }
}
