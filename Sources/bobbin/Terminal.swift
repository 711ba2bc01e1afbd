// What this is: what goes to a person's screen: tables, ages, colours, escaped text.
// Owns: NO_COLOR, whether standard output is a terminal, the widths of columns.
// Never: prints raw control characters of foreign text.
// On failure: nothing here fails.
import Glibc
import JobModel
import LinuxSystem
import YamlText

enum Terminal {
    static let isTerminal = isatty(1) == 1
    static let hasColor =
        isTerminal && (Host.environment("NO_COLOR") ?? "").isEmpty && Host.environment("TERM") != "dumb"

    static func complain(_ text: String) { StandardError.write(text + "\n") }
    static func escape(_ text: String) -> String { Printable.escape(text) }

    enum Color: String { case red = "31", green = "32", yellow = "33", dim = "2", bold = "1" }
    static func paint(_ text: String, _ color: Color) -> String {
        hasColor ? "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m" : text
    }
    static func paint(state: String) -> String {
        switch state {
        case "succeeded": paint(state, .green)
        case "failed", "timed_out", "denied": paint(state, .red)
        case "cancelled", "skipped": paint(state, .dim)
        default: paint(state, .yellow)
        }
    }

    /// Columns as wide as their widest cell; the last one is not padded. Paint only last columns.
    static func table(_ rows: [[String]], indent: String = "") -> String {
        guard let columns = rows.map(\.count).max() else { return "" }
        let widths = (0..<columns).map { column in
            rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            let cells = row.enumerated().map { index, cell in
                index == row.count - 1
                    ? cell : cell + String(repeating: " ", count: max(0, widths[index] - cell.count))
            }
            return indent + cells.joined(separator: "  ")
        }.joined(separator: "\n")
    }

    /// `3 s`, `12 min`, `5 h`, `2 d`.
    static func age(_ span: Span) -> String {
        let seconds = max(0, span.nanoseconds / 1_000_000_000)
        if seconds < 120 { return "\(seconds) s" }
        if seconds < 7200 { return "\(seconds / 60) min" }
        return seconds < 172_800 ? "\(seconds / 3600) h" : "\(seconds / 86_400) d"
    }
    static var now: Timestamp { Timestamp(nanoseconds: Clocks.wall) }

    static func print(json value: Value) { Swift.print(JSONText.write(value, pretty: true)) }
}
