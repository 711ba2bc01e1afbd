// What this is: what the seam has recorded ($BOBBIN_TRACE), for tests that ask in which order things reached the disk.
// Owns: the reading of the format (LinuxSystem's Recorder has it), and the question whether an inode was synced.
// Never: runs anything; a test records in a process of its own.
// On failure: a line that is no change is left out.
import Foundation

public struct Trace {
    public struct Change {
        public var kind: String
        public var fields: [String]
        /// Of a rename or a creation: the name that is there afterwards.
        public var name: String { text(kind == "rename" ? 3 : 1) }
        /// Of a rename or a removal: the name that was there before.
        public var oldName: String { text(1) }
        public func text(_ index: Int) -> String {
            guard index < fields.count else { return "" }
            return String(decoding: Trace.bytes(fields[index]), as: UTF8.self)
        }
        public func number(_ index: Int) -> Int { index < fields.count ? Int(fields[index]) ?? -1 : -1 }
    }
    public var changes: [Change] = []

    public init(_ path: String) throws {
        for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
            let words = line.split(separator: "\t").map(String.init)
            if let kind = words.first { changes.append(Change(kind: kind, fields: Array(words.dropFirst()))) }
        }
    }

    public static func bytes(_ field: String) -> [UInt8] {
        if field.hasPrefix("z") { return [UInt8](repeating: 0, count: Int(field.dropFirst()) ?? 0) }
        let digits = Array(field.utf8).map { $0 < 0x3A ? $0 &- 0x30 : $0 &- 0x57 }
        return field == "-"
            ? [] : stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    /// Whether all that was written to this file before change `index` has been synced by then.
    public func isSynced(_ inode: Int, before index: Int) -> Bool {
        guard
            let last = changes[..<index].lastIndex(where: {
                ["write", "truncate"].contains($0.kind) && $0.number(0) == inode
            })
        else { return true }
        return changes[last..<index].contains { isSync($0, of: inode) }
    }
    /// Whether the directory was synced between the two changes.
    public func isSynced(directory: Int, after first: Int, before index: Int) -> Bool {
        changes[first..<index].contains { isSync($0, of: directory) }
    }
    private func isSync(_ change: Change, of inode: Int) -> Bool {
        change.kind == "syncall" || change.kind == "sync" && change.number(0) == inode
    }
    /// The inode behind a name in the moment before change `index`.
    public func inode(of name: String, before index: Int) -> Int? {
        var names: [String: Int] = [:]
        for change in changes[..<index] {
            switch change.kind {
            case "create": names[change.name] = change.number(2)
            case "rename":
                names[change.name] = names[change.oldName]
                names[change.oldName] = nil
            case "remove": names[change.oldName] = nil
            default: break
            }
        }
        return names[name]
    }
}
