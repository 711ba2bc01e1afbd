// ScalarRules: the part of TreeBuilder that reads values and keys.
// Owns: E-YAML-SCALAR, E-YAML-NUMBER, E-YAML-KEY and the refusal of merge keys.
// Never: reads past the current event.
// On failure: throws a YamlError at the value or key.
// Texts are made straight from the bytes of the event.

import CYaml

extension TreeBuilder {
    /// The scalar of the current event.
    func scalar(at start: SourceMark) throws(YamlError) -> YamlScalar {
        let bytes = stream.scalarBytes
        if bytes.count > limits.maxScalarBytes {
            let message = "this value is longer than \(limits.maxScalarBytes) bytes"
            throw YamlError(.scalar, message, hint: "keep long text in a file of its own", at: start)
        }
        let isPlain = stream.isPlain
        let kind = try kind(of: bytes, isPlain: isPlain, at: start)
        let text = text(of: bytes)
        if kind == .outOfRange {
            let message = "the number \(Printable.brief(text)) is out of range"
            throw YamlError(.number, message, hint: "put it in quotes to keep it as text", at: start)
        }
        return YamlScalar(text: text, isPlain: isPlain, value: kind.value(text: text))
    }

    private func kind(
        of bytes: EventStream.Bytes, isPlain: Bool, at start: SourceMark
    ) throws(YamlError) -> CoreSchema.Kind {
        if isPlain { return CoreSchema.resolve(bytes) }
        guard let name = stream.tag else { return .string }
        return try CoreTag(name, at: start).kind(of: bytes, at: start)
    }

    private func text(of bytes: EventStream.Bytes) -> String {
        guard let filler else { return String(decoding: bytes, as: UTF8.self) }
        return String(decoding: bytes.filter { $0 != filler }, as: UTF8.self)
    }

    /// The key of the current event and its place.
    mutating func key() throws(YamlError) -> (key: String, start: SourceMark) {
        let start = stream.start
        try admit(at: start)
        guard stream.type == YAML_SCALAR_EVENT else {
            let message = "a key must be text, not a list or a map"
            throw YamlError(.key, message, hint: "put the key in quotes", at: start)
        }
        let scalar = try scalar(at: start)
        guard scalar.isPlain else { return (scalar.text, start) }
        if scalar.text.isEmpty {
            let message = "there is no key in front of the ':'"
            throw YamlError(.key, message, hint: "write 'key: value'", at: start)
        }
        if scalar.text == "<<" {
            let message = "a merge key (<<) is not allowed"
            throw YamlError(.alias, message, hint: "write the values again", at: start)
        }
        return (scalar.text, start)
    }
}
