// What this is: files and directories by path, as a person's programs use them.
// Owns: plain reading, writing, listing, moving.
// Never: knows what a spool is.
// On failure: reading what is not there gives nil or nothing; anything else throws with call and path.
import Glibc

enum Disk {
    static func names(_ directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
    static func bytes(_ path: String) -> [UInt8]? {
        let fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard fd >= 0 else { return nil }
        defer { close(fd) }
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(fd, &buffer, buffer.count)
            guard count > 0 else { return count < 0 ? nil : all }
            all += buffer[..<count]
        }
    }
    static func text(_ path: String) -> String? { bytes(path).map { String(decoding: $0, as: UTF8.self) } }
    static func lines(_ path: String) -> [String] {
        (text(path) ?? "").split(separator: "\n").map(String.init)
    }
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    /// A new file, closed; or, with `append`, more of one.
    static func write(_ text: String, to path: String, append: Bool = false, mode: mode_t = 0o644) throws {
        try write(Array(text.utf8), to: path, append: append, mode: mode)
    }
    static func write(_ bytes: [UInt8], to path: String, append: Bool = false, mode: mode_t = 0o644) throws {
        let fd = try check(
            "open", path, open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), mode))
        defer { close(fd) }
        try write(bytes, to: fd)
    }
    static func write(_ bytes: [UInt8], to fd: Int32) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Trouble("write: errno \(errno)") }
            rest = rest.dropFirst(count)
        }
    }
    static func move(_ path: String, to target: String) throws {
        try check("rename", path, rename(path, target))
    }
    static func remove(_ path: String) { _ = unlink(path) }
    static func makeDirectory(_ path: String) throws { try check("mkdir", path, mkdir(path, 0o755)) }

    static func removeTree(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in names(path) { removeTree("\(path)/\(name)") }
            if rmdir(path) != 0 { _ = try? Program.call(["-rf", path], path: "/bin/rm") }
        } else {
            _ = unlink(path)
        }
    }

    @discardableResult
    static func check(_ call: String, _ path: String, _ result: Int32) throws -> Int32 {
        guard result >= 0 else { throw Trouble("\(call) \(path): errno \(errno)") }
        return result
    }
}
