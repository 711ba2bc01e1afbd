// What this is: bytes that nobody else is to see: pages of their own, not swapped, not in a core dump, wiped at the end.
// Owns: one mapping.
// Never: copies itself; is printed.
// On failure: where memory may not be locked it serves unlocked (RLIMIT_MEMLOCK is small on some hosts); wiping always works.
import Glibc

public final class SecretBytes: @unchecked Sendable, CustomStringConvertible {
    private let base: UnsafeMutableRawPointer
    private let length: Int
    private let isMapped: Bool
    public private(set) var count: Int
    public var description: String { "SecretBytes(\(count))" }

    /// Zeros, for `fill`.
    public init(capacity: Int) {
        let page = 4096
        length = max(1, (capacity + page - 1) / page) * page
        count = capacity
        let mapped = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let mapped, mapped != MAP_FAILED else {
            // Without pages of its own it is plain memory, wiped all the same.
            isMapped = false
            base = .allocate(byteCount: length, alignment: 16)
            base.initializeMemory(as: UInt8.self, repeating: 0, count: length)
            return
        }
        isMapped = true
        base = mapped
        // Either may be refused; see the head.
        _ = mlock(base, length)
        _ = madvise(base, length, 16)  // MADV_DONTDUMP, a macro that Swift cannot read
    }
    /// Takes the bytes over and wipes those that were given, as far as they are not shared.
    public convenience init(taking bytes: inout [UInt8]) {
        self.init(capacity: bytes.count)
        bytes.withUnsafeMutableBytes { raw in
            if let from = raw.baseAddress { memcpy(base, from, raw.count) }
            SecretBytes.wipe(raw)
        }
        bytes.removeAll()
    }
    public convenience init(copying bytes: some Collection<UInt8>) {
        self.init(capacity: bytes.count)
        UnsafeMutableRawBufferPointer(start: base, count: count).copyBytes(from: bytes)
    }
    deinit {
        SecretBytes.wipe(UnsafeMutableRawBufferPointer(start: base, count: length))
        if isMapped { munmap(base, length) } else { base.deallocate() }
    }

    public func withBytes<Out, Failed: Error>(_ body: (UnsafeRawBufferPointer) throws(Failed) -> Out)
        throws(Failed) -> Out
    {
        try body(UnsafeRawBufferPointer(start: base, count: count))
    }
    public func withMutableBytes(_ body: (UnsafeMutableRawBufferPointer) -> Void) {
        body(UnsafeMutableRawBufferPointer(start: base, count: count))
    }

    /// Zeros that no compiler leaves out.
    public static func wipe(_ buffer: UnsafeMutableRawBufferPointer) {
        guard let base = buffer.baseAddress else { return }
        explicit_bzero(base, buffer.count)
    }
    public static func wipe(_ bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBytes { wipe($0) }
        bytes.removeAll()
    }
}
