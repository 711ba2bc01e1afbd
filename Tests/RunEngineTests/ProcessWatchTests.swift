// What this is: real programs under watch: endless, deaf to TERM, with children that outlive them.
// Owns: the end of a process whatever it does, the bounds of what is kept of it, what a child gets to see.
// Never: sleeps: a test waits for what the program says, or for its end.
// On failure: the ending and what was kept are in the message.
// The grace is a tenth of a second here; nothing asserts how long anything took but that it ended.
import Glibc
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import RunEngine

/// A step that runs one program, in a world of its own.
private func run(
    _ request: ProcessRequest, timeout: Span? = nil, environment: ValueMap = [:],
    signals: RunSignals = RunSignals(),
    world: FakeWorld? = nil
) throws -> (ending: Result<ProcessEnding, Failure>, log: String, id: RunID) {
    let box = Monitor<Result<ProcessEnding, Failure>?>(nil)
    let world = try world ?? FakeWorld()
    let step = Steps.spec(1, Steps.call, id: "it", timeout: timeout)
    let deadline = timeout.map {
        StepRun.Deadline(instant: Clocks.monotonic + $0.nanoseconds, what: "step 1", span: $0)
    }
    let record = RunRecord(try FakeWorld.acceptance(own: true))
    let drive = Drive(
        progress: Progress(record, recorder: world.recorder), spec: job([step]), actions: [:],
        surroundings: world.surroundings, signals: signals, timeout: nil)
    let context = StepRun(
        drive: drive, step: step, place: step.place, attempt: 1, isRerun: false, environment: environment,
        waited: nil, deadline: deadline)
    do throws(Failure) {
        let ending = try context.run(request)
        box.with { $0 = .success(ending) }
    } catch { box.with { $0 = .failure(error) } }
    context.log.close()
    let log = try? world.folder.text("runs/\(record.id)/1.it.log")
    return (try #require(box.with { $0 }), log ?? "", record.id)
}
private func sh(_ script: String) -> ProcessRequest { ProcessRequest(["sh", "-c", script]) }

/// Tells when the last of a family of processes is dead: all of them hold the writing end of this FIFO.
private final class Family: Sendable {
    let fd: Int32
    /// What the script begins with.
    let prelude: String
    init(_ folder: Folder) throws {
        let path = folder.path + "/family"
        try #require(mkfifo(path, 0o600) == 0)
        fd = open(path, O_RDONLY | O_NONBLOCK)
        prelude = "exec 9>\(path); "
    }
    deinit { close(fd) }
    /// Returns once so many of them have said `echo up >&9`.
    func waitUntilUp(_ count: Int) {
        var said = 0
        var buffer = [UInt8](repeating: 0, count: 64)
        while said < count {
            var polls = [pollfd(fd: fd, events: Int16(POLLIN), revents: 0)]
            _ = poll(&polls, 1, -1)
            let got = read(fd, &buffer, buffer.count)
            if got > 0 { said += buffer[..<got].count { $0 == 10 } }
        }
    }
    var isDead: Bool {
        var polls = [pollfd(fd: fd, events: 0, revents: 0)]
        // Dying takes a moment after the signal; what lives on would hold us for the whole of this bound.
        return poll(&polls, 1, 20_000) == 1 && Int32(polls[0].revents) & POLLHUP != 0
    }
}

@Suite struct ProcessWatchTests {
    init() { signal(SIGPIPE, SIG_IGN) }

    @Test func endings() throws {
        for code in [0, 3, 255] { #expect(try run(sh("exit \(code)")).0.get().exit == .code(code)) }
        #expect(try run(sh("kill -SEGV $$")).0.get().exit == .signal(11, name: "SIGSEGV"))
    }
    @Test func bothStreamsAreLoggedAndKept() throws {
        let (ending, log, _) = try run(sh("echo out; echo err >&2"))
        #expect(try ending.get().stdout == Array("out\n".utf8) && ending.get().stderr == Array("err\n".utf8))
        #expect(log.contains("out\n") && log.contains("err\n"))
        var request = sh("echo body; echo err >&2")
        request.outputIsData = true
        let (data, dataLog, _) = try run(request)
        #expect(try data.get().stdout == Array("body\n".utf8) && dataLog == "err\n")
    }
    @Test func whatIsKeptIsBounded() throws {
        var request = sh(
            "head -c 3000000 /dev/zero | tr '\\0' x; head -c 100000 /dev/zero | tr '\\0' y >&2; echo end >&2")
        request.captureLimit = 1000
        let (ending, log, _) = try run(request)
        let kept = try ending.get()
        #expect(kept.stdout.count == 1000 && kept.stdoutBytes == 3_000_000 && kept.stderr.count <= 16_384)
        #expect(kept.stderr.suffix(4) == Array("end\n".utf8)[...] && log.utf8.count == 3_100_004)
    }
    @Test func inputIsFed() throws {
        var request = sh("cat")
        request.input = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 % 251) }
        request.captureLimit = 1 << 20
        #expect(try run(request).0.get().stdout == request.input)
        request = sh("exec 0<&-; exit 5")
        request.input = [UInt8](repeating: 1, count: 1_000_000)
        #expect(try run(request).0.get().exit == .code(5), "a program that does not read is no trouble")
        #expect(try run(sh("cat; echo end")).0.get().stdout == Array("end\n".utf8))
    }
    @Test func itIsEndedWhenItsTimeIsUp() throws {
        #expect(throws: Failure.self) { try run(sh("sleep 1000"), timeout: .milliseconds(20)).0.get() }
        let (ending, _, _) = try run(sh("sleep 1000"), timeout: .milliseconds(20))
        guard case .failure(let failure) = ending else { Issue.record("it went on"); return }
        #expect(failure.code == "E-TIMEOUT" && failure.kind == .timedOut)
    }
    @Test func itGetsATermFirst() throws {
        // With a grace that the program does not need, on a machine however busy.
        let world = try FakeWorld(grace: .seconds(60))
        let (ending, log, _) = try run(
            sh("trap 'echo bye; exit 1' TERM; echo ready; while true; do sleep 0.01; done"),
            timeout: .milliseconds(200), world: world)
        #expect(throws: Failure.self) { try ending.get() }
        #expect(log.contains("bye\n") || !log.contains("ready"), "\(log)")
    }
    @Test func aDeafProgramIsKilledAfterTheGrace() throws {
        let (ending, _, _) = try run(
            sh("trap '' TERM; while true; do sleep 0.01; done"), timeout: .milliseconds(50))
        #expect(throws: Failure.self) { try ending.get() }
    }
    @Test func aStopGivesNoGrace() throws {
        let signals = RunSignals()
        signals.raise(.hold)
        let world = try FakeWorld()
        let folder = world.folder
        // The program itself says when it is up: by a FIFO that the thread reads.
        #expect(mkfifo(folder.path + "/up", 0o600) == 0)
        let path = folder.path + "/up"
        let thread = try BlockingThread.start("stopper") {
            close(open(path, O_RDONLY))
            signals.raise(.stop)
        }
        let (ending, _, _) = try run(
            sh("trap '' TERM; : > \(path); while true; do sleep 0.01; done"), signals: signals, world: world)
        thread.join()
        guard case .failure(let failure) = ending else { Issue.record("it went on"); return }
        #expect(failure.code == "E-STOPPED" && failure.kind == .interrupted)
    }
    @Test func aGrandchildThatHoldsThePipeHoldsNobodyUp() throws {
        #expect(try run(sh("sleep 1000 & echo out; exit 4")).0.get().exit == .code(4))
        // One that left the group as well: the leader's end counts, not the end of the stream.
        let mark = "BOBBIN_TEST_MARK=\(Clocks.randomBits().1)"
        let (ending, _, _) = try run(
            sh("setsid sleep 1000 & exit 6"),
            environment: ["BOBBIN_TEST_MARK": .string(String(mark.split(separator: "=")[1]))])
        #expect(try ending.get().exit == .code(6))
        _ = Host.killAll(marked: [mark])
    }
    @Test func whatLeftTheGroupDiesWithACancelledStep() throws {
        let world = try FakeWorld()
        let family = try Family(world.folder)
        let signals = RunSignals()
        let thread = try BlockingThread.start("canceller") {
            family.waitUntilUp(2)
            signals.raise(.cancel)
        }
        let script =
            family.prelude + "for n in 1 2; do setsid sh -c 'echo up >&9; exec sleep 1000' & done; wait"
        let (ending, _, _) = try run(sh(script), signals: signals, world: world)
        thread.join()
        #expect(throws: Failure.self) { try ending.get() }
        #expect(family.isDead, "something was left behind")
    }
    @Test func endlessOutputIsDrainedAndEnded() throws {
        var request = sh("yes")
        request.captureLimit = 10
        request.outputIsData = true
        let (ending, _, _) = try run(request, timeout: .milliseconds(50))
        #expect(throws: Failure.self) { try ending.get() }
    }
    @Test func holdingARunDoesNotSpin() throws {
        let folder = try Folder()
        let signals = RunSignals(), checks = Counter()
        let descriptor = signals.descriptor()
        let child = try ChildProcess.start(
            path: "/bin/cat", arguments: ["cat"], environment: [], directory: nil)
        let request = ProcessRequest(["cat"], input: [])
        let log = StepLog(name: "x.log") { folder.directory }
        let watch = ProcessWatch(
            child: child, request: request, log: log, marks: ["NO_MARK=1"],
            filters: (PlainFilter(), PlainFilter()), grace: .zero)
        signals.raise(.hold)
        // cat ends by itself as soon as its empty input is closed; each turn of the loop asks once.
        _ = try watch.wait(waker: descriptor, deadline: nil) { () throws(Failure) in
            checks.increment()
        }
        var polls = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
        let isReadable = poll(&polls, 1, 0) > 0
        #expect(!isReadable)
        #expect(signals.request == .hold)
    }
    @Test func whatAProgramSees() throws {
        let (ending, _, id) = try run(
            ProcessRequest(["env"], environment: ["FROM_REQUEST": "2", "BOTH": "request"]),
            environment: ["FROM_STEP": "1", "BOTH": "step", "N": .int(7)])
        let lines = Set(
            String(decoding: try ending.get().stdout, as: UTF8.self).split(separator: "\n").map(String.init))
        for line in [
            "FROM_STEP=1", "FROM_REQUEST=2", "BOTH=request", "N=7", "BASE=base", "BOBBIN_RUN_ID=\(id)",
            "BOBBIN_STEP=1", "BOBBIN_ATTEMPT=1", "BOBBIN_IDEMPOTENCY_KEY=\(id)/1",
        ] {
            #expect(lines.contains(line), "\(line)")
        }
        #expect(!lines.contains { $0.hasPrefix("HOME=") }, "the environment of the runner stays out")
    }
    @Test func aJobCannotTakeOffItsMarks() throws {
        let (ending, _, id) = try run(
            ProcessRequest(["env"]), environment: ["BOBBIN_STEP_KEY": "x", "BOBBIN_RUN_ID": "y"])
        let text = String(decoding: try ending.get().stdout, as: UTF8.self)
        #expect(text.contains("BOBBIN_STEP_KEY=\(id)/1") && text.contains("BOBBIN_RUN_ID=\(id)"))
    }
    @Test(arguments: ["", "permanent"]) func aDetachedProgramLivesAsLongAsItsRun(end: String) throws {
        let folder = try Folder()
        let family = try Family(folder)
        let script =
            family.prelude
            + "trap '' TERM; setsid sh -c 'echo up >&9; exec sleep 1000' & while true; do sleep 0.01; done"
        let world = try FakeWorld(calls: [
            "detach": { (context) throws(Failure) in
                var request = sh(script)
                request.isDetached = true
                guard case .running(let pid) = try context.run(request).exit else {
                    throw Failure("E-TEST", "")
                }
                family.waitUntilUp(1)
                return ["pid": .int(pid)]
            }
        ])
        let steps = [
            Steps.spec(1, Steps.call, id: "server", parameters: ["name": "detach"]),
            Steps.spec(2, do: end.isEmpty ? nil : end),
        ]
        let record = RunRecord(try FakeWorld.acceptance(own: true))
        let outcome = try world.live(
            job(steps), from: record, queue: QueuePolicy(name: .standard, retry: .none))
        #expect(
            outcome.state == (end.isEmpty ? .succeeded : .failed) && world.recorder.performances.count == 2)
        #expect(family.isDead, "something was left behind")
        let pid = try #require(outcome.record.steps.first?.outputs["pid"]?.intValue)
        #expect(Host.startTicks(Int32(pid)) == nil, "it was ended, but not reaped")
        #expect(outcome.record.steps.first?.log != nil)
    }
    @Test func whatCannotBeStarted() throws {
        let cases: [(ProcessRequest, String, Failure.Retry)] = [
            (ProcessRequest([]), "E-EXEC", .never), (ProcessRequest([""]), "E-EXEC", .never),
            (ProcessRequest(["no-such-program-anywhere"]), "E-EXEC", .never),
            (ProcessRequest(["/etc/passwd"]), "E-EXEC", .never),
            (ProcessRequest(["true"], workingDirectory: "/nonexistent"), "E-EXEC", .permanent),
        ]
        for (request, code, retry) in cases {
            guard case .failure(let failure) = try run(request).0 else {
                Issue.record("\(request.arguments) ran"); continue
            }
            #expect(failure.code == code && failure.retry == retry, "\(request.arguments): \(failure)")
        }
    }
    @Test func pathsAreBelowTheSite() throws {
        let world = try FakeWorld()
        _ = try world.folder.folder("sub")
        let site = try RealPath.of(world.folder.path)
        #expect(try run(ProcessRequest(["pwd"]), world: world).0.get().stdout == Array((site + "\n").utf8))
        #expect(
            try run(ProcessRequest(["pwd"], workingDirectory: "sub"), world: world).0.get().stdout
                == Array((site + "/sub\n").utf8))
        #expect(
            try run(ProcessRequest(["pwd"], workingDirectory: "/"), world: world).0.get().stdout
                == Array("/\n".utf8))
    }
}

