// Samples: ended runs to remember, and a directory for each history.
// Owns: sampleRun, asReadBack and HistoryFile.
// Never: touches anything outside its own temporary directory.
// On failure: a directory that cannot be made fails the test.
// Times are in nanoseconds on purpose: the history must not depend on what a result file cuts off.

import Glibc
import JobModel
import RunHistory

let epoch = Timestamp(nanoseconds: 1_800_000_000_123_999_999)

func instant(_ milliseconds: Int64) -> Timestamp { epoch.adding(.milliseconds(milliseconds)) }

func sampleID(_ number: Int) -> RunID {
    var maker = RunIDMaker()
    return maker.next(now: instant(Int64(number) * 1000), random: (7, UInt64(number)))
}

/// Run `number` ended `number` seconds after the epoch.
func sampleRun(
    _ number: Int, _ state: FinalState = .succeeded, job: String = "report", queue: String = "default",
    user: String = "alice", ticket: String? = nil, failure: Failure? = nil
) -> RunRecord {
    let end = instant(Int64(number) * 1000)
    func before(_ milliseconds: Int64) -> Timestamp { end.adding(.milliseconds(-milliseconds)) }
    let acceptance = Acceptance(
        id: sampleID(number), queue: QueueName(queue) ?? .standard, priority: .normal,
        dropName: "\(job)-drop.yaml",
        jobName: job, submitter: Submitter(uid: 1000, name: user), acceptedAt: before(90),
        arrivedAt: before(100),
        identity: InodeIdentity(inode: 1, birthNanoseconds: 2), snapshot: [1], sha256: "5a", ticket: ticket,
        runner: "one")
    var run = RunRecord(acceptance)
    run.startedAt = before(80)
    let inexact = before(60).adding(Span(nanoseconds: 999_999))
    run.steps = [
        StepRecord(
            place: StepPlace(.main, [1]), title: "copy", id: "copy", type: "copy", runAttempt: 1, attempt: 1,
            state: .succeeded, startedAt: before(80), endedAt: inexact,
            outputs: ["bytes": .int(3), "share": .double(2)],
            log: "runs/copy.log"),
        StepRecord(
            place: StepPlace(.finally, [1]), title: "tell", id: nil, type: "log", runAttempt: 1, attempt: 1,
            state: failure == nil ? .succeeded : .failed, startedAt: inexact, endedAt: before(1),
            failure: failure),
    ]
    let wait = Wait(.held, until: before(20), since: before(40), nextAttempt: 1)
    run.waits = [WaitRecord(wait: wait, endedAt: before(30))]
    run.state = .ended(state)
    run.endedAt = end
    run.failure = failure
    run.outputs = ["file": "a \"b\"\nc"]
    return run
}

/// The run as a result file brings it back: instants cut to milliseconds, a step's end as start and length.
func asReadBack(_ run: RunRecord) -> RunRecord {
    func cut(_ instant: Timestamp) -> Timestamp { Timestamp(rfc3339: instant.rfc3339) ?? epoch }
    var copy = run
    copy.acceptance.snapshot = []
    copy.acceptance.identity = InodeIdentity(inode: 0, birthNanoseconds: 0)
    copy.acceptance.acceptedAt = cut(run.acceptance.acceptedAt)
    copy.acceptance.arrivedAt = cut(run.acceptance.arrivedAt)
    copy.startedAt = run.startedAt.map(cut)
    copy.endedAt = run.endedAt.map(cut)
    for (index, step) in run.steps.enumerated() {
        let length = step.endedAt.map { $0.since(step.startedAt).milliseconds }
        copy.steps[index].startedAt = cut(step.startedAt)
        copy.steps[index].endedAt = length.map { cut(step.startedAt).adding(.milliseconds($0)) }
    }
    for (index, entry) in run.waits.enumerated() {
        copy.waits[index].wait.since = cut(entry.wait.since)
        copy.waits[index].wait.until = entry.wait.until.map(cut)
        copy.waits[index].endedAt = entry.endedAt.map(cut)
    }
    return copy
}

/// A path for a history in a directory of its own, which goes with it.
final class HistoryFile {
    private let directory: String
    var path: String { directory + "/index.sqlite" }

    init() throws {
        var template = Array("/tmp/history-test-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw Failure("E-TEST", "no temporary directory") }
        directory = String(cString: made)
    }

    deinit {
        for file in RunHistory.files(of: path) { unlink(file) }
        rmdir(directory)
    }

    func bytes() -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        fseek(file, 0, SEEK_END)
        var bytes = [UInt8](repeating: 0, count: ftell(file))
        rewind(file)
        return fread(&bytes, 1, bytes.count, file) == bytes.count ? bytes : []
    }

    /// Replaces a text wherever it stands by one of the same length.
    func replace(_ old: String, _ new: String) {
        var bytes = bytes()
        let (old, new) = (Array(old.utf8), Array(new.utf8))
        for start in 0..<max(0, bytes.count - old.count)
        where bytes[start..<start + old.count].elementsEqual(old) {
            bytes.replaceSubrange(start..<start + old.count, with: new)
        }
        overwrite(bytes)
    }

    /// Replaces the file; what its companions hold must not hide it.
    func overwrite(_ bytes: [UInt8]) {
        for file in RunHistory.files(of: path) { unlink(file) }
        guard let file = fopen(path, "w") else { return }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }
}
