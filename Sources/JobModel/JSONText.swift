// What this is: values as JSON text (RFC 8259), for --json, HTTP bodies and the text of lists.
// Owns: the writing direction only; JSONReader reads, and jobs in JSON are read by the YAML reader, whose language has it.
// Never: writes NaN or infinities (they become null, as JSON has no word for them).
// On failure: nothing here fails.

public enum JSONText {
    /// One line of JSON, or an indented document when `pretty`.
    public static func write(_ value: Value, pretty: Bool = false) -> String {
        var out = ""
        write(value, pretty: pretty, depth: 0, into: &out)
        return out
    }

    private static func write(_ value: Value, pretty: Bool, depth: Int, into out: inout String) {
        switch value {
        case .null: out += "null"
        case .bool(let flag): out += flag ? "true" : "false"
        case .int(let number): out += String(number)
        case .double(let number): out += number.isFinite ? number.description : "null"
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
                out += pretty ? ": " : ":"
                write(entry.value, pretty: pretty, depth: depth + 1, into: &out)
            }
        }
    }

    private struct Opening {
        var pretty: Bool
        var depth: Int

        func sequence<Item>(
            _ items: [Item], _ open: String, _ close: String, into out: inout String,
            each: (Item, inout String) -> Void
        ) {
            guard !items.isEmpty else { return out += open + close }
            out += open
            for (index, item) in items.enumerated() {
                if index > 0 { out += "," }
                line(depth + 1, into: &out)
                each(item, &out)
            }
            line(depth, into: &out)
            out += close
        }

        func line(_ depth: Int, into out: inout String) {
            guard pretty else { return }
            out += "\n" + String(repeating: "  ", count: depth)
        }
    }

    private static func quote(_ text: String, into out: inout String) {
        out += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case _ where isEscaped(scalar.value):
                let hex = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: out.unicodeScalars.append(scalar)
            }
        }
        out += "\""
    }

    /// Control characters, and what RFC 8259 allows but our own reader and many others refuse outside of an escape.
    private static func isEscaped(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF: true
        default: false
        }
    }
}
