// What this is: tar archives written byte by byte, so that each can be wrong in its own way (POSIX.1-2001, pax and ustar).
// Owns: the header of 512 bytes and its checksum.
// Never: uses libarchive: what it would not write is what is wanted.
// On failure: cannot fail.
import LinuxSystem

@testable import Archives
@testable import Bundles

struct TarForge {
    struct Entry {
        var name: String
        var content: [UInt8] = []
        var type: UInt8 = UInt8(ascii: "0")
        var mode = "0000644"
        var link = ""
        /// What the header says; nil: the truth.
        var size: Int?
        var spoiledChecksum = false
        /// Bytes of the header that are put over it at the end, before the checksum.
        var over: [Int: [UInt8]] = [:]

        var bytes: [UInt8] {
            var head = [UInt8](repeating: 0, count: 512)
            func put(_ text: String, _ at: Int, _ room: Int) {
                for (index, byte) in text.utf8.prefix(room).enumerated() { head[at + index] = byte }
            }
            put(name, 0, 100)
            put(mode, 100, 8)
            put("0000000", 108, 8)
            put("0000000", 116, 8)
            let octal = String(size ?? content.count, radix: 8)
            put(String(repeating: "0", count: max(0, 11 - octal.count)) + octal, 124, 12)
            put("00000000000", 136, 12)
            head[156] = type
            put(link, 157, 100)
            put("ustar\0" + "00", 257, 8)
            if type == UInt8(ascii: "3") || type == UInt8(ascii: "4") {
                put("0000001", 329, 8)
                put("0000003", 337, 8)
            }
            for (at, bytes) in over { head.replaceSubrange(at..<(at + bytes.count), with: bytes) }
            for index in 148..<156 { head[index] = 0x20 }
            let sum = head.reduce(0) { $0 + Int($1) } + (spoiledChecksum ? 1 : 0)
            let text = String(sum, radix: 8)
            put(String(repeating: "0", count: 6 - text.count) + text + "\0 ", 148, 8)
            let padding = [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
            return head + content + padding
        }
    }

    static func pax(_ records: [(String, String)]) -> Entry {
        var text = ""
        for (key, value) in records {
            let rest = " \(key)=\(value)\n".utf8.count
            var length = rest + 1
            while String(length).utf8.count + rest != length { length += 1 }
            text += "\(length) \(key)=\(value)\n"
        }
        return Entry(name: "PaxHeaders/x", content: Array(text.utf8), type: UInt8(ascii: "x"))
    }

    static func archive(_ entries: [Entry], _ packing: Packing) throws -> [UInt8] {
        try packing.packed(entries.flatMap(\.bytes) + [UInt8](repeating: 0, count: 1024))
    }
}

/// For bundles that stand alone.
func noBase(_ base: BundleManifest.Base) throws -> OpenFile { throw BundleProblem("E-TEST", "none") }
