// What this is: the id of a run: 26 characters that sort by time (the ULID form: 48 bits of milliseconds, 80 random).
// Owns: RunID, its alphabet (Crockford base 32) and the rule that ids of one maker always rise.
// Never: reads the clock or the random source; both are given.
// On failure: text that is not an id gives nil.

public struct RunID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let text: String
    public var description: String { text }

    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)
    public static let length = 26

    public init?(_ text: some StringProtocol) {
        guard text.utf8.count == RunID.length else { return nil }
        for byte in text.utf8 where !RunID.isDigit[Int(byte)] { return nil }
        self.text = String(text)
    }
    /// By byte: a start reads an id with each record of the journal, so no search in the alphabet.
    private static let isDigit = (UInt8.min...UInt8.max).map(RunID.alphabet.contains)

    init(high: UInt64, low: UInt64) {
        text = String(unsafeUninitializedCapacity: RunID.length) { buffer in
            var (high, low) = (high, low)
            for index in stride(from: RunID.length - 1, through: 0, by: -1) {
                buffer[index] = RunID.alphabet[Int(low & 31)]
                low = low >> 5 | high << 59
                high >>= 5
            }
            return RunID.length
        }
    }

    /// The same id for the same thing: an instant, and ten bytes of a digest of what happens then.
    public static func derived(at instant: Timestamp, digest: some Sequence<UInt8>) -> RunID {
        let bytes = Array(digest.prefix(10))
        precondition(bytes.count == 10, "ten bytes make an id")
        let milliseconds = UInt64(max(0, instant.milliseconds)) & 0xFFFF_FFFF_FFFF
        let low = bytes[2...].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return RunID(high: milliseconds << 16 | UInt64(bytes[0]) << 8 | UInt64(bytes[1]), low: low)
    }

    public static func < (left: RunID, right: RunID) -> Bool { left.text < right.text }

    /// The instant the id was made.
    public var time: Timestamp {
        var milliseconds: Int64 = 0
        for byte in text.utf8.prefix(10) {
            milliseconds = milliseconds << 5 | Int64(RunID.alphabet.firstIndex(of: byte) ?? 0)
        }
        return Timestamp(nanoseconds: milliseconds &* 1_000_000)
    }

    /// Whether this text can begin an id: used where people type a prefix.
    public static func isPrefix(_ text: String) -> Bool {
        (1...length).contains(text.utf8.count) && text.uppercased().utf8.allSatisfy(alphabet.contains)
    }
}

/// Makes ids that rise even within one millisecond and when the clock steps back.
public struct RunIDMaker: Sendable {
    private var high: UInt64 = 0
    private var low: UInt64 = 0

    public init() {}

    /// The next id. `random` is 80 fresh random bits in two words (16 and 64).
    public mutating func next(now: Timestamp, random: (UInt16, UInt64)) -> RunID {
        let milliseconds = UInt64(max(0, now.milliseconds)) & 0xFFFF_FFFF_FFFF
        if milliseconds > high >> 16 {
            // The top bit stays clear, so that counting up inside a millisecond has room.
            high = milliseconds << 16 | UInt64(random.0 & 0x7FFF)
            low = random.1
        } else {
            let sum = low.addingReportingOverflow(1 + random.1 >> 40)
            low = sum.partialValue
            if sum.overflow { high += 1 }
        }
        return RunID(high: high, low: low)
    }
}
