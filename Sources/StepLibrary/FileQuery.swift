// What this is: the query of find_files: terms that are all wanted, with `OR` between groups of them.
// Owns: which terms exist and what each means; `-` before a term negates it.
// Never: looks at the disk or a clock; it judges the facts it is given.
// On failure: E-FIND-QUERY names the term and lists what exists.
import JobModel

/// What a query may ask about a file.
struct FileFacts {
    var name: String
    /// The directories between the root and the file.
    var folders: [String]
    var size: Int
    var modified: Int64
}

struct FileQuery {
    private var groups: [[Term]] = []

    struct Term {
        var isNegated: Bool
        var test: Test
    }
    enum Test {
        case endings(Set<String>)
        case name(NamePattern)
        case nameHolds(String)
        case modified(Range<Int64>)
        case size(ClosedRange<Int>)
        case folders([String])
    }

    /// A query without terms takes every file.
    init(_ text: String, calendar: QueryCalendar) throws(Failure) {
        var group: [Term] = []
        var isOpen = false
        for word in try QueryWords.split(text) {
            if word == "OR" {
                guard !group.isEmpty else { throw FileQuery.refusal("`OR` stands before any term") }
                groups.append(group)
                (group, isOpen) = ([], true)
            } else {
                group.append(try FileQuery.term(word, calendar))
                isOpen = false
            }
        }
        guard !isOpen else { throw FileQuery.refusal("no term follows the last `OR`") }
        if !group.isEmpty { groups.append(group) }
    }

    func matches(_ facts: FileFacts) -> Bool {
        groups.isEmpty || groups.contains { $0.allSatisfy { $0.test.holds(facts) != $0.isNegated } }
    }

    private static func term(_ word: String, _ calendar: QueryCalendar) throws(Failure) -> Term {
        let isNegated = word.hasPrefix("-")
        let text = isNegated ? String(word.dropFirst()) : word
        guard !text.isEmpty else { throw refusal("`-` negates no term") }
        return Term(isNegated: isNegated, test: try test(text, calendar))
    }

    private static func test(_ text: String, _ calendar: QueryCalendar) throws(Failure) -> Test {
        guard let colon = text.firstIndex(of: ":") else { return .nameHolds(text.lowercased()) }
        let (key, value) = (String(text[..<colon]), String(text[text.index(after: colon)...]))
        guard !value.isEmpty else { throw refusal("`\(text)` asks for nothing") }
        switch key {
        case "kind":
            guard let endings = FileKinds.endings(of: value) else {
                throw refusal(
                    "there is no `kind:\(value)`", "kinds are \(FileKinds.names.joined(separator: ", "))")
            }
            return .endings(endings)
        case "ext": return .endings([(value.hasPrefix(".") ? String(value.dropFirst()) : value).lowercased()])
        case "name": return .name(NamePattern(value))
        case "modified":
            guard let range = calendar.range(value) else {
                throw refusal("`\(text)` is no time", QueryCalendar.advice)
            }
            return .modified(range)
        case "size":
            guard let range = sizes(value) else {
                throw refusal("`\(text)` is no size", "write size:>10MB or size:<1KiB")
            }
            return .size(range)
        case "in": return .folders(value.parts(at: "/"))
        default: throw refusal("there is no term `\(key):`")
        }
    }

    private static func sizes(_ text: String) -> ClosedRange<Int>? {
        guard let sign = text.first, let bytes = ByteSize(.string(String(text.dropFirst())))?.bytes else {
            return nil
        }
        switch sign {
        case ">": return bytes < .max ? bytes + 1 ... .max : nil
        case "<": return bytes > 0 ? 0...bytes - 1 : nil
        default: return nil
        }
    }

    static func refusal(_ message: String, _ advice: String? = nil) -> Failure {
        let all =
            "terms are kind:pdf, ext:csv, name:*inv*, modified:today, modified:>7d, size:>10MB, in:sub/dir "
            + "or a word of the name; `OR` separates groups, `-` negates"
        return Failure("E-FIND-QUERY", message, whatToDo: advice ?? all, retry: .never)
    }
}

extension FileQuery.Test {
    func holds(_ facts: FileFacts) -> Bool {
        switch self {
        case .endings(let endings): endings.contains(FileName(facts.name).ending.lowercased())
        case .name(let pattern): pattern.matches(facts.name)
        case .nameHolds(let word): facts.name.lowercased().contains(word)
        case .modified(let range): range.contains(facts.modified)
        case .size(let range): range.contains(facts.size)
        case .folders(let wanted): facts.folders.holds(wanted)
        }
    }
}

extension [String] {
    /// Whether `wanted` stands in here as one unbroken row.
    fileprivate func holds(_ wanted: [String]) -> Bool {
        guard count >= wanted.count else { return false }
        return (0...count - wanted.count).contains { Array(self[$0..<$0 + wanted.count]) == wanted }
    }
}
