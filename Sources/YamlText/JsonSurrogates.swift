// JsonSurrogates: makes the surrogate pairs of a JSON text readable for libyaml.
// Owns: the way from "\ud83d\ude00" to an escape of the same length.
// Never: touches a text that is not JSON in its outer form, where the same letters may be plain text.
// On failure: `init` gives nil, and the error of the first parse stands.
// The length stays the same so that every mark stays true.

struct JsonSurrogates {
    /// The bytes with each pair as one escape of YAML and a filler: 10 + 2 characters.
    private(set) var rewritten: [UInt8]
    /// A control character that the text does not use; the tree is built without it.
    let filler: UInt8

    /// Escapes of YAML that JSON does not have, with the byte they stand for.
    private static let fillers: [(letter: UInt8, byte: UInt8, code: String)] = [
        (UInt8(ascii: "v"), 0x0B, "0b"), (UInt8(ascii: "e"), 0x1B, "1b"), (UInt8(ascii: "a"), 0x07, "07"),
    ]

    /// nil when `bytes` do not look like JSON, or use every filler.
    init?(_ bytes: [UInt8]) {
        var scan = JsonScan(bytes)
        guard scan.run(), let free = Self.fillers.first(where: { !scan.controls.contains($0.byte) }) else {
            return nil
        }
        rewritten = bytes
        filler = free.byte
        for pair in scan.pairs { replace(pair, letter: free.letter) }
    }

    private mutating func replace(_ pair: JsonScan.Pair, letter: UInt8) {
        let digits = String(pair.scalar, radix: 16)
        let escape = "\\U" + String(repeating: "0", count: 8 - digits.utf8.count) + digits + "\\"
        rewritten.replaceSubrange(pair.offset..<(pair.offset + 12), with: Array(escape.utf8) + [letter])
    }
}
