// What this is: how numbers of a report are said: shares, times, amounts, the same in every form of it.
// Owns: the roundings for people.
// Never: is read by programs: those have metrics.json.
// On failure: cannot fail; what is not known is a dash.
import JobModel

enum ReportWords {
    static let none = "–"
    static func percent(_ share: Double?) -> String {
        guard let share else { return none }
        let tenths = Int((share * 1000).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10) %" : "\(tenths / 10).\(tenths % 10) %"
    }
    static func time(_ milliseconds: Int?) -> String {
        guard let milliseconds else { return none }
        if milliseconds < 1000 { return "\(milliseconds) ms" }
        let seconds = milliseconds / 1000
        if seconds < 60 { return "\(seconds).\(milliseconds % 1000 / 100) s" }
        if seconds < 3600 { return "\(seconds / 60) min \(seconds % 60) s" }
        if seconds < 86_400 { return "\(seconds / 3600) h \(seconds % 3600 / 60) min" }
        return "\(seconds / 86_400) d \(seconds % 86_400 / 3600) h"
    }
    /// `24 hours`, `7 days`, `90 minutes`
    static func stretch(_ span: Span) -> String {
        let minutes = max(1, span.milliseconds / 60_000)
        func words(_ number: Int64, _ unit: String) -> String { "\(number) \(unit)\(number == 1 ? "" : "s")" }
        if minutes % 1440 == 0, minutes > 1440 { return words(minutes / 1440, "day") }
        return minutes % 60 == 0 ? words(minutes / 60, "hour") : words(minutes, "minute")
    }
    static func age(_ span: Span) -> String { time(Int(clamping: max(0, span.milliseconds))) }
    static func amount(_ number: Int) -> String {
        var digits = String(abs(number)), out = ""
        while digits.count > 3 {
            out = "\u{202F}" + digits.suffix(3) + out
            digits = String(digits.dropLast(3))
        }
        return (number < 0 ? "−" : "") + digits + out
    }
    static func bytes(_ number: Int) -> String {
        let units = ["B", "kB", "MB", "GB", "TB", "PB"]
        var value = Double(number), unit = 0
        while value >= 1000, unit < units.count - 1 { value /= 1000; unit += 1 }
        return unit == 0 ? "\(number) B" : "\((value * 10).rounded() / 10) \(units[unit])"
    }
    /// Without controls, and marks that turn the direction of what follows.
    static func visible(_ text: String) -> String {
        var out = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\u{0}"..."\u{8}", "\u{B}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{202A}"..."\u{202E}",
                "\u{2066}"..."\u{2069}":
                out.append("\u{FFFD}")
            default: out.append(scalar)
            }
        }
        return String(out)
    }
    /// `2026-11-28 21:05 UTC`
    static func moment(_ time: Timestamp) -> String {
        let text = time.civil(offsetSeconds: 0, withMilliseconds: false)
        return "\(text.prefix(10)) \(text.dropFirst(11).prefix(5)) UTC"
    }
}

/// What needs a person now.
public struct Attention: Sendable {
    public enum Kind: String, Sendable { case alert, approval, interrupted, cluster, trouble }
    public var kind: Kind
    public var text: String
    /// What to type.
    public var command: String
    /// Where it is told in full, below reports/.
    public var page: String?
    public init(_ kind: Kind, _ text: String, command: String, page: String? = nil) {
        self.page = page
        self.kind = kind
        self.text = text
        self.command = command
    }
}

extension Metrics {
    /// Alerts that nobody knows of, the gravest first; people; then clusters that are new or back.
    var needs: [Attention] {
        let open = firing.filter { !$0.isAcknowledged(now) }.prefix(20).map {
            Attention(
                .alert, "\($0.state.level == .critical ? "Critical" : "Warning"): \($0.sentence)",
                command: "bobbin alerts ack \($0.id) --for 4h")
        }
        return open + attention
            + clusters.filter { [.new, .reappeared].contains($0.status) && $0.count > 0 }.prefix(10).map {
                Attention(
                    .cluster, "\($0.status == .new ? "New" : "Back again"): \($0.displayName) (\($0.count))",
                    command: "bobbin requeue --cluster \($0.id)", page: "clusters/\($0.id).html")
            }
    }
    var firing: [Alert] {
        alerts.filter { $0.state.level != nil }.sorted {
            ($1.state.level ?? .warning, $0.id) < ($0.state.level ?? .warning, $1.id)
        }
    }
}
