// What this is: a walk through shell text that knows at each `{{ e }}` which quotes and brackets are open.
// Owns: the form of a variable reference in each context, and the list of places where none is safe.
// Never: guesses: where shells differ or the text is too clever to follow, a later value is refused.
// On failure: E-SHELL-QUOTE at the value.

struct TemplateShellScanner {
    enum Frame: Equatable {
        /// The script itself, `( … )` and `$( … )`.
        case commands(closed: Bool, substitution: Bool)
        /// `` ` … ` `` from the index on.
        case backquotes(from: Int)
        /// `$(( … ))` or `(( … ))`, and brackets inside of it.
        case arithmetic, group
        /// `${ … }`, within double quotes or not.
        case parameter(quoted: Bool)
        case double, single, comment
        case hereDocument(HereDocument)
    }
    struct HereDocument: Equatable {
        var end: [Unicode.Scalar?] = []
        var isQuoted = false
        var dropsTabs = false
        /// How many frames were open at its `<<`.
        var depth = 0
    }
    /// Why no value may follow, and until when.
    struct Bar {
        enum End: Equatable { case command, bracket, never }
        var reason: String
        var end: End
        var depth: Int
    }

    /// The text; nil stands for a value.
    let codes: [Unicode.Scalar?]
    var index = 0
    var stack: [Frame] = [.commands(closed: false, substitution: false)]
    var pending: [HereDocument] = []
    var startsWord = true
    private(set) var barred: Bar?
    private let offsets: [Int]
    private var filled = 0
    private var out = String.UnicodeScalarView()

    static func variable(_ index: Int) -> String { "BOBBIN_VALUE_\(index + 1)" }

    /// The script for the parts of a text; `offsets` are those of its expressions.
    static func script(_ parts: [TemplateParts.Part], offsets: [Int]) throws(ExpressionError) -> String {
        var codes: [Unicode.Scalar?] = []
        for part in parts {
            switch part {
            case .text(let plain): codes += plain.unicodeScalars.map(Optional.some)
            case .expression: codes.append(nil)
            }
        }
        var scanner = TemplateShellScanner(codes: codes, offsets: offsets)
        while scanner.index < codes.count { try scanner.step() }
        return String(scanner.out)
    }

    private init(codes: [Unicode.Scalar?], offsets: [Int]) {
        self.codes = codes
        self.offsets = offsets
    }

    // MARK: reading and writing

    /// The character at or after the current place; nil at a value and at the end.
    func code(_ ahead: Int = 0) -> Unicode.Scalar? {
        index + ahead < codes.count ? codes[index + ahead] : nil
    }
    func isHole(_ ahead: Int = 0) -> Bool { index + ahead < codes.count && codes[index + ahead] == nil }

    /// Copies text; a value among it is left for the next step.
    mutating func copy(_ count: Int = 1) {
        for _ in 0..<count {
            guard let scalar = code() else { return }
            out.append(scalar)
            index += 1
        }
    }

    mutating func bar(_ reason: String, until end: Bar.End = .never) {
        if barred == nil || end == .never { barred = Bar(reason: reason, end: end, depth: stack.count) }
    }

    mutating func unbar(_ end: Bar.End) {
        if let barred, barred.end == end, stack.count <= barred.depth { self.barred = nil }
    }

    // MARK: values

    /// Writes the reference for the value at the current place.
    mutating func fill() throws(ExpressionError) {
        if let reason = obstacle { throw refusal(reason) }
        let reference = "${\(TemplateShellScanner.variable(filled))}"
        switch stack.last {
        case .double, .hereDocument, .comment: out.append(contentsOf: reference.unicodeScalars)
        case .single: out.append(contentsOf: "'\"\(reference)\"'".unicodeScalars)
        default: out.append(contentsOf: "\"\(reference)\"".unicodeScalars)
        }
        filled += 1
        index += 1
        startsWord = false
    }

    func refusal(_ reason: String) -> ExpressionError {
        ExpressionError(
            "E-SHELL-QUOTE", "a value cannot stand here: \(reason)",
            hint: "set a variable in `env:` and use it here as \"$NAME\"", offset: offsets[filled])
    }

    private var obstacle: String? {
        // A comment is no code, whatever stands around it.
        if stack.last == .comment { return nil }
        if let barred { return barred.reason }
        for (place, frame) in stack.enumerated() {
            switch frame {
            case .arithmetic, .group: return "in arithmetic it would be evaluated"
            case .parameter: return "inside ${ } it could change what is expanded"
            case .hereDocument(let document):
                if document.isQuoted { return "a here-document with a quoted end word expands nothing" }
                if place + 1 < stack.count { return "a substitution in a here-document is too unclear" }
            case .backquotes(let start):
                if hasBackslash(from: start) {
                    return "backquotes with backslashes are too unclear; use $( )"
                }
            default: break
            }
        }
        return nil
    }

    private func hasBackslash(from start: Int) -> Bool {
        codes[start...].prefix { $0 != "`" }.contains("\\")
    }
}
