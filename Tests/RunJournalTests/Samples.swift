// What this is: a journal in a fresh directory.
// Owns: JournalBench.
// Never: keeps anything behind a test.
// On failure: throws, and the test fails.
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import RunJournal

final class JournalBench: Sendable {
    let folder: Folder
    let salts = Counter()
    init() throws { folder = try Folder() }

    func replay() throws -> Replay { try Replay.read(folder.directory) }
    /// A new life of the journal. A failed write ends the process, as it does the daemon.
    func open(segmentBytes: Int = 16_384, settle: @escaping @Sendable () throws -> Void = {}) throws
        -> Journal
    {
        try Journal(
            folder.directory, replay: replay(), segmentBytes: segmentBytes,
            salt: { [salts] in UInt64(salts.increment()) &* 0x9E37_79B9_7F4A_7C15 }, settle: settle,
            halt: { fatalError("\($0)") })
    }
    func bytes(_ name: String) throws -> [UInt8] {
        try folder.directory.openForReading(name).read(upTo: 64 << 20)
    }
    func put(_ name: String, _ bytes: [UInt8]) throws {
        try folder.directory.removeIfPresent(name)
        try folder.directory.create(name, mode: 0o600).append(bytes)
    }
    var segments: [String] { get throws { try folder.listing().filter { $0.hasSuffix(".seg") } } }
}
