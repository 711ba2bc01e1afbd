// CoreTag: the seven tags a text may use, and what each asks of its value.
// Owns: E-YAML-TAG for values.
// Never: makes objects of tagged values.
// On failure: throws a YamlError at the tag.
// A tag is rare, so nothing here is tuned for speed.

enum CoreTag: String {
    case str, int, float, bool, null, seq, map

    private static let prefix = "tag:yaml.org,2002:"

    /// The tag with this resolved name.
    init(_ name: String, at mark: SourceMark) throws(YamlError) {
        guard name.hasPrefix(Self.prefix), let tag = Self(rawValue: String(name.dropFirst(Self.prefix.count)))
        else {
            let hint = "remove it; only !!str !!int !!float !!bool !!null !!seq and !!map are known"
            let shown = Printable.brief(name.hasPrefix(Self.prefix) ? "!!" + name.dropFirst(18) : name)
            throw YamlError(.tag, "the tag \(shown) is not allowed", hint: hint, at: mark)
        }
        self = tag
    }

    /// The kind of a scalar with this tag.
    func kind(of text: UnsafeBufferPointer<UInt8>, at mark: SourceMark) throws(YamlError) -> CoreSchema.Kind {
        let kind = CoreSchema.resolve(text)
        switch (self, kind) {
        case (.str, _): return .string
        case (.int, .int), (.float, .double), (.bool, .bool), (.null, .null): return kind
        case (.float, .int(let number)): return .double(Double(number))
        case (.int, .outOfRange), (.float, .outOfRange): return .outOfRange
        default: throw mismatch(at: mark)
        }
    }

    /// Refuses a tag that does not belong to this kind of collection.
    func require(_ expected: CoreTag, at mark: SourceMark) throws(YamlError) {
        if self != expected { throw mismatch(at: mark) }
    }

    private func mismatch(at mark: SourceMark) -> YamlError {
        let hint = "remove the tag, or write a value of its kind"
        return YamlError(.tag, "the value does not fit its tag !!\(rawValue)", hint: hint, at: mark)
    }
}
