// What this is: one child from start to reaping: its pipes drained, its end awaited, its group killed when it must go.
// Owns: the poll loop, TERM - grace - KILL, the bounded capture of its output.
// Never: waits for end of file: a grandchild may hold the pipe open for ever; the leader's end counts.
// On failure: rethrows what `check` throws, after the whole process group is dead.
import JobModel
import LinuxSystem

final class ProcessWatch {
    private let child: ChildProcess
    private let request: ProcessRequest
    private let log: StepLog
    /// Finds processes that left the group.
    private let marks: [String]
    private let filters: (output: any OutputFilter, error: any OutputFilter)
    private let grace: Span
    private var stdout: [UInt8] = []
    private var stdoutBytes = 0
    private var stderr: [UInt8] = []
    private var sent = 0
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
    private static let stderrKept = 8_192

    init(
        child: ChildProcess, request: ProcessRequest, log: StepLog, marks: [String],
        filters: (any OutputFilter, any OutputFilter), grace: Span
    ) {
        self.child = child
        self.request = request
        self.log = log
        self.marks = marks
        self.filters = filters
        self.grace = grace
    }
    deinit { buffer.deallocate() }

    func wait(waker: Int32, deadline: Int64?, check: () throws(Failure) -> Void) throws(Failure)
        -> ProcessEnding
    {
        var ending: Failure?
        var killAt: Int64?
        while !child.hasEnded {
            feed()
            drain()
            // Once it is being ended the wake-up has been heard; listening on would spin.
            let wakeAt = [
                killAt, ending == nil ? deadline : nil, waker < 0 ? Clocks.monotonic + 1_000_000_000 : nil,
            ].compactMap { $0 }.min()
            child.sleep(
                wakenBy: ending == nil ? waker : -1, wantsToWrite: sent < request.input.count, until: wakeAt)
            if ending == nil {
                do throws(Failure) { try check() } catch {
                    ending = error
                    // A runner that must stop now gives no grace of its own.
                    killAt = Clocks.monotonic + (error.code == "E-STOPPED" ? 0 : grace.nanoseconds)
                    child.signalGroup(15)
                }
            }
            if let instant = killAt, Clocks.monotonic >= instant {
                child.signalGroup(9)
                killAt = Clocks.monotonic + 1_000_000_000
            }
        }
        return try finish(ending)
    }

    private func finish(_ ending: Failure?) throws(Failure) -> ProcessEnding {
        // Before reaping: until then the group id cannot belong to anybody else.
        child.signalGroup(9)
        drain()
        let exit: ChildProcess.Exit
        do throws(SystemError) { exit = try child.reap() } catch {
            throw Failure("E-WAIT", "the process could not be waited for: \(error)", retry: .transient)
        }
        keep(filters.output.finish(), isError: false)
        keep(filters.error.finish(), isError: true)
        Orphans.end(marked: marks)
        if let ending {
            // Only an ended step is worth the look through /proc for what left its group.
            // Within the step: as whom it acts.
            _ = Host.killAll(marked: marks)
            throw ending
        }
        return ProcessEnding(
            exit: exit.wasKilled
                ? .signal(Int(exit.code), name: Host.signalName(exit.code)) : .code(Int(exit.code)),
            stdout: stdout, stdoutBytes: stdoutBytes, stderr: stderr)
    }

    private func feed() {
        guard let input = child.input else { return }
        while sent < request.input.count {
            guard let count = PipeCalls.write(input, request.input[sent...]) else {
                sent = request.input.count
                break
            }
            if count == 0 { return }
            sent += count
        }
        child.closeInput()
    }

    private func drain() {
        if let fd = child.output, drain(fd, isError: false) { child.closeOutput() }
        if let fd = child.error, drain(fd, isError: true) { child.closeError() }
    }
    /// True at the end of the stream.
    private func drain(_ fd: Int32, isError: Bool) -> Bool {
        // Bounded, so that one endless stream cannot keep us from looking at the clock.
        for _ in 0..<16 {
            switch PipeCalls.read(fd, into: buffer) {
            case .bytes(let count):
                let bytes = Array(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]))
                keep((isError ? filters.error : filters.output).pass(bytes), isError: isError)
            case .nothing: return false
            case .end: return true
            }
        }
        return false
    }
    private func keep(_ bytes: [UInt8], isError: Bool) {
        guard !bytes.isEmpty else { return }
        if isError {
            stderr += bytes
            if stderr.count > 2 * ProcessWatch.stderrKept {
                stderr.removeFirst(stderr.count - ProcessWatch.stderrKept)
            }
            log.add(bytes)
            return
        }
        stdoutBytes += bytes.count
        stdout += bytes.prefix(max(0, request.captureLimit - stdout.count))
        if !request.outputIsData { log.add(bytes) }
    }
}
