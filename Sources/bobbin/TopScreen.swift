// What this is: the screen of `bobbin top`: queues above, below them a list to walk through, keys in the last line.
// Owns: what fits where, at any size from 40 by 8 on; what can be done with each line of the list.
// Never: reads anything; is wider or longer than it is told to be.
// On failure: cannot fail; on a screen that is too small the list is what is left.
import BobbinDaemon
import JobModel

struct TopScreen {
    struct Item: Hashable {
        enum Kind: Hashable { case running, asking, waiting, failed, cluster, alert }
        var kind: Kind
        var id: String
        var text: String
        var color: Terminal.Color?
    }
    struct Queue: Hashable {
        var name: String
        /// By priority; nil: this queue has no such priority.
        var waiting: [Int?]
        var running: String
        var parked: Int
        var oldest: String
    }
    struct Content: Hashable {
        var head = ""
        var trouble: [String] = []
        var queues: [Queue] = []
        var sections: [Section] = []
    }
    struct Section: Hashable {
        var title: String
        var items: [Item]
        /// How many there are; the list may be shorter.
        var count: Int
    }

    var content = Content()
    /// The item that is chosen, by what it is, so that it stays chosen when the list moves.
    private(set) var chosen: Item?
    /// Instead of the keys, until the next one.
    var message = ""

    private var items: [Item] { content.sections.flatMap(\.items) }

    mutating func show(_ content: Content) {
        let place = index
        self.content = content
        // What is gone gives its place to what is there now.
        chosen = items.first { $0.id == chosen?.id && $0.kind == chosen?.kind } ?? item(at: place)
    }
    private var index: Int { items.firstIndex { $0.id == chosen?.id && $0.kind == chosen?.kind } ?? 0 }
    private func item(at index: Int) -> Item? {
        items.isEmpty ? nil : items[min(max(index, 0), items.count - 1)]
    }
    mutating func move(_ steps: Int) { chosen = item(at: index + steps) }

    /// What the keys do with what is chosen: the key, its word, the verb's words.
    static func deeds(_ item: Item) -> [(key: Character, word: String, verb: [String])] {
        let id = item.id
        switch item.kind {
        case .running:
            return [
                ("s", "show", ["show", id]), ("l", "log", ["log", id]), ("c", "cancel", ["cancel", id]),
            ]
        case .asking:
            return [
                ("a", "approve", ["approve", id]), ("d", "deny", ["deny", id]), ("s", "show", ["show", id]),
                ("l", "log", ["log", id]), ("c", "cancel", ["cancel", id]),
            ]
        case .waiting:
            return [
                ("s", "show", ["show", id]), ("l", "log", ["log", id]), ("c", "cancel", ["cancel", id]),
            ]
        case .failed:
            return [
                ("s", "show", ["show", id]), ("l", "log", ["log", id]), ("r", "requeue", ["requeue", id]),
            ]
        case .cluster:
            return [("s", "show", ["clusters"]), ("r", "requeue all", ["requeue", "--cluster", id])]
        case .alert:
            return [("s", "show", ["alerts"]), ("m", "mute 4 h", ["alerts", "ack", id, "--for", "4h"])]
        }
    }
    /// Keys that change something are asked about first.
    static func needsYes(_ key: Character) -> Bool { "adcrm".contains(key) }

    // MARK: as lines

