// What this is: age files of any length, written and read a chunk at a time (C2SP age v1, not armored).
// Owns: the header in front, the chunk that waits until it is known whether it is the last.
// Never: keeps more than a chunk; makes known that there was an end before the last chunk was right.
// On failure: AgeProblem, or what the taker or the file threw; what was given before is true, and what is missing is not known.
import Crypto
import LinuxSystem

public final class AgeSealer {
    public typealias Taker = (UnsafeRawBufferPointer) throws -> Void
    private let take: Taker
    /// What reads the file back.
    public let fileKey: AgeFileKey
    private var payload: AgePayload
    private var waiting: [UInt8] = []

    /// Gives the header at once.
    public init(to recipients: [AgeRecipient], _ take: @escaping Taker) throws {
        self.take = take
        fileKey = AgeFileKey()
        let nonce = AgeFile.random(AgePayload.nonceBytes)
        payload = fileKey.payload(nonce)
        waiting.reserveCapacity(AgePayload.chunk)
        let head = try AgeFile.header(fileKey, recipients) + nonce
        try head.withUnsafeBytes(take)
    }
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            // A full chunk is the last if nothing follows: it waits for what comes.
            if waiting.count == AgePayload.chunk { try flush(isLast: false) }
            let part = rest.prefix(AgePayload.chunk - waiting.count)
            waiting += part
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part.count))
        }
    }
    public func finish() throws { try flush(isLast: true) }

    private func flush(isLast: Bool) throws {
        var sealed: [UInt8] = []
        sealed.reserveCapacity(AgePayload.whole)
        try waiting.withUnsafeBytes { plain in
            try payload.seal(plain, isLast: isLast) { box in
                sealed += box.ciphertext
                sealed += box.tag
            }
        }
        waiting.removeAll(keepingCapacity: true)
        try sealed.withUnsafeBytes(take)
    }
}

public final class AgeOpener {
    private let file: OpenFile
    private var payload: AgePayload
    private var offset: Int
    private let end: Int
    private let sealed = UnsafeMutableRawBufferPointer.allocate(
        byteCount: AgePayload.whole, alignment: 16)
    private let plain = UnsafeMutableRawBufferPointer.allocate(byteCount: AgePayload.chunk, alignment: 16)
    /// What of `plain` was not given yet.
    private var rest = 0..<0
    /// The last chunk was there, and right.
    public private(set) var isAtEnd = false

    public static func isAge(_ file: OpenFile) throws(SystemError) -> Bool {
        try file.read(upTo: AgeHeader.version.count) == AgeHeader.version
    }
    public convenience init(_ file: OpenFile, _ identities: [AgeIdentity]) throws {
        try self.init(file) { header throws(AgeProblem) in try AgeFile.fileKey(header, identities) }
    }
    public convenience init(_ file: OpenFile, _ key: AgeFileKey) throws {
        try self.init(file) { header throws(AgeProblem) in
            try AgeFile.check(header, key)
            return key
        }
    }
    private init(_ file: OpenFile, _ key: (AgeHeader) throws(AgeProblem) -> AgeFileKey) throws {
        self.file = file
        let bytes = try file.read(upTo: AgeHeader.longest)
        let (header, start) = try AgeHeader.read(bytes)
        let key = try key(header)
        let nonce = try file.read(upTo: AgePayload.nonceBytes, from: start)
        guard nonce.count == AgePayload.nonceBytes else {
            throw AgeProblem(.header, "the file ends behind its header")
        }
        payload = key.payload(nonce)
        offset = start + nonce.count
        end = try file.status().size
    }
    deinit {
        sealed.deallocate()
        plain.deallocate()
    }

    /// The next bytes of what was encrypted; 0 at its end, which was proved then.
    public func read(into target: UnsafeMutableRawBufferPointer) throws -> Int {
        if rest.isEmpty {
            if isAtEnd { return 0 }
            try next()
        }
        let count = min(rest.count, target.count)
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: plain[rest.prefix(count)]))
        rest = rest.dropFirst(count)
        return count
    }
    private func next() throws {
        var count = 0
        let wanted = min(AgePayload.whole, max(0, end - offset))
        while count < wanted {
            let got = try file.read(
                into: UnsafeMutableRawBufferPointer(rebasing: sealed[count..<wanted]), from: offset + count)
            guard got > 0 else { break }
            count += got
        }
        offset += count
        let isLast = offset >= end, opened = max(0, count - AgePayload.tag)
        try payload.open(
            UnsafeRawBufferPointer(rebasing: sealed[..<count]), isLast: isLast,
            into: UnsafeMutableRawBufferPointer(rebasing: plain[..<opened]))
        rest = 0..<opened
        isAtEnd = isLast
    }
}
