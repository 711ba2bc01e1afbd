// What this is: inotify: hints that a directory changed.
// Owns: one inotify descriptor and the table of its watches.
// Never: is believed: names are hints, the directory is the truth; overflow says "look at everything".
// On failure: SystemError when a watch cannot be added (fs.inotify.max_user_watches).
import Glibc

public final class DirectoryWatch {
    public enum Hint: Hashable, Sendable {
        /// A finished arrival: renamed into the directory.
        case movedIn(name: String)
        /// Closed after writing.
        case closed(name: String)
        /// A name appeared: being written, or linked in.
        case appeared(name: String)
        /// A name went: removed or renamed away. Only where it was asked for.
        case removed(name: String)
        /// The directory itself was renamed, or its watch ended. A removal is not told while we hold it open: watch
        /// its parent for that.
        case gone
    }
    public struct Report: Sendable {
        public var hints: [(tag: Int, hint: Hint)] = []
        /// Events were lost: scan everything.
        public var overflowed = false
    }

    public let fd: Int32
    private var tags: [Int32: Int] = [:]
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)

    public init() throws(SystemError) {
        fd = Int32(
            try SystemCalls.plain("inotify_init1") { Int(inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))) })
    }
    deinit {
        close(fd)
        buffer.deallocate()
    }

    /// Watches the directory that `directory` holds open, whatever its path names by now.
    public func add(_ directory: Directory, tag: Int, removals: Bool = false) throws(SystemError) {
        let mask =
            UInt32(IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)
            | UInt32(IN_ONLYDIR) | UInt32(bitPattern: Int32(IN_EXCL_UNLINK))
            | (removals ? UInt32(IN_DELETE | IN_MOVED_FROM) : 0)
        let path = "/proc/self/fd/\(directory.fd)/."
        let watch = try SystemCalls.plain("inotify_add_watch", directory.path) {
            Int(inotify_add_watch(fd, path, mask))
        }
        tags[Int32(watch)] = tag
    }
    /// How many directories are watched.
    public var count: Int { tags.count }
    /// Forgets the watches of a tag; events of it that are still queued are dropped.
    public func remove(tag: Int) {
        for (watch, owner) in tags where owner == tag {
            tags[watch] = nil
            // The watch may be gone already with its directory, which is the reason for removing it.
            _ = inotify_rm_watch(fd, watch)
        }
    }

    /// Takes what is queued now, without waiting.
    public func drain() throws(SystemError) -> Report {
        var report = Report()
        while true {
            do {
                let count = try SystemCalls.plain("read", "inotify") {
                    read(fd, buffer.baseAddress, buffer.count)
                }
                guard count > 0 else { return report }
                take(count, into: &report)
            } catch  where error.errno == EAGAIN {
                return report
            }
        }
    }

    // struct inotify_event: s32 watch, u32 mask, u32 cookie, u32 length, name padded with NUL.
    private func take(_ count: Int, into report: inout Report) {
        var offset = 0
        while offset + 16 <= count {
            let watch = buffer.load(fromByteOffset: offset, as: Int32.self)
            let mask = buffer.load(fromByteOffset: offset + 4, as: UInt32.self)
            let length = Int(buffer.load(fromByteOffset: offset + 12, as: UInt32.self))
            if mask & UInt32(IN_Q_OVERFLOW) != 0 {
                report.overflowed = true
            } else if let tag = tags[watch] {
                let bytes = buffer[(offset + 16)..<min(offset + 16 + length, count)].prefix { $0 != 0 }
                if let hint = hint(mask, Array(bytes).withUnsafeBufferPointer(RawName.text)) {
                    report.hints.append((tag, hint))
                }
            }
            offset += 16 + length
        }
    }
    private func hint(_ mask: UInt32, _ name: String) -> Hint? {
        if mask & UInt32(IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT) != 0 { return .gone }
        if name.isEmpty { return nil }
        if mask & UInt32(IN_DELETE | IN_MOVED_FROM) != 0 { return .removed(name: name) }
        if mask & UInt32(IN_MOVED_TO) != 0 { return .movedIn(name: name) }
        if mask & UInt32(IN_CLOSE_WRITE) != 0 { return .closed(name: name) }
        return mask & UInt32(IN_CREATE) != 0 ? .appeared(name: name) : nil
    }
}
