// What this is: what a step said, on disk: the head of it, and its tail when it said too much.
// Owns: the log file of one attempt of one step.
// Never: grows past its bound, makes a file for a step that said nothing, blocks the step's pipe.
// On failure: a full disk cuts the log and says so in it once there is room; the step goes on.
import JobModel
import LinuxSystem

final class StepLog {
    let name: String
    private let directory: () throws -> Directory
    private let headLimit: Int
    private let tailLimit: Int
    private var file: OpenFile?
    private var written = 0
    private var tail: [UInt8] = []
    private(set) var total = 0
    private(set) var isCut = false
    /// Set once something was said.
    private(set) var isUsed = false

    init(
        name: String, headLimit: Int = Limits.logHeadBytes, tailLimit: Int = Limits.logTailBytes,
        directory: @escaping () throws -> Directory
    ) {
        self.name = name
        self.headLimit = headLimit
        self.tailLimit = tailLimit
        self.directory = directory
    }

    /// Somebody else writes into the file.
    func markUsed() { isUsed = true }

    func add(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        isUsed = true
        total += bytes.count
        let room = headLimit - written
        if room > 0 { write(Array(bytes.prefix(room))) }
        guard bytes.count > room else { return }
        tail += bytes.dropFirst(max(room, 0))
        // Cutting at twice the bound keeps the cost of a ring without its bookkeeping.
        if tail.count > 2 * tailLimit { tail.removeFirst(tail.count - tailLimit) }
    }

    private func write(_ bytes: [UInt8]) {
        do {
            if file == nil {
                let folder = try directory()
                file = try Account.reachingOwnFiles { () throws(SystemError) in
                    try folder.openForAppending(name)
                }
            }
            try file?.append(bytes)
            written += bytes.count
        } catch {
            isCut = true
        }
    }

    func close() {
        if !tail.isEmpty {
            let kept = tail.suffix(tailLimit)
            let lost = total - written - kept.count
            if lost > 0 { writeTail("\n[\(lost) bytes are left out here]\n") }
            write(Array(kept))
        }
        if isCut { writeTail("\n[output truncated: disk full]\n") }
        tail = []
        file = nil
    }
    private func writeTail(_ text: String) { write(Array(text.utf8)) }
}
