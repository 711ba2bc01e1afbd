// What this is: the calls that steps need on ordinary files, beside those of the spool.
// Owns: names below a held directory across mount points, reading in pieces, times, status by path.
// Never: decides what may be written (StepLibrary's ProtectedPaths does).
// On failure: SystemError with the path.
import CLinux
import Glibc

/// What makes two paths the same file.
public struct FileIdentity: Hashable, Sendable {
    public var device: UInt64
    public var inode: UInt64
}

extension FileStatus {
    public var identity: FileIdentity { FileIdentity(device: device, inode: inode) }

    /// The status of a path; a symbolic link at its end is described, not followed.
    public static func of(_ path: String) throws(SystemError) -> FileStatus { try read(AT_FDCWD, path, path) }
    /// The status of what a path leads to, links followed.
    public static func following(_ path: String) throws(SystemError) -> FileStatus {
        let status = try of(path)
        guard status.kind == .symbolicLink else { return status }
        return try of(RealPath.of(path))
    }
}

public enum RealPath {
    /// The path without links, `.` and `..`; every part of it must exist.
    public static func of(_ path: String) throws(SystemError) -> String {
        guard let raw = RawName.withPointer(path, { realpath($0, nil) }) else {
            throw SystemError("realpath", path, errno: errno)
        }
        defer { free(raw) }
        return UnsafeRawPointer(raw).withMemoryRebound(to: UInt8.self, capacity: strlen(raw)) {
            RawName.text(UnsafeBufferPointer(start: $0, count: strlen(raw)))
        }
    }
}

extension Directory {
    /// A subdirectory by its name alone: never through a symbolic link, but across mount points.
    public func child(_ name: String) throws(SystemError) -> Directory {
        try opened(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }
    /// The same as one step of an ordinary path: links count.
    public func enter(_ name: String) throws(SystemError) -> Directory {
        try opened(name, O_RDONLY | O_DIRECTORY)
    }

    /// Removes a directory and everything below it; links are removed, not followed.
    public func removeTree(_ name: String) throws(SystemError) {
        let inner = try child(name)
        for entry in try inner.names() {
            if try inner.status(entry).kind == .directory {
                try inner.removeTree(entry)
            } else {
                try inner.remove(entry)
            }
        }
        try removeDirectory(name)
    }

    private func opened(_ name: String, _ flags: Int32) throws(SystemError) -> Directory {
        let fd = try SystemCalls.wrapped("openat", label(name)) {
            RawName.withPointer(name) { bb_openat(self.fd, $0, flags, 0) }
        }
        return Directory(fd: fd, path: label(name))
    }
}

extension OpenFile {
    /// Opens a path as any program would, links followed; a FIFO or a lease does not hold us.
    public static func open(_ path: String) throws(SystemError) -> OpenFile {
        let fd = try SystemCalls.wrapped("open", path) {
            RawName.withPointer(path) { bb_openat(AT_FDCWD, $0, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0) }
        }
        return OpenFile(fd: fd, label: path)
    }

    /// A file without a name, for what does not fit into memory; it goes with its last owner.
    public static func nameless(in directory: String) throws(SystemError) -> OpenFile {
        var template = Array((directory + "/bobbin-XXXXXX").utf8CString)
        let fd = try SystemCalls.wrapped("mkostemp", directory) {
            template.withUnsafeMutableBufferPointer { bb_nameless_file($0.baseAddress) }
        }
        return OpenFile(fd: fd, label: "a file without a name in \(directory)")
    }

    /// Standard input where it stands, by a descriptor of our own.
    public static func standardInput() throws(SystemError) -> OpenFile {
        let fd = try SystemCalls.plain("fcntl", "standard input") { Int(fcntl(0, F_DUPFD_CLOEXEC, 3)) }
        return OpenFile(fd: Int32(fd), label: "standard input")
    }

    /// From where it stands, for pipes too: as much of `buffer` as one read gives; 0 is the end.
    public func readNext(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        let most = SystemCalls.atOnce(buffer.count)
        return try SystemCalls.plain("read", label) { Glibc.read(fd, buffer.baseAddress, most) }
    }

    /// Fills as much of `buffer` as one read gives; 0 is the end.
    public func read(into buffer: UnsafeMutableRawBufferPointer, from offset: Int) throws(SystemError) -> Int
    {
        let most = SystemCalls.atOnce(buffer.count)
        return try SystemCalls.plain("pread", label) { pread(fd, buffer.baseAddress, most, off_t(offset)) }
    }
    public func append(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        try SystemCalls.writeAll(fd, bytes, label)
    }
    /// Sets the time of the last change (nanoseconds since 1970) and leaves the time of the last reading.
    public func setModified(_ nanoseconds: Int64) throws(SystemError) {
        let billion: Int64 = 1_000_000_000
        let rest = ((nanoseconds % billion) + billion) % billion
        var times = [timespec(), timespec(tv_sec: Int((nanoseconds - rest) / billion), tv_nsec: Int(rest))]
        times[0].tv_nsec = (1 << 30) - 2  // UTIME_OMIT, a macro that Swift cannot read
        _ = try SystemCalls.plain("futimens", label) { Int(futimens(fd, times)) }
    }
}

extension OpenFile {
    /// Puts the descriptor's own position to the beginning, for a library that reads from there.
    public func rewind() throws(SystemError) {
        _ = try SystemCalls.plain("lseek", label) { Int(lseek(fd, 0, SEEK_SET)) }
    }
}
