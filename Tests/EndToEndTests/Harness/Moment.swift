// What this is: instants and reproducible chance for the suite.
// Owns: deadlines on the monotonic clock, the seeded generator, its seed.
// Never: decides by the wall clock.
// On failure: nothing here fails. BOBBIN_SEED repeats a run.
import LinuxSystem

enum Moment {
    static func after(milliseconds: Int) -> Int64 { Clocks.monotonic + Int64(milliseconds) * 1_000_000 }
}

/// SplitMix64: small, and the same everywhere.
struct Chance: RandomNumberGenerator {
    let seed: UInt64
    private var state: UInt64
    init(_ what: String) {
        seed = Host.environment("BOBBIN_SEED").flatMap { UInt64($0) } ?? Clocks.randomBits().1
        state = seed
        print("\(what): BOBBIN_SEED=\(seed)")
    }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
