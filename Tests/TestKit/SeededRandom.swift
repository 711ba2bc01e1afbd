// What this is: random numbers that are the same in every run (SplitMix64), and small helpers on them.
// Owns: the sequence of one seed.
// Never: is used outside of tests; draws from the system's generator.
// On failure: cannot fail.
// The seed of a failing case is in its message, so each failure repeats.

public struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
    public mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
    public mutating func chance(_ one: Int) -> Bool { below(one) == 0 }
    public mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }
}
