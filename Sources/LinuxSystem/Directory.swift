// What this is: an open directory; names below it are single components, never paths.
// Owns: opening, listing, renaming, removing and syncing relative to one held descriptor.
// Never: follows a symbolic link, replaces an existing file by rename.
// On failure: SystemError with directory and name.
import CLinux
import Glibc

public final class Directory: Sendable {
    public let fd: Int32
    /// The path it was opened by: for messages and for watches, never to reach a file again.
    public let path: String

    public static func open(_ path: String) throws(SystemError) -> Directory {
        let fd = try SystemCalls.wrapped("open", path) {
            RawName.withPointer(path) { bb_openat(AT_FDCWD, $0, O_RDONLY | O_DIRECTORY, 0) }
        }
        return Directory(fd: fd, path: path)
    }
    /// The directory that a path's last component is in, and that component.
    public static func holding(_ path: String) throws(SystemError) -> (directory: Directory, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (try open("."), path) }
        let folder = slash == path.startIndex ? "/" : String(path[..<slash])
        return (try open(folder), String(path[path.index(after: slash)...]))
    }
    init(fd: Int32, path: String) {
        self.fd = fd
        self.path = path
    }
    deinit { close(fd) }

    /// A directory below this one, reached without symbolic links or leaving the file system.
    public func directory(_ relative: String) throws(SystemError) -> Directory {
        let fd = try SystemCalls.wrapped("openat2", label(relative)) {
            RawName.withPointer(relative) { bb_openat_beneath(self.fd, $0, O_RDONLY | O_DIRECTORY, 0) }
        }
        return Directory(fd: fd, path: label(relative))
    }
    /// One that may be entered but not read: for what is known by name in it.
    public func directoryToEnter(_ relative: String) throws(SystemError) -> Directory {
        let fd = try SystemCalls.wrapped("openat2", label(relative)) {
            RawName.withPointer(relative) {
                bb_openat_beneath(self.fd, $0, Int32(BB_O_PATH) | O_DIRECTORY, 0)
            }
        }
        return Directory(fd: fd, path: label(relative))
    }
    /// Whether this account may make names in it.
    public var isWritable: Bool { faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) == 0 }
    public func setMode(_ mode: UInt32) throws(SystemError) {
        _ = try SystemCalls.plain("fchmod", path) { Int(fchmod(fd, mode)) }
    }
    public func setGroup(_ gid: UInt32) throws(SystemError) {
        _ = try SystemCalls.plain("fchown", path) { Int(fchown(fd, ~0, gid)) }
    }
    /// Whether rights beyond the mode are set on it.
    public func hasACL() throws(SystemError) -> Bool {
        try SystemCalls.wrapped("fgetxattr", path) { bb_has_acl(fd) } > 0
    }
    /// Lets one other account do in it whatever its owner may.
    public func share(with uid: UInt32) throws(SystemError) {
        _ = try SystemCalls.wrapped("fsetxattr", path) { bb_share_with(fd, uid) }
    }

    /// The directory, made with `mode` if it is missing.
    public func makeDirectory(_ name: String, mode: UInt32 = 0o755) throws(SystemError) -> Directory {
        try checkSingle(name)
        do {
            _ = try SystemCalls.plain("mkdirat", label(name), changes: .makeDirectory(in: fd, name: name)) {
                RawName.withPointer(name) { Int(mkdirat(fd, $0, mode)) }
            }
        } catch  where error.isExisting {}
        return try directory(name)
    }

    public func openForReading(_ name: String) throws(SystemError) -> OpenFile {
        // O_NONBLOCK: neither a FIFO nor somebody's lease may hold us (reliability.md, findings 7 and I8).
        try open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0)
    }
    public func create(_ name: String, mode: UInt32 = 0o644) throws(SystemError) -> OpenFile {
        try open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
    }
    public func openForAppending(_ name: String, mode: UInt32 = 0o644) throws(SystemError) -> OpenFile {
        try open(name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, mode)
    }
    /// For reading and writing in place, made if missing.
    public func openForUpdate(_ name: String, mode: UInt32 = 0o644) throws(SystemError) -> OpenFile {
        try open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode)
    }
    private func open(_ name: String, _ flags: Int32, _ mode: UInt32) throws(SystemError) -> OpenFile {
        if flags & O_CREAT != 0 { try checkSingle(name) }
        let opened = try SystemCalls.wrapped(
            "openat", label(name), changes: makes(name, flags) ? .create(directory: fd, name: name) : nil
        ) {
            RawName.withPointer(name) { bb_openat(fd, $0, flags, mode) }
        }
        return OpenFile(fd: opened, label: name)
    }

    /// What makes, moves or removes takes one name: a slash in it, however it is dressed, would lead elsewhere.
    private func checkSingle(_ name: String) throws(SystemError) {
        guard !name.utf8.contains(0x2F), name != "..", name != "." else {
            throw SystemError("name", label(name), errno: EINVAL)
        }
    }

    /// Whether opening with these flags brings a file into being.
    private func makes(_ name: String, _ flags: Int32) -> Bool {
        var status = bb_status()
        return flags & O_CREAT != 0 && RawName.withPointer(name) { bb_status(fd, $0, &status) } < 0
    }

    public func status(_ name: String) throws(SystemError) -> FileStatus {
        try FileStatus.read(fd, name, label(name))
    }
    public func status() throws(SystemError) -> FileStatus { try FileStatus.read(fd, "", path) }
    /// The status, or nil where the name is free.
    public func statusIfPresent(_ name: String) throws(SystemError) -> FileStatus? {
        do { return try status(name) } catch  where error.isMissing { return nil }
    }

    /// Renames without ever replacing: EEXIST when the target is taken.
    public func rename(_ name: String, to target: Directory, _ newName: String) throws(SystemError) {
        try checkSingle(name)
        try checkSingle(newName)
        _ = try SystemCalls.wrapped(
            "renameat2", "\(label(name)) -> \(target.label(newName))",
            changes: .rename(from: fd, name, to: target.fd, newName)
        ) {
            RawName.withPointer(name) { old in
                RawName.withPointer(newName) {
                    bb_renameat2(fd, old, target.fd, $0, UInt32(BB_RENAME_NOREPLACE))
                }
            }
        }
    }
    /// Renames over whatever is there: only for files that are rewritten whole (settings, counters, metrics).
    public func renameReplacing(_ name: String, to target: Directory, _ newName: String) throws(SystemError) {
        try checkSingle(name)
        try checkSingle(newName)
        _ = try SystemCalls.wrapped(
            "renameat2", "\(label(name)) -> \(target.label(newName))",
            changes: .rename(from: fd, name, to: target.fd, newName)
        ) {
            RawName.withPointer(name) { old in
                RawName.withPointer(newName) { bb_renameat2(fd, old, target.fd, $0, 0) }
            }
        }
    }
    /// A second name of a file; never over another.
    public func link(_ name: String, to target: Directory, _ newName: String) throws(SystemError) {
        try checkSingle(name)
        try checkSingle(newName)
        _ = try SystemCalls.plain("linkat", "\(label(name)) -> \(target.label(newName))") {
            RawName.withPointer(name) { old in
                RawName.withPointer(newName) { Int(linkat(fd, old, target.fd, $0, 0)) }
            }
        }
    }
    /// Two names change places, at once: files or directories, which must both be there.
    public func exchange(_ name: String, with target: Directory, _ other: String) throws(SystemError) {
        try checkSingle(name)
        try checkSingle(other)
        _ = try SystemCalls.wrapped("renameat2", "\(label(name)) <-> \(target.label(other))") {
            RawName.withPointer(name) { one in
                RawName.withPointer(other) {
                    bb_renameat2(fd, one, target.fd, $0, UInt32(BB_RENAME_EXCHANGE))
                }
            }
        }
    }
    public func remove(_ name: String) throws(SystemError) {
        try checkSingle(name)
        _ = try SystemCalls.plain("unlinkat", label(name), changes: .remove(from: fd, name)) {
            RawName.withPointer(name) { Int(unlinkat(fd, $0, 0)) }
        }
    }
    public func removeIfPresent(_ name: String) throws(SystemError) {
        do { try remove(name) } catch  where error.isMissing {}
    }
    public func removeDirectory(_ name: String) throws(SystemError) {
        _ = try SystemCalls.plain("unlinkat", label(name), changes: .remove(from: fd, name)) {
            RawName.withPointer(name) { Int(unlinkat(fd, $0, AT_REMOVEDIR)) }
        }
    }
    public func sync() throws(SystemError) {
        _ = try SystemCalls.plain("fsync", path, changes: .sync(fd)) { Int(fsync(fd)) }
    }
    /// Syncs the whole file system this directory is on.
    public func syncFileSystem() throws(SystemError) {
        _ = try SystemCalls.wrapped("syncfs", path, changes: .syncAll) { bb_syncfs(fd) }
    }

    public func fileSystem() throws(SystemError) -> FileSystemFacts {
        var raw = bb_filesystem()
        _ = try SystemCalls.wrapped("fstatfs", path) { bb_filesystem(fd, &raw) }
        return FileSystemFacts(raw)
    }

    /// Every name but `.` and `..`, in directory order.
    public func names() throws(SystemError) -> [String] {
        var names: [String] = []
        try forEachName { names.append($0) }
        return names
    }
    /// The same, with what the directory itself says of each: whether it is surely a regular file. False: ask for its status.
    public func entries() throws(SystemError) -> [(name: String, isFile: Bool)] {
        var found: [(name: String, isFile: Bool)] = []
        try forEachEntry { found.append(($0, $1 == Directory.regular)) }
        return found
    }
    private static let regular = UInt8(DT_REG)

    /// Calls `body` for each name.
    public func forEachName(_ body: (String) -> Void) throws(SystemError) {
        try forEachEntry { name, _ in body(name) }
    }
    /// The listing is read through a descriptor of its own, so calls do not disturb each other.
    private func forEachEntry(_ body: (String, UInt8) -> Void) throws(SystemError) {
        let listing = try SystemCalls.wrapped("openat", path) {
            bb_openat(fd, ".", O_RDONLY | O_DIRECTORY, 0)
        }
        defer { close(listing) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)
        defer { buffer.deallocate() }
        while true {
            let filled = try SystemCalls.wrapped("getdents64", path) {
                bb_getdents(listing, buffer.baseAddress, UInt32(buffer.count))
            }
            guard filled > 0 else { return }
            Directory.entries(buffer, Int(filled), body)
        }
    }
    // struct linux_dirent64: u64 inode, s64 offset, u16 record length, u8 type, name with a final NUL.
    private static func entries(
        _ buffer: UnsafeMutableRawBufferPointer, _ filled: Int, _ body: (String, UInt8) -> Void
    ) {
        var offset = 0
        while offset + 19 <= filled, let base = buffer.baseAddress {
            let length = Int(buffer.loadUnaligned(fromByteOffset: offset + 16, as: UInt16.self))
            guard length > 19 else { return }
            let start = (base + offset + 19).assumingMemoryBound(to: UInt8.self)
            let name = RawName.text(UnsafeBufferPointer(start: start, count: strlen(base + offset + 19)))
            if name != "." && name != ".." { body(name, buffer[offset + 18]) }
            offset += length
        }
    }
    func label(_ name: String) -> String { path == "." ? name : path + "/" + name }
}

