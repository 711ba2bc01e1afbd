// What this is: spool/log/bobbin.log: the daemon's own lines: time, level, component, run, text.
// Owns: the open log file; one write a line or a group of lines.
// Never: prints job output, secrets or raw control characters; stops anything when the disk is full.
// On failure: a line that cannot be written goes to standard error; there is nowhere else to tell it.
import JobModel
import LinuxSystem
import SpoolQueue
import YamlText

public final class DaemonLog: Sendable {
    public enum Level: String, Sendable { case info, warn, error }
    private let directory: Directory
    private let file: Monitor<Current?>
    private struct Current {
        var file: OpenFile
        var lookedAt: Int64
    }
    /// How often it is looked whether the log was set aside: what is written meanwhile goes to the old one.
    private static let lookEvery = Span.seconds(1).nanoseconds
    private let echo: Bool

    /// With `echo`, warnings and errors are shown on standard error as well.
    public init(_ directory: Directory, echo: Bool) {
        self.directory = directory
        self.echo = echo
        file = Monitor(nil)
    }

    public func info(_ component: String, _ text: String, run: RunID? = nil) {
        write([line(.info, component, text, run)])
    }
    public func warn(_ component: String, _ text: String, run: RunID? = nil) {
        write([line(.warn, component, text, run)])
    }
    public func error(_ component: String, _ text: String, run: RunID? = nil) {
        write([line(.error, component, text, run)])
    }

    public func line(_ level: Level, _ component: String, _ text: String, _ run: RunID?) -> (Level, String) {
        let now = Timestamp(nanoseconds: Clocks.wall).rfc3339
        return (
            level, "\(now) \(level.rawValue) \(component) \(run?.text ?? "-") \(Printable.escape(text))\n"
        )
    }

    public func write(_ lines: [(Level, String)]) {
        guard !lines.isEmpty else { return }
        let bytes = Array(lines.map(\.1).joined().utf8)
        let failed = file.with { file -> Bool in
            do {
                let now = Clocks.monotonic
                if let known = file, now - known.lookedAt >= DaemonLog.lookEvery {
                    // Set aside, or moved by logrotate: the next line belongs to a new one.
                    let there = try directory.statusIfPresent(SpoolName.logFile)?.identity
                    file =
                        try known.file.status().identity == there
                        ? Current(file: known.file, lookedAt: now) : nil
                }
                if file == nil {
                    file = Current(file: try directory.openForAppending(SpoolName.logFile), lookedAt: now)
                }
                try file?.file.append(bytes)
                return false
            } catch {
                file = nil
                return true
            }
        }
        for (level, text) in lines where failed || (echo && level != .info) { StandardError.write(text) }
    }
    /// Opens the file anew with the next line, after logrotate moved it.
    public func reopen() { file.with { $0 = nil } }
}
