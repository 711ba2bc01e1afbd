// What this is: how often and how soon something is tried again.
// Owns: the defaults (3 attempts in all, 5 s, x1.5, at most 5 min, +-20 %) and the delay formula.
// Never: counts attempts or waits; it is asked.
// On failure: nothing here fails.

public struct RetryPolicy: Hashable, Sendable {
    /// All attempts, the first included; 1 means no retry. Range 1 to 100.
    public var maxAttempts: Int
    public var baseDelay: Span
    public var backoffMultiplier: Double
    public var maxDelay: Span

    public static let standard = RetryPolicy(
        maxAttempts: 3, baseDelay: .seconds(5), backoffMultiplier: 1.5, maxDelay: .seconds(300))
    public static let none = RetryPolicy(
        maxAttempts: 1, baseDelay: .seconds(5), backoffMultiplier: 1.5, maxDelay: .seconds(300))
    /// Each delay is spread by this share to either side, so that failed runs do not come back in step.
    public static let jitter = 0.2

    public init(maxAttempts: Int, baseDelay: Span, backoffMultiplier: Double, maxDelay: Span) {
        self.maxAttempts = maxAttempts
        self.baseDelay = baseDelay
        self.backoffMultiplier = backoffMultiplier
        self.maxDelay = maxDelay
    }

    /// The delay after attempt `attempt` (from 1) failed: base x multiplier^(attempt-1), capped, spread by
    /// `random` in 0..<1.
    public func delay(afterAttempt attempt: Int, random: Double) -> Span {
        var delay = Double(baseDelay.nanoseconds)
        for _ in 1..<max(attempt, 1) where delay < Double(maxDelay.nanoseconds) { delay *= backoffMultiplier }
        delay = min(delay, Double(maxDelay.nanoseconds))
        let spread = 1 + RetryPolicy.jitter * (2 * random - 1)
        return Span(nanoseconds: Int64(delay * spread))
    }
}