    func lines(columns: Int, rows: Int) -> [String] {
        var top = [TopScreen.reversed(TopScreen.fit(content.head, columns))]
        for line in content.trouble.prefix(2) {
            top.append(Terminal.paint(TopScreen.fit(line, columns), .red))
        }
        let room = rows - top.count - 1
        if room >= 10 {
            let most = max(1, room / 3 - 1)
            top += table(columns, content.queues.prefix(most))
            if content.queues.count > most {
                top.append(Terminal.paint("  … and \(content.queues.count - most) more queues", .dim))
            }
        }
        let height = max(1, rows - top.count - 1)
        var list: [String] = [], place = 0
        for section in content.sections where section.count > 0 {
            let more = section.count > section.items.count ? ", the first \(section.items.count)" : ""
            list.append(
                Terminal.paint(TopScreen.fit("\(section.title) (\(section.count)\(more))", columns), .bold))
            for item in section.items {
                let isChosen = item.id == chosen?.id && item.kind == chosen?.kind
                if isChosen { place = list.count }
                let text = TopScreen.fit((isChosen ? "> " : "  ") + item.text, columns)
                list.append(
                    isChosen ? TopScreen.reversed(text) : item.color.map { Terminal.paint(text, $0) } ?? text)
            }
        }
        if list.isEmpty { list.append("  nothing runs, waits or has failed") }
        let start = max(0, min(place - height / 2, list.count - height))
        var middle = Array(list[start..<min(list.count, start + height)])
        while middle.count < height { middle.append("") }
        return (top + middle + [foot(columns)]).suffix(rows).map { $0 }
    }

    private func foot(_ columns: Int) -> String {
        if !message.isEmpty { return Terminal.paint(TopScreen.fit(message, columns), .yellow) }
        let deeds = chosen.map { TopScreen.deeds($0).map { "\($0.key) \($0.word)" } } ?? []
        return Terminal.paint(
            TopScreen.fit((deeds + ["↑↓ move", "q quit"]).joined(separator: "  "), columns), .dim)
    }

    private func table(_ columns: Int, _ queues: ArraySlice<Queue>) -> [String] {
        let levels = queues.map(\.waiting.count).max() ?? 0
        let name = max(5, min(20, queues.map { TopScreen.width($0.name) }.max() ?? 5))
        func cell(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - TopScreen.width(text))) + text
        }
        func line(_ first: String, _ cells: [String], _ last: [String]) -> String {
            let widths = [7, 7, 9]
            let text =
                TopScreen.fit(first, name).padded(name)
                + cells.map { " " + cell($0, 3) }.joined()
                + zip(last, widths).map { cell($0, $1) }.joined()
            return TopScreen.fit(text, columns)
        }
        let head = line(
            "QUEUE", (0..<levels).map { "P\($0 + 1)" }, ["RUN", "PARKED", "OLDEST"])
        return [Terminal.paint(head, .bold)]
            + queues.map { queue in
                line(
                    queue.name,
                    queue.waiting.map { $0.map { $0 == 0 ? "·" : TopScreen.short($0) } ?? "" }
                        + Array(repeating: "", count: levels - queue.waiting.count),
                    [queue.running, String(queue.parked), queue.oldest])
            }
    }

    /// At most three characters: `999`, `12k`, `.3M`, `99M`.
    static func short(_ number: Int) -> String {
        switch number {
        case ..<1_000: String(number)
        case ..<100_000: "\(number / 1000)k"
        case ..<1_000_000: ".\(number / 100_000)M"
        default: "\(min(99, number / 1_000_000))M"
        }
    }
    private static func reversed(_ text: String) -> String {
        Terminal.hasColor ? "\u{1B}[7m\(text)\u{1B}[0m" : text
    }
    /// Cut to so many cells of the screen.
    static func fit(_ text: String, _ columns: Int) -> String {
        guard width(text) > columns else { return text }
        var out = "", used = 0
        for character in text {
            let more = width(String(character))
            guard used + more < columns else { break }
            out.append(character)
            used += more
        }
        return out + "…"
    }
    /// Cells: two for what is wide in East Asia and for pictures (Unicode's annex 11, roughly), none for what joins.
    static func width(_ text: String) -> Int {
        text.unicodeScalars.reduce(0) { sum, scalar in
            switch scalar.value {
            case 0x300...0x36F, 0x200B...0x200F, 0xFE00...0xFE0F: sum
            case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
                0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
                sum + 2
            default: sum + 1
            }
        }
    }
}

extension String {
    fileprivate func padded(_ width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - TopScreen.width(self)))
    }
}
