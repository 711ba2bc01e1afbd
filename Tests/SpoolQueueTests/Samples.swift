// What this is: an accepted drop, and a site with a spool in a fresh directory.
// Owns: sampleAcceptance and TestSpool.
// Never: touches anything outside its own directory.
// On failure: throws, and the test fails.
// The spool lives on a local disk, as a spool must.
import Foundation
import Glibc
import JobModel
import LinuxSystem
import TestKit

@testable import SpoolQueue

func freshID(_ number: UInt64 = UInt64.random(in: .min ... .max)) -> RunID {
    var maker = RunIDMaker()
    return maker.next(now: Timestamp(seconds: 1_800_000_000), random: (0, number))
}

func sampleAcceptance(_ id: RunID = freshID(7), name: String = "job.yaml") -> Acceptance {
    Acceptance(
        id: id, queue: .standard, priority: .normal, dropName: name, jobName: "job",
        submitter: Submitter(uid: getuid(), name: "me"),
        acceptedAt: Timestamp(seconds: 2), arrivedAt: Timestamp(seconds: 1),
        identity: InodeIdentity(inode: 1, birthNanoseconds: 1),
        snapshot: Array("steps: []\n".utf8), sha256: "", runner: "main")
}

final class TestSpool: Sendable {
    let folder: Folder
    let spool: Spool
    let queue: Directory
    let claimed: Directory

    init() throws {
        folder = try Folder()
        spool = try Spool(site: folder.path, newID: "test-spool")
        queue = try spool.dropDirectories(of: QueuePolicy(name: .standard))[4].1
        claimed = try spool.claimed.makeDirectory("main")
    }
    var move: Move { Move(spool) }
    func drop(_ name: String, _ text: String = "steps: []\n") throws {
        try folder.put("spool/default/p5/" + name, text)
    }
    func names(_ path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path + "/spool/" + path).sorted()
    }
    func text(_ path: String) throws -> String { try folder.text("spool/" + path) }
}
/// Children that other tests start hold copies of this process's descriptors until their exec, so for a moment a
/// file may have a writer that this test has closed: looks again then.
func unshared(_ isOpen: Bool = false, _ examine: () -> Verdict) -> Verdict {
    let end = Clocks.monotonic + 60_000_000_000
    while Clocks.monotonic < end {
        let verdict = examine()
        guard !isOpen, case .arriving("open for writing", _) = verdict else { return verdict }
        sched_yield()
    }
    return examine()
}
