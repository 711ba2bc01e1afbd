// What this is: the classes that waits and durations are counted in.
// Owns: their bounds; the same for the history, which counts, and the metrics, which name them.
// Never: changes a bound without a new migration of the history, which counts afresh.
// On failure: cannot fail; what is longer than the last bound is in the class above it.

public enum DurationBuckets {
    /// Upper bounds in milliseconds, each included: from a step of a shell to a day.
    public static let bounds: [Int] = [
        50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000,
        14_400_000, 86_400_000,
    ]
    /// The class of a duration: an index into `bounds`, or their number for what is longer.
    public static func index(of milliseconds: Int) -> Int {
        bounds.firstIndex { milliseconds <= $0 } ?? bounds.count
    }
}
