// What this is: the port between whoever drives a run and whoever knows how to do a step.
// Owns: StepAction, StepContext (what a step may ask for) and the plain requests and answers they exchange.
// Never: implements either side: RunEngine gives the context, StepLibrary the actions.
// On failure: actions throw Failure; a context call throws when the run was cancelled or its time is up.

/// How one step type does its work.
public protocol StepAction: Sendable {
    var type: StepType { get }
    /// Performs the step. `arguments` are rendered, typed and complete (defaults filled in).
    /// Returns what later steps can use; throws Failure.
    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap
    /// The service outside that the step calls, as `host:port`; nil where it calls none, or its arguments are no good.
    func target(_ arguments: ValueMap) -> String?
}

extension StepAction {
    public func target(_ arguments: ValueMap) -> String? { nil }
}

/// What a step may ask of its surroundings.
public protocol StepContext: AnyObject {
    var runID: RunID { get }
    /// Stable over all attempts of this step of this run.
    var idempotencyKey: String { get }
    var attempt: Int { get }
    /// An earlier start of this very step may have had part of its effect.
    var isRerun: Bool { get }
    /// Relative paths of the job are below this directory (the site).
    var baseDirectory: String { get }
    /// A private file of this run that survives a crash (`spool/runs/<id>/<name>`); the directory is made on first use.
    func runFile(_ name: String) throws(Failure) -> String
    /// Adds a line to the step's log.
    func log(_ line: String) throws(Failure)
    /// Throws when the run was cancelled, the step's or the run's time is up, or the runner must stop.
    func checkpoint() throws(Failure)
    /// Waits, unless something ends the step first.
    func pause(_ span: Span) throws(Failure)
    /// After this the step has only to return: the run waits without a slot, until that instant or until what it waits for
    /// is over, and then the step is performed again. What it returned is then in `before`.
    func suspend(_ reason: Wait.Reason, until: Timestamp?)
    /// What the step returned before the run waited for its sake; nil at its first start.
    var before: ValueMap? { get }
    /// Names this try of the step among all that the run makes, the retries of what holds it among them; the same again
    /// after a crash.
    var effort: String { get }
    /// What people have said to the question with this nonce; nil before it is asked.
    func approval(_ nonce: String) -> Approval?
    /// What comes after this step, as far as it is known: a map for each step, masked.
    func upcoming() -> [Value]
    /// When this attempt of the step began, waits and all.
    var began: Timestamp { get }
    /// What the job was accepted on.
    var terms: Terms { get }
    var submitter: Submitter { get }
    /// Whether the step acts as another account than the service's own: then nothing of what that account gives us may be taken
    /// apart by a library of C within the service.
    var actsForAnother: Bool { get }
    /// Runs a program to its end within the step's time, its whole process group included.
    func run(_ request: ProcessRequest) throws(Failure) -> ProcessEnding
}

extension StepContext {
    public var actsForAnother: Bool { false }
}

public struct ProcessRequest: Sendable {
    public var arguments: [String]
    public var environment: ValueMap
    public var workingDirectory: String?
    public var input: [UInt8]
    /// Bytes of standard output kept for `stdout`; the log keeps more.
    public var captureLimit: Int
    /// Standard output is data (an HTTP body), so it does not go to the log.
    public var outputIsData: Bool
    /// The program goes on beside the next steps; it is ended with the run, and when the run is parked.
    public var isDetached = false
    /// Each is a file in memory: the program finds its name in the variable, and nobody else finds it at all.
    public var secretFiles: [SecretFile] = []
    public static let mostSecretFiles = 16

    public struct SecretFile: Sendable {
        public var variable: String
        public var bytes: [UInt8]
        public init(variable: String, bytes: [UInt8]) {
            self.variable = variable
            self.bytes = bytes
        }
    }

    public init(
        _ arguments: [String], environment: ValueMap = [:], workingDirectory: String? = nil,
        input: [UInt8] = [],
        captureLimit: Int = 65_536, outputIsData: Bool = false
    ) {
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.input = input
        self.captureLimit = captureLimit
        self.outputIsData = outputIsData
    }
}

public struct ProcessEnding: Sendable {
    public enum Exit: Hashable, Sendable {
        case code(Int)
        case signal(Int, name: String)
        /// It goes on: the request was detached.
        case running(pid: Int)
    }
    public var exit: Exit
    public var stdout: [UInt8]
    public var stdoutBytes: Int
    public var stderr: [UInt8]

    public init(exit: Exit, stdout: [UInt8], stdoutBytes: Int, stderr: [UInt8]) {
        self.exit = exit
        self.stdout = stdout
        self.stdoutBytes = stdoutBytes
        self.stderr = stderr
    }
}
