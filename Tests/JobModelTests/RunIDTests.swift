// What this is: ids of runs: 26 characters that rise.
// Owns: order under clock steps, the text form, the instant an id was made.
// Never: reads a clock or a random source: both are given.
// On failure: the two ids that stand in the wrong order are in the message.
// The alphabet is Crockford's; a second implementation here decodes it.
import TestKit
import Testing

@testable import JobModel

private let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ")

/// The milliseconds in the first ten characters, decoded independently.
private func milliseconds(_ id: RunID) throws -> Int64 {
    try id.text.prefix(10).reduce(0) { try $0 * 32 + Int64(#require(alphabet.firstIndex(of: $1))) }
}

@Suite struct RunIDTests {
    @Test func idsRiseWhateverTheClockDoes() {
        var random = SeededRandom(seed: 1)
        for _ in 0..<20 {
            var maker = RunIDMaker()
            var clock = Int64(random.below(2_000_000_000)) * 1_000_000
            var last: RunID?
            for _ in 0..<2000 {
                switch random.below(6) {
                case 0: clock += Int64(random.below(5_000_000))
                case 1: clock -= Int64(random.below(3_600_000)) * 1_000_000
                case 2: clock = -clock
                default: break
                }
                let bits: (UInt16, UInt64) =
                    random.chance(3)
                    ? (.max, .max) : (UInt16(truncatingIfNeeded: random.next()), random.next())
                let id = maker.next(now: Timestamp(nanoseconds: clock), random: bits)
                if let last, !(last < id) { Issue.record("\(last) is not before \(id)") }
                last = id
            }
        }
    }
    @Test func theTimeIsInTheID() throws {
        var random = SeededRandom(seed: 2)
        for _ in 0..<500 {
            var maker = RunIDMaker()
            let now = Timestamp(
                nanoseconds: Int64.random(in: 0...(9_000_000_000_000_000_000), using: &random))
            let id = maker.next(now: now, random: (UInt16(truncatingIfNeeded: random.next()), random.next()))
            #expect(try milliseconds(id) == now.milliseconds)
            #expect(id.time.nanoseconds == now.milliseconds * 1_000_000)
            #expect(id.text.count == RunID.length)
            #expect(id.text.allSatisfy(alphabet.contains))
            #expect(RunID(id.text) == id)
        }
    }
    @Test func orderIsTheOrderOfTime() {
        var random = SeededRandom(seed: 3)
        let times = (0..<300).map { _ in Int64(random.below(4_000_000_000_000)) }
        let ids = times.map { time -> RunID in
            var maker = RunIDMaker()
            return maker.next(now: Timestamp(nanoseconds: time * 1_000_000), random: (0, random.next()))
        }
        for (left, right) in zip(times.indices, times.indices.dropFirst()) where times[left] != times[right] {
            #expect((ids[left] < ids[right]) == (times[left] < times[right]))
        }
    }
    @Test(arguments: [
        "", "01ARZ3NDEKTSV4RRFFQ69G5FA", "01ARZ3NDEKTSV4RRFFQ69G5FAVX", "01arz3ndektsv4rrffq69g5fav",
        "01ARZ3NDEKTSV4RRFFQ69G5FAI", "01ARZ3NDEKTSV4RRFFQ69G5FAL", "01ARZ3NDEKTSV4RRFFQ69G5FAO",
        "01ARZ3NDEKTSV4RRFFQ69G5FAU", "01ARZ3NDEKTSV4RRFFQ69G5F/.", "../../../../../../../../../",
    ])
    func refuses(text: String) { #expect(RunID(text) == nil) }

    @Test func everyTextOfTheAlphabetHasATimeWithoutATrap() throws {
        for character in alphabet {
            let id = try #require(RunID(String(repeating: character, count: RunID.length)))
            _ = id.time.rfc3339
        }
    }
    @Test func prefixes() {
        #expect(
            RunID.isPrefix("0") && RunID.isPrefix("01arz") && RunID.isPrefix("01ARZ3NDEKTSV4RRFFQ69G5FAV"))
        #expect(!RunID.isPrefix("") && !RunID.isPrefix("01ARZ3NDEKTSV4RRFFQ69G5FAVX") && !RunID.isPrefix("I"))
        #expect(!RunID.isPrefix("a.yaml") && !RunID.isPrefix("é"))
    }
}
