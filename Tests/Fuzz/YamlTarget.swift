// What this is: any bytes to YamlReader, and what it accepted through YamlWriter and back.
// Owns: the properties of the reader: places inside the text, known codes, the same tree after a round trip.
// Never: says whether a text is right.
// On failure: must() traps.
import YamlText

enum YamlTarget {
    /// What is written may be larger than what was read: indentation, quotes.
    private static let wide = YamlLimits(
        maxBytes: 64 << 20, maxDepth: 100, maxNodes: 100_000, maxScalarBytes: 8 << 20)

    @Sendable static func run(_ bytes: [UInt8]) {
        do throws(YamlError) {
            let tree = try YamlReader.parse(bytes)
            checkPlaces(tree, bytes)
            checkRoundTrip(tree)
        } catch {
            checkError(error, bytes)
        }
    }

    static func isInside(_ mark: SourceMark, _ bytes: [UInt8]) -> Bool {
        (0...bytes.count).contains(mark.offset) && mark.line >= 1 && mark.column >= 1
            && mark.line <= mark.offset + 1 && mark.column <= mark.offset + 1
    }

    /// A finding is at most four lines, and nothing in it commands a terminal.
    static func checkRendered(_ text: String) {
        must(text.utf8.count { $0 == 0x0A } < 4, "a finding of more than four lines: \(text)")
        must(!text.utf8.contains { $0 < 0x20 && $0 != 0x0A || $0 == 0x7F }, "a control character: \(text)")
    }

    static func checkError(_ error: YamlError, _ bytes: [UInt8]) {
        must(isInside(error.mark, bytes), "the place is outside of the text: \(error)")
        must(YamlError.codes.contains(error.code), "an unknown code: \(error)")
        checkRendered(SourceFile(name: "f", bytes: bytes).render(Diagnostic(error)))
    }

    private static func checkPlaces(_ node: YamlNode, _ bytes: [UInt8]) {
        must(isInside(node.start, bytes) && isInside(node.end, bytes), "a node outside of the text: \(node)")
        must(node.start.offset <= node.end.offset, "a node ends before it begins: \(node)")
        for item in node.items ?? [] { checkPlaces(item, bytes) }
        for pair in node.pairs ?? [] {
            must(isInside(pair.keyStart, bytes), "a key outside of the text: \(pair)")
            checkPlaces(pair.value, bytes)
        }
    }

    private static func checkRoundTrip(_ tree: YamlNode) {
        let block = YamlWriter.write([("root", out(tree))], header: ["head"])
        let flow = YamlWriter.write([("root", .flow(out(tree)))])
        for text in [block, flow] {
            do throws(YamlError) {
                let back = try YamlReader.parse(Array(text.utf8), limits: wide)
                let value = back["root"].map(notation) ?? "nothing"
                must(same(value, notation(tree)), "\(notation(tree)) came back as \(value) from:\n\(text)")
            } catch {
                must(false, "what was written is refused: \(error)\n\(text)")
            }
        }
    }

    static func out(_ node: YamlNode) -> YamlOut {
        switch node.content {
        case .sequence(let items): .list(items.map(out))
        case .mapping(let pairs): .map(pairs.map { ($0.key, out($0.value)) })
        case .scalar(let scalar):
            switch scalar.value {
            case .null: .null
            case .bool(let flag): .bool(flag)
            case .int(let number): .int(number)
            case .double(let number): .double(number)
            case .string(let text): .string(text)
            }
        }
    }

    /// One line for the whole tree, in which different trees differ.
    private static func notation(_ node: YamlNode) -> String {
        switch node.content {
        case .sequence(let items): "[" + items.map(notation).joined(separator: ",") + "]"
        case .mapping(let pairs):
            "{" + pairs.map { "\($0.key.debugDescription):\(notation($0.value))" }.joined(separator: ",")
                + "}"
        case .scalar(let scalar):
            switch scalar.value {
            case .null: "null"
            case .bool(let flag): "\(flag)"
            case .int(let number): "\(number)"
            case .double(let number): number.isNaN ? "nan" : "double \(number)"
            case .string(let text): text.debugDescription
            }
        }
    }
}