@Suite struct StepLogTests {
    private func log(_ folder: Folder, _ pieces: [Int], head: Int = 100, tail: Int = 40) throws -> (
        log: StepLog, said: [UInt8], kept: [UInt8]
    ) {
        let directory = folder.directory
        let log = StepLog(name: "s.log", headLimit: head, tailLimit: tail) { directory }
        var said: [UInt8] = []
        for piece in pieces {
            let bytes = (0..<piece).map { UInt8(truncatingIfNeeded: said.count + $0) | 0x80 }
            said += bytes
            log.add(bytes)
        }
        log.close()
        guard try folder.listing() == ["s.log"] else { return (log, said, []) }
        return (log, said, try directory.openForReading("s.log").read(upTo: 1 << 20))
    }

    @Test func headAndTail() throws {
        var random = SeededRandom(seed: 1)
        for round in 0..<300 {
            let folder = try Folder()
            let pieces = (0..<random.below(8)).map { _ in
                random.pick([0, 1, 7, 40, 99, 100, 101, 139, 140, 141, 500])
            }
            let (log, said, kept) = try log(folder, pieces)
            #expect(log.total == said.count && log.isUsed == !said.isEmpty)
            if said.count <= 140 {
                #expect(kept == said, "round \(round): \(pieces)")
            } else {
                let note = Array("\n[\(said.count - 140) bytes are left out here]\n".utf8)
                #expect(kept == said.prefix(100) + note + said.suffix(40), "round \(round): \(pieces)")
            }
        }
    }
    @Test func aStepThatSaidNothingHasNoFile() throws {
        let folder = try Folder()
        let (log, _, _) = try log(folder, [0, 0])
        #expect(!log.isUsed && !log.isCut)
        #expect(try folder.listing().isEmpty)
    }
    @Test func aDiskThatIsFullStopsNobody() throws {
        let log = StepLog(name: "s.log", headLimit: 10, tailLimit: 10) { throw Failure("E-DISK", "full") }
        for _ in 0..<100 { log.add([1, 2, 3]) }
        log.close()
        #expect(log.isCut && log.isUsed && log.total == 300)
    }
}