public struct FileSystemFacts: Hashable, Sendable {
    public var type: Int64
    public var freeBytes: UInt64
    public var totalBytes: UInt64
    public var freeInodes: UInt64
    public var totalInodes: UInt64

    public init(freeBytes: UInt64, totalBytes: UInt64, freeInodes: UInt64, totalInodes: UInt64) {
        type = 0
        self.freeBytes = freeBytes
        self.totalBytes = totalBytes
        self.freeInodes = freeInodes
        self.totalInodes = totalInodes
    }
    init(_ raw: bb_filesystem) {
        type = raw.type
        freeBytes = raw.free_bytes
        totalBytes = raw.total_bytes
        freeInodes = raw.free_inodes
        totalInodes = raw.total_inodes
    }

    private static let local: [Int64: String] = [
        0xEF53: "ext4", 0x5846_5342: "xfs", 0x9123_683E: "btrfs", 0x0102_1994: "tmpfs", 0x2FC1_2FC1: "zfs",
        0xF2F5_2010: "f2fs", 0x794C_7630: "overlay", 0xCA45_1A4E: "bcachefs",
    ]
    private static let remote: [Int64: String] = [
        0x6969: "NFS", 0x6573_5546: "FUSE", 0xFF53_4D42: "CIFS", 0xFE53_4D42: "SMB", 0x517B: "SMB",
        0x0102_1997: "9P", 0x00C3_6400: "Ceph", 0x5346_414F: "AFS",
    ]
    /// The name of a local file system on which a spool may live, or nil.
    public var localName: String? { FileSystemFacts.local[type] }
    public var name: String {
        FileSystemFacts.local[type] ?? FileSystemFacts.remote[type] ?? "type 0x" + String(type, radix: 16)
    }
    /// Nothing more can be written: file systems without inode counts (btrfs) report zero of zero.
    public var isFull: Bool { freeBytes < 65_536 || (totalInodes > 0 && freeInodes == 0) }
}
