// What this is: charts of a page, as SVG with axes, a title for screen readers, and a table of the same numbers.
// Owns: scales that people read: steps of 1, 2 and 5.
// Never: needs a script; has a number that the table below it does not.
// On failure: cannot fail; of nothing there is a sentence instead.
import JobModel

enum Chart {
    private static let width = 720, height = 200, left = 58, right = 8, top = 12, bottom = 24

    static func hours(_ hours: [(runs: Int, failed: Int)], until now: Timestamp) -> String {
        let names = hours.indices.map { index -> String in
            let start = now.adding(.seconds(-3600 * Int64(hours.count - index)))
            return String(start.civil(offsetSeconds: 0, withMilliseconds: false).dropFirst(11).prefix(5))
        }
        return bars(
            hours, names, every: 3, "Hour from (UTC)",
            "Runs of the last \(ReportWords.stretch(.seconds(3600 * Int64(hours.count)))), an hour each")
    }
    static func days(_ days: [(runs: Int, failed: Int)], until now: Timestamp) -> String {
        let names = days.indices.map { index -> String in
            let start = now.adding(.seconds(-86_400 * Int64(days.count - index)))
            return String(start.civil(offsetSeconds: 0, withMilliseconds: false).dropFirst(5).prefix(5))
        }
        return bars(
            days, names, every: days.count > 10 ? 5 : 1, "24 hours from",
            "Runs of the last \(days.count) days")
    }

    private static func bars(
        _ values: [(runs: Int, failed: Int)], _ names: [String], every step: Int, _ unit: String,
        _ title: String
    ) -> String {
        guard values.contains(where: { $0.runs > 0 }) else { return "<p>No runs.</p>" }
        let scale = Scale(values.map(\.runs).max() ?? 1)
        var marks = scale.lines
        let slot = Double(width - left - right) / Double(max(1, values.count))
        for (index, value) in values.enumerated() {
            let x = Double(left) + Double(index) * slot + slot * 0.15
            let whole = scale.length(value.runs), failed = scale.length(value.failed)
            marks += rectangle(x, slot * 0.7, from: failed, whole - failed, "ok")
            marks += rectangle(x, slot * 0.7, from: 0, failed, "fail")
            if index % step == 0 {
                marks +=
                    "<text x=\"\(number(x + slot * 0.35))\" y=\"\(height - 6)\" text-anchor=\"middle\">\(names[index])</text>"
            }
        }
        let rows = zip(names, values).map { name, value in
            [name, ReportWords.amount(value.runs - value.failed), ReportWords.amount(value.failed)]
        }
        return figure(marks, title, key: true)
            + numbers(title, [unit, "Others", "Failed"], rows)
    }

    /// The most of each quarter of an hour, all queues together.
    static func depth(_ samples: [DepthSample], now: Timestamp) -> String {
        var byInstant: [Timestamp: Int] = [:]
        for sample in samples { byInstant[sample.at, default: 0] += sample.waiting }
        let slots = 96
        var most = [Int?](repeating: nil, count: slots)
        for (at, waiting) in byInstant {
            let index = slots - 1 - Int(now.since(at).nanoseconds / 900_000_000_000)
            if most.indices.contains(index) { most[index] = max(most[index] ?? 0, waiting) }
        }
        let known = most.compactMap { $0 }
        guard known.count > 1, let highest = known.max(), highest > 0 else {
            return "<p>Nothing waited when the queues were looked at, once a minute.</p>"
        }
        let scale = Scale(highest)
        var marks = scale.lines
        let step = Double(width - left - right) / Double(slots - 1)
        var path = "", isOpen = false
        for (index, value) in most.enumerated() {
            guard let value else { isOpen = false; continue }
            path +=
                "\(isOpen ? "L" : "M")\(number(Double(left) + Double(index) * step)) \(number(Double(height - bottom) - scale.length(value)))"
            isOpen = true
        }
        marks += "<path class=\"line\" d=\"\(path)\"/>"
        for hours in stride(from: 24, through: 0, by: -6) {
            let x = Double(left) + Double(24 - hours) / 24 * Double(width - left - right)
            let anchor = hours == 0 ? "end" : hours == 24 ? "start" : "middle"
            marks +=
                "<text x=\"\(number(x))\" y=\"\(height - 6)\" text-anchor=\"\(anchor)\">\(hours == 0 ? "now" : "−\(hours) h")</text>"
        }
        return figure(
            marks,
            "Drops that waited, the most of each quarter of an hour; highest \(ReportWords.amount(highest))",
            key: false)
    }

    private static func figure(_ marks: String, _ title: String, key: Bool) -> String {
        let legend =
            key
            ? "<p class=\"key\"><i style=\"background:var(--ok)\"></i>others<i style=\"background:var(--fail)\"></i>failed</p>"
            : ""
        return
            "<div class=\"wide chart\" tabindex=\"0\" role=\"region\" aria-label=\"Chart\"><svg viewBox=\"0 0 \(width) \(height)\" role=\"img\" aria-label=\"\(title)\">\(marks)</svg></div>\(legend)"
    }
    private static func numbers(_ title: String, _ head: [String], _ rows: [[String]]) -> String {
        "<details><summary>The numbers</summary>\(Html.table(title, head, rows))</details>"
    }
    private static func rectangle(
        _ x: Double, _ width: Double, from: Double, _ length: Double, _ kind: String
    ) -> String {
        guard length > 0 else { return "" }
        let y = Double(height - bottom) - from - length
        return
            "<rect class=\"\(kind)\" x=\"\(number(x))\" y=\"\(number(y))\" width=\"\(number(width))\" height=\"\(number(length))\"/>"
    }
    private static func number(_ value: Double) -> String { String((value * 10).rounded() / 10) }

    private struct Scale {
        let step: Int, end: Int
        init(_ highest: Int) {
            var step = 1
            for factor in [2.0, 2.5, 2].cycled() where highest > step * 5 {
                step = Int(Double(step) * factor)
            }
            self.step = step
            end = max(step, (highest + step - 1) / step * step)
        }
        func length(_ value: Int) -> Double { Double(value) / Double(end) * Double(height - top - bottom) }
        var lines: String {
            stride(from: 0, through: end, by: step).map { value in
                let y = Chart.number(Double(height - bottom) - length(value))
                return
                    "<line class=\"axis\" x1=\"\(left)\" x2=\"\(width - right)\" y1=\"\(y)\" y2=\"\(y)\"/><text x=\"\(left - 6)\" y=\"\(y)\" dy=\"4\" text-anchor=\"end\">\(ReportWords.amount(value))</text>"
            }.joined()
        }
    }
}

extension Array {
    /// As often as it takes to reach any Int by factors.
    fileprivate func cycled() -> [Element] { (0..<30).flatMap { _ in self } }
}
