// What this is: a count that several threads may raise.
// Owns: one atomic integer.
// Never: orders anything else.
// On failure: nothing here fails.
import Synchronization

public final class Counter: Sendable {
    private let value = Atomic<Int>(0)
    public init() {}
    /// Adds one and returns the new count.
    @discardableResult public func increment() -> Int { value.add(1, ordering: .relaxed).newValue }
    public func add(_ amount: Int) { value.add(amount, ordering: .relaxed) }
    public var count: Int { value.load(ordering: .relaxed) }
}
