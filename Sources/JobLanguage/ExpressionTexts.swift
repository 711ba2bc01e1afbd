// What this is: the filters and operators that work on texts.
// Owns: search by bytes (equal bytes, not equal looks), file names, shell quoting, the length limit.
// Never: builds a text of more than 1 MiB.
// On failure: E-EXPR-LIMIT for texts too long, E-EXPR for an empty search text.
import JobModel

extension ExpressionEvaluator {
    mutating func append(_ more: String, to text: inout String, at offset: Int) throws(ExpressionError) {
        try spend((text.utf8.count + more.utf8.count) / 64, at: offset)
        guard text.utf8.count + more.utf8.count <= ExpressionLimits.textBytes else {
            throw ExpressionEvaluator.tooLong(offset)
        }
        text += more
    }

    /// The value as part of a text; lists and maps are JSON.
    mutating func text(_ value: Value, at offset: Int) throws(ExpressionError) -> String {
        switch value {
        case .list, .map: return try json(value, at: offset)
        default: return value.text
        }
    }

    /// Measured before it is written, because a list may hold the same large text a thousand times.
    mutating func json(_ value: Value, at offset: Int) throws(ExpressionError) -> String {
        var room = ExpressionLimits.textBytes
        guard value.fits(&room) else { throw ExpressionEvaluator.tooLong(offset) }
        try spend((ExpressionLimits.textBytes - room) / 16, at: offset)
        let text = JSONText.write(value)
        guard text.utf8.count <= ExpressionLimits.textBytes else { throw ExpressionEvaluator.tooLong(offset) }
        return text
    }

    static func tooLong(_ offset: Int) -> ExpressionError {
        ExpressionError(
            "E-EXPR-LIMIT", "the text becomes longer than 1 MiB", hint: "write it to a file", offset: offset)
    }

    mutating func textResult(_ call: FilterCall) throws(ExpressionError) -> Value {
        if call.filter == .shellQuote { return .string(try shellQuoted(call)) }
        let text = try call.text()
        try spend(text.utf8.count / 64, at: call.offset)
        switch call.filter {
        case .upper: return .string(try bounded(text.uppercased(), call))
        case .lower: return .string(try bounded(text.lowercased(), call))
        case .trim: return .string(text.trimmed)
        case .basename: return .string(TextBytes.basename(text))
        case .dirname: return .string(TextBytes.dirname(text))
        case .startswith: return .bool(text.utf8.starts(with: try call.text(0).utf8))
        case .endswith: return .bool(text.utf8.reversed().starts(with: try call.text(0).utf8.reversed()))
        case .split:
            guard !call.arguments.isEmpty else {
                let words = text.split { $0 == " " || $0.isNewline || $0 == "\t" }
                return .list(words.map { .string(String($0)) })
            }
            return .list(try pieces(text, try call.text(0), call).map(Value.string))
        default: return .string(try replaced(text, call))
        }
    }

    private mutating func replaced(_ text: String, _ call: FilterCall) throws(ExpressionError) -> String {
        let new = try call.text(1)
        var out = ""
        for (index, piece) in try pieces(text, try call.text(0), call).enumerated() {
            if index > 0 { out += new }
            out += piece
            guard out.utf8.count <= ExpressionLimits.textBytes else {
                throw ExpressionEvaluator.tooLong(call.offset)
            }
        }
        return out
    }

    private mutating func pieces(
        _ text: String, _ separator: String, _ call: FilterCall
    ) throws(ExpressionError) -> [String] {
        guard !separator.isEmpty else {
            throw ExpressionError(
                "E-EXPR", "`\(call.filter.rawValue)` cannot look for an empty text", offset: call.offset)
        }
        try spend(TextBytes.searchCost(text, separator), at: call.offset)
        let pieces = TextBytes.pieces(text, separator)
        try spend(pieces.count, at: call.offset)
        return pieces
    }

    private func shellQuoted(_ call: FilterCall) throws(ExpressionError) -> String {
        switch call.input {
        case .list, .map: throw call.wrongType("a single value")
        default: break
        }
        let text = call.input.text
        guard !text.utf8.contains(0) else { throw call.wrongType("a text without NUL") }
        return try bounded("'" + TextBytes.pieces(text, "'").joined(separator: "'\\''") + "'", call)
    }

    func bounded(_ text: String, _ call: FilterCall) throws(ExpressionError) -> String {
        if text.utf8.count > ExpressionLimits.textBytes { throw ExpressionEvaluator.tooLong(call.offset) }
        return text
    }
}

extension Value {
    /// Whether the value's JSON is surely no longer than `room`; takes its size from `room`.
    fileprivate func fits(_ room: inout Int) -> Bool {
        switch self {
        case .string(let text): room -= text.utf8.count + 2
        case .list(let items):
            room -= 2
            for item in items where !item.fits(&room) { return false }
        case .map(let map):
            room -= 2
            for entry in map.entries {
                room -= entry.key.utf8.count + 3
                guard entry.value.fits(&room) else { return false }
            }
        default: room -= 1
        }
        return room >= 0
    }
}

/// Texts as bytes: in UTF-8 a valid text is found inside another only at whole scalars.
enum TextBytes {
    /// Budget units of a search, which in the worst case compares every byte with every byte.
    static func searchCost(_ text: String, _ piece: String) -> Int {
        let product = text.utf8.count.multipliedReportingOverflow(by: piece.utf8.count)
        return product.overflow ? .max / 2 : product.partialValue / 4096 + text.utf8.count / 64
    }

    static func firstIndex(of piece: [UInt8], in text: [UInt8], from start: Int) -> Int? {
        guard piece.count <= text.count, let first = piece.first else { return piece.isEmpty ? start : nil }
        var index = start
        while index + piece.count <= text.count {
            if text[index] == first, text[index..<(index + piece.count)].elementsEqual(piece) { return index }
            index += 1
        }
        return nil
    }

    /// The parts between the separators, which must not be empty; a text without one is its own only part.
    static func pieces(_ text: String, _ separator: String) -> [String] {
        let bytes = Array(text.utf8)
        let separator = Array(separator.utf8)
        var pieces: [String] = []
        var start = 0
        while let index = firstIndex(of: separator, in: bytes, from: start) {
            pieces.append(String(decoding: bytes[start..<index], as: UTF8.self))
            start = index + separator.count
        }
        return pieces + [String(decoding: bytes[start...], as: UTF8.self)]
    }

    /// As basename(1): `/a/b/` is `b`, `/` is `/`.
    static func basename(_ path: String) -> String {
        let bytes = trimmingSlashes(Array(path.utf8)[...])
        guard let slash = bytes.lastIndex(of: 0x2F), bytes.count > 1 else {
            return String(decoding: bytes, as: UTF8.self)
        }
        return String(decoding: bytes[(slash + 1)...], as: UTF8.self)
    }

    /// As dirname(1): `/a/b/` is `/a`, `a` is `.`.
    static func dirname(_ path: String) -> String {
        let bytes = trimmingSlashes(Array(path.utf8)[...])
        guard let slash = bytes.lastIndex(of: 0x2F) else { return "." }
        return String(decoding: trimmingSlashes(bytes[...slash]), as: UTF8.self)
    }

    private static func trimmingSlashes(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var rest = bytes
        while rest.count > 1, rest.last == 0x2F { rest.removeLast() }
        return rest
    }
}
