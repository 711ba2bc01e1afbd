// What this is: why something did not work, in the form that every result, reason file and message shows.
// Owns: Failure and the question whether another try makes sense.
// Never: carries secret values; whoever builds one passes only what may be shown.
// On failure: it is the failure.

/// What went wrong, for a person: a stable code, a sentence, and what to do.
public struct Failure: Error, Hashable, Sendable {
    /// How the step ended; decides the final state of the run.
    public enum Kind: String, Sendable, CaseIterable {
        case failed, timedOut = "timed_out", cancelled, denied, interrupted
    }
    /// Whether another attempt may help: `never` for mistakes in the job itself, `permanent` for checks that said no
    /// (only the job's own `retry:` tries those again), `transient` for the world outside.
    public enum Retry: String, Sendable, CaseIterable { case never, permanent, transient }

    public var code: String
    public var message: String
    public var whatToDo: String
    public var kind: Kind
    public var retry: Retry
    /// The step's place, once known.
    public var step: String?
    /// Of the program whose exit was the failure.
    public var exitCode: Int?
    /// What it says about the service that was called; known while the step runs, and not recorded.
    public var target: TargetOutcome?

    /// The host had no process, memory or descriptor to start a program with: nothing has begun.
    public static let notSpawned = "E-SPAWN"
    /// A step that holds others was cut short by what failed beside it: it has no failure of its own.
    public static let halted = "E-HALTED"

    public init(
        _ code: String, _ message: String, whatToDo: String = "", kind: Kind = .failed,
        retry: Retry = .permanent,
        step: String? = nil, exitCode: Int? = nil
    ) {
        self.code = code
        self.message = message
        self.whatToDo = whatToDo
        self.kind = kind
        self.retry = retry
        self.step = step
        self.exitCode = exitCode
    }

    /// The same, as a sign that the service that was called is down.
    public var blamingTarget: Failure {
        var failure = self
        failure.target = .down(code)
        return failure
    }
}
