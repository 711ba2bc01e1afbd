// What this is: an open file, closed when the last owner lets go.
// Owns: one descriptor, always close-on-exec.
// Never: follows a symbolic link when it opens by name; reads without a bound.
// On failure: SystemError; a failed sync is for the caller to stop on, never to retry.
import CLinux
import Glibc

public final class OpenFile: Sendable {
    public let fd: Int32
    let label: String

    public init(fd: Int32, label: String) {
        self.fd = fd
        self.label = label
    }
    deinit { close(fd) }

    /// Up to `limit` bytes from `offset`.
    public func read(upTo limit: Int, from offset: Int = 0) throws(SystemError) -> [UInt8] {
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            count = 0
            while count < limit, let base = buffer.baseAddress {
                do throws(SystemError) {
                    let most = SystemCalls.atOnce(limit - count)
                    let got = try SystemCalls.plain("pread", label) {
                        pread(fd, base + count, most, off_t(offset + count))
                    }
                    guard got > 0 else { return }
                    count += got
                } catch {
                    failure = error
                    return
                }
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// From where it stands to its end, for pipes and terminals; at most `limit` bytes.
    public func readToEnd(limit: Int) throws(SystemError) -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < limit {
            let got = try SystemCalls.plain("read", label) {
                piece.withUnsafeMutableBytes {
                    Glibc.read(fd, $0.baseAddress, min($0.count, limit - bytes.count))
                }
            }
            guard got > 0 else { break }
            bytes += piece[..<got]
        }
        return bytes
    }

    public func append(_ bytes: [UInt8]) throws(SystemError) {
        try bytes.withUnsafeBytesThrowing { (raw) throws(SystemError) in
            try SystemCalls.writeAll(fd, raw, label)
        }
    }
    public func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
        try bytes.withUnsafeBytesThrowing { (raw) throws(SystemError) in
            try SystemCalls.writeAll(fd, at: offset, raw, label)
        }
    }
    public func syncData() throws(SystemError) {
        _ = try SystemCalls.plain("fdatasync", label, changes: .sync(fd)) { Int(fdatasync(fd)) }
    }
    public func sync() throws(SystemError) {
        _ = try SystemCalls.plain("fsync", label, changes: .sync(fd)) { Int(fsync(fd)) }
    }
    public func truncate(to length: Int) throws(SystemError) {
        _ = try SystemCalls.plain("ftruncate", label, changes: .truncate(fd, to: length)) {
            Int(ftruncate(fd, off_t(length)))
        }
    }
    public func setMode(_ mode: UInt32) throws(SystemError) {
        _ = try SystemCalls.plain("fchmod", label) { Int(fchmod(fd, mode)) }
    }
    public func status() throws(SystemError) -> FileStatus { try FileStatus.read(fd, "", label) }

    /// What the kernel says about writers of this file (opened for reading only).
    public enum Writers: Sendable { case none, some, unknown }
    /// Takes a read lease, which fails while anybody has the file open for writing; hold it while reading.
    public func takeLease() -> Writers {
        switch bb_take_read_lease(fd) {
        case 0: .none
        case -EAGAIN, -EBUSY: .some
        default: .unknown
        }
    }
    /// Whether rights beyond the mode are set on it (`setfacl`).
    public func hasACL() throws(SystemError) -> Bool {
        try SystemCalls.wrapped("fgetxattr", label) { bb_has_acl(fd) } > 0
    }
    public func dropLease() { _ = bb_drop_lease(fd) }
}

extension Array where Element == UInt8 {
    /// withUnsafeBytes for bodies with typed throws.
    @inline(__always)
    func withUnsafeBytesThrowing<Failed: Error>(_ body: (UnsafeRawBufferPointer) throws(Failed) -> Void)
        throws(Failed)
    {
        let outcome: Result<Void, Failed> = withUnsafeBytes { raw in
            do throws(Failed) { return .success(try body(raw)) } catch { return .failure(error) }
        }
        try outcome.get()
    }
}

/// What statx tells of a file.
public struct FileStatus: Hashable, Sendable {
    public enum Kind: String, Sendable { case regular, directory, symbolicLink, fifo, socket, device, other }
    public var kind: Kind
    public var inode: UInt64
    public var device: UInt64
    public var size: Int
    public var links: Int
    public var mode: UInt32
    public var uid: UInt32
    public var gid: UInt32
    public var modified: Int64
    public var changed: Int64
    public var birth: Int64

    static func read(_ fd: Int32, _ name: String, _ label: @autoclosure () -> String) throws(SystemError)
        -> FileStatus
    {
        var raw = bb_status()
        _ = try SystemCalls.wrapped("statx", label()) {
            RawName.withPointer(name) { bb_status(fd, $0, &raw) }
        }
        #if DEBUG || SEAM
            CopiedDisk.translate(&raw)
        #endif
        return FileStatus(raw)
    }

    init(_ raw: bb_status) {
        kind =
            switch raw.mode & UInt32(S_IFMT) {
            case UInt32(S_IFREG): .regular
            case UInt32(S_IFDIR): .directory
            case UInt32(S_IFLNK): .symbolicLink
            case UInt32(S_IFIFO): .fifo
            case UInt32(S_IFSOCK): .socket
            case UInt32(S_IFCHR), UInt32(S_IFBLK): .device
            default: .other
            }
        inode = raw.inode
        device = raw.device_major << 32 | raw.device_minor
        size = Int(clamping: raw.size)
        links = Int(clamping: raw.links)
        mode = raw.mode & 0o7777
        uid = raw.uid
        gid = raw.gid
        modified = raw.modified_ns
        changed = raw.changed_ns
        birth = raw.birth_ns
    }

    /// What a person calls this kind of file.
    public var kindName: String {
        switch kind {
        case .regular: "file"
        case .directory: "directory"
        case .symbolicLink: "symbolic link"
        case .fifo: "FIFO"
        case .socket: "socket"
        case .device: "device"
        case .other: "special file"
        }
    }
}
