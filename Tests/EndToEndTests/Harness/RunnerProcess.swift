// What this is: one `bobbin up` or `bobbin run --runner X` as a process of its own.
// Owns: its start until the log says that it works, its signals, its end.
// Never: is shared between sites.
// On failure: throws with what the process said on standard error; whoever drops the object kills the process.
import Glibc
import LinuxSystem

final class RunnerProcess {
    let name: String
    private let child: ChildProcess
    private let errors: String
    private(set) var code: Int32?
    var pid: Int32 { child.pid }
    var pidfd: Int32 { child.pidfd }
    var isRunning: Bool { code == nil && !child.hasEnded }
    /// What it said on standard error.
    var said: String { Disk.text(errors) ?? "" }

    /// Starts it; does not wait.
    init(_ name: String, _ arguments: [String], site: String, environment: [String: String]) throws {
        self.name = name
        errors = "\(site)/\(name).err"
        // The shell gives the program a file for its words and becomes it.
        child = try ChildProcess.start(
            path: "/bin/sh",
            arguments: ["sh", "-c", "exec \"$0\" \"$@\" >>'\(errors)' 2>&1", Program.path] + arguments,
            environment: Program.environment(environment), directory: nil)
        child.closeInput()
    }
    deinit {
        if code == nil {
            kill(child.pid, SIGKILL)
            _ = try? child.reap()
        }
    }

    func signal(_ number: Int32) { if code == nil { kill(child.pid, number) } }

    /// The exit code, 128 and more for a signal; nil when it still runs at the deadline.
    func end(withinMilliseconds limit: Int) throws -> Int32? {
        if let code { return code }
        _ = Signals.poll([pidfd], until: Clocks.monotonic + Int64(limit) * 1_000_000)
        guard child.hasEnded else { return nil }
        let exit = try child.reap()
        code = exit.wasKilled ? 128 + exit.code : exit.code
        return code
    }
    func end(within seconds: Int = Signals.patience) throws -> Int32 {
        guard let code = try end(withinMilliseconds: seconds * 1000) else {
            throw Trouble("runner \(name) did not end within \(seconds) s: \(said)")
        }
        return code
    }
    /// kill -9, and waits until it is gone.
    @discardableResult
    func killNow() throws -> Int32 {
        signal(SIGKILL)
        return try end()
    }
}
