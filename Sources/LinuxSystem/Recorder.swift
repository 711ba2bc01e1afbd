// What this is: the recording back end of the seam (debug builds): each change of the disk as one line, in the order in
//   which the changes happened. BOBBIN_TRACE names the file; ops/torture.d/crashstates.py reads it.
// Owns: the format: kind, then fields, separated by tabs; files and directories by inode number, names and bytes in hex.
// Never: records a call that failed; exists in release builds.
// On failure: a trace that cannot be written ends the process: a test must not believe half a record.
import CLinux
import Glibc

#if DEBUG || SEAM
    enum Recorder {
        private static let file: Int32 = {
            guard let path = getenv("BOBBIN_TRACE") else { return -1 }
            return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        }()
        static var isOn: Bool { file >= 0 }
        /// One change at a time: the order in the file is the order on the disk.
        private static let turn = Monitor<Void>(())

        static func record<Result: BinaryInteger>(_ change: Change?, _ body: () -> Result) -> Result {
            guard let change else { return body() }
            return turn.with { _ in
                // What a rename or a removal takes away can be named only before it.
                let before = line(before: change)
                let result = body()
                if result >= 0 { write(before ?? line(after: change, Int(result))) }
                return result
            }
        }

        private static func line(before change: Change) -> [String]? {
            switch change {
            case .rename(let from, let name, let to, let newName):
                ["rename", inode(from), hex(name), inode(to), hex(newName)]
            case .remove(let from, let name): ["remove", inode(from), hex(name)]
            default: nil
            }
        }
        private static func line(after change: Change, _ result: Int) -> [String] {
            switch change {
            case .create(let directory, let name):
                ["create", inode(directory), hex(name), inode(Int32(result))]
            case .makeDirectory(let parent, let name):
                ["mkdir", inode(parent), hex(name), inode(parent, name)]
            case .write(let fd, let offset, let bytes):
                ["write", inode(fd), String(offset), data(bytes.prefix(result))]
            case .append(let fd, let bytes):
                [
                    "write", inode(fd), String(Int(lseek(fd, 0, SEEK_CUR)) - result),
                    data(bytes.prefix(result)),
                ]
            case .truncate(let fd, let length): ["truncate", inode(fd), String(length)]
            case .sync(let fd): ["sync", inode(fd)]
            case .syncAll: ["syncall"]
            case .start(let arguments, let environment):
                ["start"] + (arguments + environment.filter { $0.hasPrefix("BOBBIN_") }).map(hex)
            case .rename, .remove: []
            }
        }

        private static func inode(_ fd: Int32, _ name: String = "") -> String {
            var status = bb_status()
            return bb_status(fd, name, &status) < 0 ? "0" : String(status.inode)
        }
        /// Bytes in hex; a preallocation's zeros as `z` and their count.
        private static func data(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
            bytes.allSatisfy { $0 == 0 } ? "z\(bytes.count)" : hex(bytes)
        }
        private static func hex(_ text: String) -> String { hex(RawName.bytes(text)) }
        private static func hex(_ bytes: some Sequence<UInt8>) -> String {
            var out: [UInt8] = []
            for byte in bytes { out += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
            // An empty field would be lost between two tabs.
            return out.isEmpty ? "-" : String(decoding: out, as: UTF8.self)
        }
        private static let digits = Array("0123456789abcdef".utf8)

        private static func write(_ fields: [String]) {
            let bytes = Array((fields.joined(separator: "\t") + "\n").utf8)
            if Glibc.write(file, bytes, bytes.count) != bytes.count { abort() }
        }
    }

    /// A disk that a test has put together from a trace is a copy: its files have other inodes than those that the
    /// journal remembers. BOBBIN_INODES names a file of lines `inode here, inode then, birth then`.
    enum CopiedDisk {
        private static let table: [UInt64: (inode: UInt64, birth: Int64)] = {
            guard let path = getenv("BOBBIN_INODES"),
                let bytes = Host.read(String(cString: path), limit: 1 << 24)
            else { return [:] }
            var table: [UInt64: (inode: UInt64, birth: Int64)] = [:]
            for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
                let words = line.split(separator: " ")
                guard words.count == 3, let here = UInt64(words[0]), let then = UInt64(words[1]),
                    let birth = Int64(words[2])
                else { continue }
                table[here] = (then, birth)
            }
            return table
        }()
        static func translate(_ raw: inout bb_status) {
            guard !table.isEmpty else { return }
            guard let known = table[raw.inode] else {
                // Made by this process, and perhaps part of the next copy, which can know its inode alone.
                raw.birth_ns = 1_000_000_000 + Int64(truncatingIfNeeded: raw.inode)
                return
            }
            raw.inode = known.inode
            raw.birth_ns = known.birth
            // Two names of one inode are a rename that the power cut in two: the link count never knew of it.
            raw.links = 1
        }
    }
#endif
