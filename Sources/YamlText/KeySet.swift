// KeySet: finds a key that a map has already.
// Owns: E-YAML-DUPLICATE.
// Never: compares each with each in a large map: past a few keys it hashes them.
// On failure: throws a YamlError at the second of the two keys.
// Keys are equal as Swift strings are: two spellings of one accented letter are the same key.

struct KeySet {
    /// Up to here a look at each key is faster than a hash table.
    private static let fewKeys = 16

    private var names: Set<String> = []

    /// Adds `key` behind the keys of `pairs`, which holds all keys added before.
    mutating func insert(_ key: String, at start: SourceMark, after pairs: [YamlPair]) throws(YamlError) {
        if isNew(key, after: pairs) { return }
        let first = pairs.first { $0.key == key }?.keyStart ?? start
        let name = Printable.brief(key)
        let message = "the key '\(name)' is on line \(first.line) and again on line \(start.line)"
        throw YamlError(.duplicate, message, hint: "remove one of the two", at: start)
    }

    private mutating func isNew(_ key: String, after pairs: [YamlPair]) -> Bool {
        if pairs.count < Self.fewKeys { return !pairs.contains { $0.key == key } }
        if pairs.count == Self.fewKeys { names = Set(pairs.map(\.key)) }
        return names.insert(key).inserted
    }
}
