// What this is: a length of time as the job language writes it: 90s 10m 2h 1d, 500ms, 1h30m.
// Owns: Span, its reading and its writing.
// Never: measures time.
// On failure: text that is no duration gives nil; lengths past 100 years are refused so that sums cannot overflow.

/// A length of time in nanoseconds, zero or more when read from text.
public struct Span: Hashable, Comparable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    public static func milliseconds(_ count: Int64) -> Span { Span(nanoseconds: count * 1_000_000) }
    public static func seconds(_ count: Int64) -> Span { Span(nanoseconds: count * 1_000_000_000) }
    public static func < (left: Span, right: Span) -> Bool { left.nanoseconds < right.nanoseconds }
    public static let zero = Span(nanoseconds: 0)
    static let longest = Span.seconds(100 * 366 * 86_400)

    public var milliseconds: Int64 { nanoseconds / 1_000_000 }
    public var inSeconds: Double { Double(nanoseconds) / 1e9 }

    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000),
        ("ms", 1_000_000),
    ]

    /// Reads `90s`, `1h30m`, `1.5s`, `250ms` or a bare number of seconds.
    public init?(_ text: String) {
        var rest = Substring(text)
        // Whole and broken parts apart: a Double holds no more than 53 bits.
        var whole: Int64 = 0
        var broken = 0.0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            guard let amount = Double(number), amount >= 0 else { return nil }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest.dropFirst(unit.count)
            if unit.isEmpty, !rest.isEmpty || number.count != text.count { return nil }
            guard
                let scale = unit.isEmpty
                    ? 1_000_000_000 : Span.units.first(where: { $0.name == unit })?.nanoseconds
            else { return nil }
            guard amount * Double(scale) <= Double(Span.longest.nanoseconds) else { return nil }
            let count = Int64(amount)
            whole += count * scale
            broken += (amount - Double(count)) * Double(scale)
            // Checked at each part, so that no sum overflows.
            guard whole <= Span.longest.nanoseconds else { return nil }
        }
        let total = whole + Int64(broken.rounded())
        guard total <= Span.longest.nanoseconds else { return nil }
        nanoseconds = total
    }

    /// Reads a value of the job language: a duration text or a number of seconds.
    public init?(_ value: Value) {
        switch value {
        case .string(let text): self.init(text)
        case .int(let seconds): self.init(String(seconds))
        case .double(let seconds) where seconds.isFinite && seconds >= 0 && seconds < 3e9:
            self.init(nanoseconds: Int64((seconds * 1e9).rounded()))
        default: return nil
        }
    }

    /// The shortest exact text: `1h30m`, `90s` is `1m30s`, `250ms`.
    public var text: String {
        guard nanoseconds >= 1_000_000 else { return "0s" }
        var rest = nanoseconds
        var out = ""
        for unit in Span.units where rest >= unit.nanoseconds {
            out += String(rest / unit.nanoseconds) + unit.name
            rest %= unit.nanoseconds
        }
        return out
    }
}
