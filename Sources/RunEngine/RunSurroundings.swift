// What this is: what a run needs from outside, handed in by whoever drives it (the daemon, `bobbin run JOB`, a test).
// Owns: the environment that steps start with.
// Never: passes the daemon's own environment on: a step sees what is listed here, its `env:`, and nothing else.
// On failure: nothing here fails.
import JobModel
import LinuxSystem

/// Where the facts of a run go. The daemon's is the journal.
public protocol RunRecorder: Sendable {
    /// Keeps the event; with `durable` it returns only when the event would survive a power cut.
    func record(_ event: RunEvent, of run: RunID, durable: Bool)
}

public struct RunSurroundings: Sendable {
    public var sitePath: String
    public var runsPath: String
    /// Opens (makes on first use) the directory of a run's logs and files.
    public var runDirectory: @Sendable (RunID) throws -> Directory
    public var baseEnvironment: ValueMap
    /// Gives a run the secrets that its job names; throws for the first that is not to be had.
    public var secrets: SecretSource
    public typealias SecretSource = @Sendable ([SecretNeed], Acceptance) throws(Failure) -> any SecretValues
    public var killGrace: Span
    /// As whom the steps of a run act; nil: as the service itself. Throws where it cannot be as it must.
    public var account: @Sendable (Submitter) throws(Failure) -> Account?
    /// What programs that steps start may not change; asked at each start.
    public var confinement: @Sendable () throws(SystemError) -> Confinement?
    /// Nil: nothing is known of the services that steps call, and every call goes.
    public var targets: (any TargetGate)?
    public static let standardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    public init(
        sitePath: String, runsPath: String, runDirectory: @escaping @Sendable (RunID) throws -> Directory,
        baseEnvironment: ValueMap = RunSurroundings.environment(),
        secrets: @escaping SecretSource = { (needs, _) throws(Failure) in try NoSecrets.refuse(needs) },
        killGrace: Span = Limits.killGrace, targets: (any TargetGate)? = nil,
        account: @escaping @Sendable (Submitter) throws(Failure) -> Account? = { (_) throws(Failure) in nil },
        confinement: @escaping @Sendable () throws(SystemError) -> Confinement? = { () throws(SystemError) in
            nil
        }
    ) {
        self.sitePath = sitePath
        self.runsPath = runsPath
        self.runDirectory = runDirectory
        self.baseEnvironment = baseEnvironment
        self.secrets = secrets
        self.killGrace = killGrace
        self.account = account
        self.confinement = confinement
        self.targets = targets
    }

    /// PATH, HOME, USER, LOGNAME, SHELL, LANG, TZ and TMPDIR as the service has them; everything else stays out.
    public static func environment() -> ValueMap {
        var variables = ValueMap()
        variables["PATH"] = .string(Host.environment("PATH") ?? standardPath)
        variables["SHELL"] = "/bin/sh"
        for name in ["HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR"] {
            if let value = Host.environment(name) { variables[name] = .string(value) }
        }
        variables["LANG"] = variables["LANG"] ?? "C.UTF-8"
        return variables
    }
}
