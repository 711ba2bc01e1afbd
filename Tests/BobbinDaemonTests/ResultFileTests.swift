// What this is: tests of the result file: what is written can be read back, and the index is the same either way.
// Owns: a run record with everything in it.
// Never: starts a runner.
// On failure: shows the file.
import JobModel
import LinuxSystem
import RunHistory
import SpoolQueue
import Testing

@testable import BobbinDaemon

enum SampleRun {
    static func time(_ milliseconds: Int64) -> Timestamp {
        Timestamp(nanoseconds: (1_795_000_000_000 + milliseconds) * 1_000_000)
    }

    /// A run with retries, waits, nasty texts and every kind of output.
    static func full(_ index: Int = 0, state: FinalState = .failed) throws -> RunRecord {
        var maker = RunIDMaker()
        let id = maker.next(now: time(Int64(index)), random: (7, UInt64(index) &* 0x9E37_79B9_7F4A_7C15))
        let queue = try #require(QueueName("default")), priority = try #require(Priority(3))
        var run = RunRecord(
            Acceptance(
                id: id, queue: queue, priority: priority, dropName: "we~ird name: \(index).yaml",
                jobName: "no: yes \"q\" #\n\(index)",
                submitter: Submitter(uid: 1000, name: "anna"), acceptedAt: time(5), arrivedAt: time(1),
                identity: InodeIdentity(inode: 0, birthNanoseconds: 0), snapshot: [],
                sha256: String(repeating: "a", count: 64),
                templateName: "t.yaml", ticket: "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                requeueOf: "01ARZ3NDEKTSV4RRFFQ69G5FAW", runner: "main"))
        let failure = Failure(
            "E-EXIT", "tar exited with 2: \u{1B}[31mno\u{1B}[0m", whatToDo: "look", retry: .transient,
            step: "1")
        var step = StepRecord(
            place: StepPlace(.main, [1]), title: "pack", id: "pack", type: "run", runAttempt: 1, attempt: 1,
            state: .running, startedAt: time(10))
        run.apply(.stepStarted(step))
        step.state = .failed
        step.endedAt = time(35)
        step.failure = failure
        step.log = "runs/\(id)/1.pack.log"
        run.apply(.stepEnded(step))
        run.apply(.parked(Wait(.retry, until: time(6000), since: time(36), nextAttempt: 2)))
        run.apply(.resumed(at: time(6001)))
        var second = StepRecord(
            place: StepPlace(.main, [1]), title: "pack", id: "pack", type: "run", runAttempt: 2, attempt: 1,
            state: .succeeded,
            startedAt: time(6010), endedAt: time(6011))
        second.outputs = [
            "count": .int(3), "share": .double(0.5), "whole": .double(2),
            "list": .list([.null, .bool(true), "no", "012"]), "map": .map([:]),
        ]
        run.apply(.stepEnded(second))
        run.apply(
            .stepEnded(
                StepRecord(
                    place: StepPlace(.finally, [1]), title: "log", id: nil, type: "log", runAttempt: 2,
                    attempt: 1, state: .skipped,
                    startedAt: time(6012), endedAt: time(6012))))
        let succeeded = state == .succeeded
        run.apply(
            .ended(
                state, at: time(6020), failure: succeeded ? nil : failure,
                outputs: succeeded ? ["text": "a\n  b\n"] : [:], result: []))
        return run
    }
}

@Suite struct ResultFileTests {
    @Test(
        "what is written is read back",
        arguments: [FinalState.succeeded, .failed, .timedOut, .cancelled, .denied])
    func roundTrip(_ state: FinalState) throws {
        let run = try SampleRun.full(state: state)
        let bytes = ResultFile.render(run)
        let back = try #require(ResultFile.read(bytes), "\(String(decoding: bytes, as: UTF8.self))")
        #expect(back == run, "\(String(decoding: bytes, as: UTF8.self))")
        #expect(
            ResultFile.render(back).elementsEqual(bytes.map { $0 })
                || run.acceptance.snapshot.count != back.acceptance.snapshot.count)
    }

    @Test("no control character reaches a terminal that shows the file") func plain() throws {
        let bytes = ResultFile.render(try SampleRun.full())
        #expect(!bytes.contains { $0 < 0x20 && $0 != 0x0A })
    }

    @Test(
        "what is no result is told apart",
        arguments: ["", "a: 1", "- x", "run: 1\nstate: succeeded\n", "\u{0}", "run: [[["])
    func others(_ text: String) { #expect(ResultFile.read(Array(text.utf8)) == nil) }

    @Test(
        "a length that no clock measures is no end", arguments: [".inf", "-.inf", ".nan", "1e13", "-1e300"])
    func impossibleLength(_ text: String) throws {
        let written = String(decoding: ResultFile.render(try SampleRun.full()), as: UTF8.self)
        let file = written.replacing("took_seconds: 0.025", with: "took_seconds: \(text)")
        #expect(file != written, "\(written)")
        let back = try #require(ResultFile.read(Array(file.utf8)))
        #expect(back.steps.first?.endedAt == nil)
        #expect(back.steps.count == 3)
    }

    @Test("an index rebuilt from result files equals the one fed with records") func rebuild() throws {
        let folder = try Folder()
        _ = try Site.make(at: folder.path)
        let site = try Site(path: folder.path)
        let fed = try RunHistory(path: folder.path + "/fed.sqlite")
        for (index, state) in FinalState.allCases.enumerated() {
            let run = try SampleRun.full(index, state: state)
            try fed.add([run])
            let day = try site.spool.finalDirectory(state, day: "2026-11-21")
            try AtomicFile.write(ResultFile.render(run), to: FinalName.result(run.acceptance), in: day)
        }
        let (added, unread) = try IndexFiles.rebuild(site.spool)
        #expect(added == FinalState.allCases.count)
        #expect(unread == [])
        let rebuilt = try #require(try RunHistory.reader(path: IndexFiles.path(site.spool)))
        #expect(try rebuilt.dump() == fed.dump())
    }
}

/// A directory of the test's own, gone at its end.
final class Folder {
    let path: String
    init() throws {
        path = (Host.environment("TMPDIR") ?? "/tmp") + "/bobbin-test-\(Identities.fresh())"
        try Host.makeDirectories(path)
    }
    deinit { _ = try? TreeRemoval.remove(path) }  // a leftover in the temporary directory harms nobody
}

private enum TreeRemoval {
    static func remove(_ path: String) throws {
        let directory = try Directory.open(path)
        for name in try directory.names() {
            if try directory.status(name).kind == .directory {
                try remove(path + "/" + name)
            } else {
                try directory.remove(name)
            }
        }
        let parent = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        try Directory.open(parent).removeDirectory(String(path.split(separator: "/").last ?? ""))
    }
}
