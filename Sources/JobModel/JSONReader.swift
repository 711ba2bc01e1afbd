// What this is: JSON text (RFC 8259) to values, for HTTP bodies, files, the output of programs and `from_json`.
// Owns: the grammar; numbers without fraction or exponent that fit are whole numbers.
// Never: takes what the RFC forbids (comments, trailing commas, bare NaN), nests deeper than 200.
// On failure: JSONProblem with line and column.
public struct JSONProblem: Error, CustomStringConvertible {
    public var what: String
    public var line: Int
    public var column: Int
    public init(what: String, line: Int, column: Int) {
        self.what = what
        self.line = line
        self.column = column
    }
    public var description: String { "line \(line), column \(column): \(what)" }
}

public struct JSONReader {
    private let bytes: [UInt8]
    private var at = 0
    private static let deepest = 200

    /// The one value that `bytes` hold.
    public static func read(_ bytes: [UInt8]) throws(JSONProblem) -> Value {
        var reader = JSONReader(bytes)
        let value = try reader.value(depth: 0)
        reader.skipBlank()
        guard reader.at == bytes.count else { throw reader.problem("more text after the value") }
        return value
    }
    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    private mutating func value(depth: Int) throws(JSONProblem) -> Value {
        guard depth <= JSONReader.deepest else { throw problem("nested deeper than \(JSONReader.deepest)") }
        skipBlank()
        guard let byte = peek else { throw problem("the text ends where a value should be") }
        switch byte {
        case 0x7B: return try object(depth)
        case 0x5B: return try array(depth)
        case 0x22: return .string(try text())
        case 0x74: return try word("true", .bool(true))
        case 0x66: return try word("false", .bool(false))
        case 0x6E: return try word("null", .null)
        case 0x2D, 0x30...0x39: return try number()
        default: throw problem("this begins no value")
        }
    }

    private mutating func object(_ depth: Int) throws(JSONProblem) -> Value {
        at += 1
        var entries: [(String, Value)] = []
        var places: [String: Int] = [:]
        skipBlank()
        if take(0x7D) { return .map([:]) }
        repeat {
            skipBlank()
            guard peek == 0x22 else { throw problem("a key in quotes is expected") }
            let key = try text()
            skipBlank()
            guard take(0x3A) else { throw problem("`:` is expected after a key") }
            let value = try value(depth: depth + 1)
            // The last of equal keys wins, as in most readers.
            if let place = places[key] {
                entries[place].1 = value
            } else {
                places[key] = entries.count
                entries.append((key, value))
            }
            skipBlank()
        } while take(0x2C)
        guard take(0x7D) else { throw problem("`,` or `}` is expected") }
        return .map(ValueMap(distinct: entries))
    }

    private mutating func array(_ depth: Int) throws(JSONProblem) -> Value {
        at += 1
        var items: [Value] = []
        skipBlank()
        if take(0x5D) { return .list([]) }
        repeat {
            items.append(try value(depth: depth + 1))
            skipBlank()
        } while take(0x2C)
        guard take(0x5D) else { throw problem("`,` or `]` is expected") }
        return .list(items)
    }

    private mutating func word(_ word: String, _ value: Value) throws(JSONProblem) -> Value {
        guard bytes[at...].starts(with: word.utf8) else { throw problem("this begins no value") }
        at += word.utf8.count
        return value
    }

    private mutating func number() throws(JSONProblem) -> Value {
        let start = at
        _ = take(0x2D)
        let leadingZero = peek == 0x30
        let whole = digits()
        guard whole > 0, !(leadingZero && whole > 1) else { throw problem("this is no number") }
        var isWhole = true
        if take(0x2E) {
            isWhole = false
            guard digits() > 0 else { throw problem("digits are expected after the point") }
        }
        if peek == 0x65 || peek == 0x45 {
            isWhole = false
            at += 1
            if !take(0x2B) { _ = take(0x2D) }
            guard digits() > 0 else { throw problem("digits are expected in the exponent") }
        }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        if isWhole, let number = Int(text) { return .int(number) }
        guard let number = Double(text), number.isFinite else { throw problem("this number is too large") }
        return .double(number)
    }
    private mutating func digits() -> Int {
        let start = at
        while let byte = peek, (0x30...0x39).contains(byte) { at += 1 }
        return at - start
    }

    private mutating func text() throws(JSONProblem) -> String {
        at += 1
        var out: [UInt8] = []
        while let byte = peek {
            switch byte {
            case 0x22:
                at += 1
                guard let text = String(validating: out, as: UTF8.self) else {
                    throw problem("this text is not UTF-8")
                }
                return text
            case 0x5C: try escape(into: &out)
            case 0..<0x20: throw problem("a control character must be escaped")
            default:
                out.append(byte)
                at += 1
            }
        }
        throw problem("a text is not closed")
    }

    private mutating func escape(into out: inout [UInt8]) throws(JSONProblem) {
        at += 1
        guard let letter = peek else { throw problem("a text is not closed") }
        at += 1
        switch letter {
        case 0x22, 0x5C, 0x2F: out.append(letter)
        case 0x62: out.append(8)
        case 0x66: out.append(12)
        case 0x6E: out.append(10)
        case 0x72: out.append(13)
        case 0x74: out.append(9)
        case 0x75: out += Array(String(Character(try scalar())).utf8)
        default: throw problem("this escape does not exist")
        }
    }
    private mutating func scalar() throws(JSONProblem) -> Unicode.Scalar {
        let first = try hex()
        if (0xD800..<0xDC00).contains(first), bytes[at...].starts(with: [0x5C, 0x75]) {
            at += 2
            let second = try hex()
            guard (0xDC00..<0xE000).contains(second) else {
                throw problem("half of a character pair is missing")
            }
            return Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)) ?? "\u{FFFD}"
        }
        guard let scalar = Unicode.Scalar(first) else { throw problem("half of a character pair is missing") }
        return scalar
    }
    private mutating func hex() throws(JSONProblem) -> UInt32 {
        let end = at + 4
        guard end <= bytes.count, bytes[at..<end].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let number = UInt32(String(decoding: bytes[at..<end], as: UTF8.self), radix: 16)
        else { throw problem("four hex digits are expected") }
        at = end
        return number
    }

    private var peek: UInt8? { at < bytes.count ? bytes[at] : nil }
    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        at += 1
        return true
    }
    private mutating func skipBlank() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { at += 1 }
    }
    private func problem(_ what: String) -> JSONProblem {
        let before = bytes[..<min(at, bytes.count)]
        let lineStart = before.lastIndex(of: 10).map { $0 + 1 } ?? 0
        return JSONProblem(
            what: what, line: before.count { $0 == 10 } + 1, column: before.count - lineStart + 1)
    }
}
