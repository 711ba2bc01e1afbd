// What this is: the rule of `rename`: text with placeholders in single braces.
// Owns: {basename} {stem} {ext} {index} {index:3} {date}.
// Never: makes a path: a slash in a name is refused.
// On failure: E-RENAME-RULE, before any file is touched.
import JobModel

struct RenameRule {
    static let summary =
        "{basename} whole name, {stem} without ending, {ext} ending without dot, {index} from 1, {index:3} "
        + "with three digits, {date} today"

    private enum Part {
        case text(String)
        case basename, stem, ending, date
        case index(width: Int)
    }
    private var parts: [Part] = []
    private let date: String

    init(_ text: String, date: String) throws(Failure) {
        self.date = date
        var rest = text[...]
        while let open = rest.firstIndex(of: "{") {
            guard let close = rest[open...].firstIndex(of: "}") else {
                throw RenameRule.refusal("a `{` is not closed")
            }
            if open != rest.startIndex { parts.append(.text(String(rest[..<open]))) }
            parts.append(try RenameRule.part(String(rest[rest.index(after: open)..<close])))
            rest = rest[rest.index(after: close)...]
        }
        if !rest.isEmpty { parts.append(.text(String(rest))) }
    }

    private static func part(_ word: String) throws(Failure) -> Part {
        switch word {
        case "basename": return .basename
        case "stem": return .stem
        case "ext": return .ending
        case "date": return .date
        case "index": return .index(width: 1)
        default:
            guard word.hasPrefix("index:"), let width = Int(word.dropFirst(6)), (1...12).contains(width)
            else {
                throw refusal("there is no placeholder {\(word)}")
            }
            return .index(width: width)
        }
    }

    /// The new name of the `index`th file, from 1.
    func name(for name: String, index: Int) throws(Failure) -> String {
        let old = FileName(name)
        let new = parts.map { part in
            switch part {
            case .text(let text): text
            case .basename: name
            case .stem: old.stem
            case .ending: old.ending
            case .date: date
            case .index(let width):
                String(repeating: "0", count: max(0, width - String(index).count)) + String(index)
            }
        }.joined()
        let isLegal =
            !["", ".", ".."].contains(new) && !new.has("/") && !new.utf8.contains(0)
            && new.utf8.count <= 255
        guard isLegal else {
            throw RenameRule.refusal("the rule makes `\(new.prefix(80))` of \(name), which is no file name")
        }
        return new
    }

    private static func refusal(_ message: String) -> Failure {
        Failure("E-RENAME-RULE", message, whatToDo: "placeholders: " + summary, retry: .never)
    }
}
