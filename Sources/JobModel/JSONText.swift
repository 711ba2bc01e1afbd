// What this is: values as JSON text (RFC 8259), for --json, HTTP bodies and the text of lists.
// Owns: the writing direction only; JSONReader reads, and jobs in JSON are read by the YAML reader, whose language has it.
// Never: writes NaN or infinities (they become null, as JSON has no word for them).
// On failure: nothing here fails.

public enum JSONText {
    /// One line of JSON, or an indented document when `pretty`.
    public static func write(_ value: Value, pretty: Bool = false) -> String {
        String(decoding: bytes(value, pretty: pretty), as: UTF8.self)
    }
    /// The same as bytes. They are collected as such: a String that grows letter by letter costs five times as much.
    public static func bytes(_ value: Value, pretty: Bool = false) -> [UInt8] {
        var out: [UInt8] = []
        write(value, pretty: pretty, depth: 0, into: &out)
        return out
    }

    private static func write(_ value: Value, pretty: Bool, depth: Int, into out: inout [UInt8]) {
        switch value {
        case .null: out += "null".utf8
        case .bool(let flag): out += (flag ? "true" : "false").utf8
        case .int(let number): out += String(number).utf8
        case .double(let number): out += (number.isFinite ? number.description : "null").utf8
        case .string(let text): quote(text, into: &out)
        case .list(let items):
            let open = Opening(pretty: pretty, depth: depth)
            open.sequence(items, "[", "]", into: &out) { item, out in
                write(item, pretty: pretty, depth: depth + 1, into: &out)
            }
        case .map(let map):
            let open = Opening(pretty: pretty, depth: depth)
            open.sequence(map.entries, "{", "}", into: &out) { entry, out in
                quote(entry.key, into: &out)
                out += (pretty ? ": " : ":").utf8
                write(entry.value, pretty: pretty, depth: depth + 1, into: &out)
            }
        }
    }

    private struct Opening {
        var pretty: Bool
        var depth: Int

        func sequence<Item>(
            _ items: [Item], _ open: String, _ close: String, into out: inout [UInt8],
            each: (Item, inout [UInt8]) -> Void
        ) {
            guard !items.isEmpty else { return out += (open + close).utf8 }
            out += open.utf8
            for (index, item) in items.enumerated() {
                if index > 0 { out.append(0x2C) }
                line(depth + 1, into: &out)
                each(item, &out)
            }
            line(depth, into: &out)
            out += close.utf8
        }

        func line(_ depth: Int, into out: inout [UInt8]) {
            guard pretty else { return }
            out += ("\n" + String(repeating: "  ", count: depth)).utf8
        }
    }

    private static func quote(_ text: String, into out: inout [UInt8]) {
        out.append(0x22)
        if text.utf8.allSatisfy({ $0 < 0x7F }) {
            for byte in text.utf8 { escape(byte, into: &out) }
        } else {
            for scalar in text.unicodeScalars {
                if scalar.value < 0x7F {
                    escape(UInt8(scalar.value), into: &out)
                } else if isEscaped(scalar.value) {
                    escape(scalar.value, into: &out)
                } else {
                    out += UTF8.encode(scalar).map(Array.init) ?? []
                }
            }
        }
        out.append(0x22)
    }
    private static func escape(_ byte: UInt8, into out: inout [UInt8]) {
        switch byte {
        case 0x22: out += [0x5C, 0x22]
        case 0x5C: out += [0x5C, 0x5C]
        case 0x0A: out += [0x5C, 0x6E]
        case 0x0D: out += [0x5C, 0x72]
        case 0x09: out += [0x5C, 0x74]
        case 0x20...: out.append(byte)
        default: escape(UInt32(byte), into: &out)
        }
    }
    private static func escape(_ scalar: UInt32, into out: inout [UInt8]) {
        let hex = String(scalar, radix: 16)
        out += ("\\u" + String(repeating: "0", count: 4 - hex.count) + hex).utf8
    }

    /// Control characters, and what RFC 8259 allows but our own reader and many others refuse outside of an escape.
    private static func isEscaped(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF: true
        default: false
        }
    }
}
