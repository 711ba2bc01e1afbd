// What this is: how often, how soon, and after what something is tried again.
// Owns: the defaults (3 attempts in all, 5 s, x1.5, at most 5 min, +-20 %), the delay formula, the words of `retry_on`.
// Never: counts attempts or waits; it is asked.
// On failure: nothing here fails.

public struct RetryPolicy: Hashable, Sendable {
    /// All attempts, the first included; 1 means no retry. Range 1 to 100.
    public var maxAttempts: Int
    public var baseDelay: Span
    public var backoffMultiplier: Double
    public var maxDelay: Span
    /// Each delay is spread by this share to either side, so that failed runs do not come back in step. 0 to 1.
    public var jitter = 0.2
    /// Failures that are tried again; nil: all of them.
    public var retryOn: [FailureMatch]?
    /// Failures that are not, whatever `retryOn` says.
    public var neverOn: [FailureMatch] = []
    /// Only what may be repeated after an unknown outcome is tried again.
    public var onlyIdempotent = false

    public static let standard = RetryPolicy(
        maxAttempts: 3, baseDelay: .seconds(5), backoffMultiplier: 1.5, maxDelay: .seconds(300))
    public static let none = RetryPolicy(
        maxAttempts: 1, baseDelay: .seconds(5), backoffMultiplier: 1.5, maxDelay: .seconds(300))

    public init(maxAttempts: Int, baseDelay: Span, backoffMultiplier: Double, maxDelay: Span) {
        self.maxAttempts = maxAttempts
        self.baseDelay = baseDelay
        self.backoffMultiplier = backoffMultiplier
        self.maxDelay = maxDelay
    }

    /// Whether a failure is one of those that are tried again. What can never go better is not, whoever names it.
    public func covers(_ failure: Failure) -> Bool {
        guard failure.retry != .never, !neverOn.contains(where: { $0.matches(failure) }) else { return false }
        return retryOn?.contains { $0.matches(failure) } ?? true
    }

    /// The delay after attempt `attempt` (from 1) failed: base x multiplier^(attempt-1), capped, spread by
    /// `random` in 0..<1.
    public func delay(afterAttempt attempt: Int, random: Double) -> Span {
        var delay = Double(baseDelay.nanoseconds)
        for _ in 1..<max(attempt, 1) where delay < Double(maxDelay.nanoseconds) { delay *= backoffMultiplier }
        delay = min(delay, Double(maxDelay.nanoseconds))
        let spread = 1 + jitter * (2 * random - 1)
        return Span(nanoseconds: Int64(min(delay * spread, Double(maxDelay.nanoseconds))))
    }
}

/// A word of `retry_on` and `never_on`.
public enum FailureMatch: Hashable, Sendable {
    /// `7`
    case exitCode(Int)
    /// `E-EXIT`, or `E-HTTP*` for all that begin so.
    case code(String)
    case timeout
    /// `transient`, `permanent`: what the failure says of itself.
    case retry(Failure.Retry)

    public init?(_ text: String) {
        if let code = Int(text) {
            guard (0...255).contains(code) else { return nil }
            self = .exitCode(code)
            return
        }
        switch text {
        case "timeout": self = .timeout
        case "transient": self = .retry(.transient)
        case "permanent": self = .retry(.permanent)
        default:
            let name = text.hasSuffix("*") ? text.dropLast() : text[...]
            guard name.hasPrefix("E-"), name.utf8.count > 2,
                name.utf8.allSatisfy({
                    $0 == 0x2D || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0)
                })
            else { return nil }
            self = .code(text)
        }
    }

    public func matches(_ failure: Failure) -> Bool {
        switch self {
        case .exitCode(let code): failure.exitCode == code
        case .code(let text):
            text.hasSuffix("*") ? failure.code.hasPrefix(text.dropLast()) : failure.code == text
        case .timeout: failure.kind == .timedOut
        case .retry(let retry): failure.retry == retry
        }
    }
}
