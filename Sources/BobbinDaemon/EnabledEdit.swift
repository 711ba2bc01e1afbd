// What this is: `enabled:` of one entry of a file that people write, changed without touching anything else in it.
// Owns: where the word goes in block and in flow style; the proof that nothing else has changed.
// Never: writes a file that reads differently from what was meant.
// On failure: nil: the file must be edited by hand.
import JobModel
import YamlText

public enum EnabledEdit {
    /// The file with the entry `id` of the list `key` switched; nil where there is no such entry or no certain way.
    public static func apply(_ bytes: [UInt8], list key: String, id: String, to isEnabled: Bool) -> [UInt8]? {
        // It has been read without errors just before.
        guard let tree = try? YamlReader.parse(bytes),
            let entry = tree[key]?.items?.first(where: { $0["id"]?.scalar?.text == id }),
            let idPair = entry.pairs?.first(where: { $0.key == "id" })
        else { return nil }
        var out = bytes
        if let node = entry["enabled"] {
            out.replaceSubrange(node.start.offset..<node.end.offset, with: Array("\(isEnabled)".utf8))
        } else {
            let place = idPair.value.end.offset
            let isFlow =
                place < bytes.count && entry.start.offset < bytes.count
                && bytes[entry.start.offset] == UInt8(ascii: "{")
            // On a line of its own below the id, as far in as the id is.
            let text =
                isFlow
                ? ", \(word(like: idPair, in: bytes)): \(isEnabled)"
                : "\n" + String(repeating: " ", count: idPair.keyStart.column - 1) + "enabled: \(isEnabled)"
            let end = isFlow ? place : bytes[place...].firstIndex(of: 0x0A) ?? bytes.count
            out.insert(contentsOf: Array(text.utf8), at: end)
        }
        return proves(bytes, out, key, id, isEnabled) ? out : nil
    }

    /// In JSON keys stand in quotes.
    private static func word(like pair: YamlPair, in bytes: [UInt8]) -> String {
        bytes[pair.keyStart.offset] == UInt8(ascii: "\"") ? "\"enabled\"" : "enabled"
    }
    private static func proves(_ old: [UInt8], _ new: [UInt8], _ key: String, _ id: String, _ isEnabled: Bool)
        -> Bool
    {
        // One that cannot be read proves nothing.
        guard let before = try? Value(YamlReader.parse(old)), let after = try? Value(YamlReader.parse(new)),
            case .map(var map) = before, case .list(var items)? = map[key],
            let index = items.firstIndex(where: { $0.mapValue?["id"]?.text == id }),
            case .map(var entry) = items[index]
        else { return false }
        entry["enabled"] = .bool(isEnabled)
        items[index] = .map(entry)
        map[key] = .list(items)
        return EnabledEdit.sorted(.map(map)) == EnabledEdit.sorted(after)
    }
    /// The order of the keys of a map says nothing.
    private static func sorted(_ value: Value) -> Value {
        switch value {
        case .map(let map):
            .map(
                ValueMap(distinct: map.entries.sorted { $0.key < $1.key }.map { ($0.key, sorted($0.value)) }))
        case .list(let items): .list(items.map(sorted))
        default: value
        }
    }
}
