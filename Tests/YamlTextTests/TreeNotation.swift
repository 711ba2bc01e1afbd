// TreeNotation: short ways to parse and to show trees in tests.
// Owns: the one-line notation of a tree.
// Never: asserts.
// On failure: `outcome` gives the error as text, so tables can compare it.
// The notation: {key: value}, [item], "text", 12, 1.5, true, null.

import TestKit
import YamlText

/// The tree in one line, or "CODE line:column" of the error.
func outcome(_ text: String, limits: YamlLimits = YamlLimits()) -> String {
    outcome(Array(text.utf8), limits: limits)
}

func outcome(_ bytes: [UInt8], limits: YamlLimits = YamlLimits()) -> String {
    do {
        return show(try YamlReader.parse(bytes, limits: limits))
    } catch {
        return "\(error.code) \(error.mark.line):\(error.mark.column)"
    }
}

/// The error of a text that must fail.
func failure(_ text: String, limits: YamlLimits = YamlLimits()) -> YamlError? {
    do {
        _ = try YamlReader.parse(Array(text.utf8), limits: limits)
        return nil
    } catch {
        return error
    }
}

func show(_ node: YamlNode) -> String {
    switch node.content {
    case .scalar(let scalar): show(scalar.value)
    case .sequence(let items): "[" + items.map(show).joined(separator: ", ") + "]"
    case .mapping(let pairs): "{" + pairs.map { "\($0.key): \(show($0.value))" }.joined(separator: ", ") + "}"
    }
}

func show(_ value: YamlScalarValue) -> String {
    switch value {
    case .null: "null"
    case .bool(let flag): "\(flag)"
    case .int(let number): "\(number)"
    case .double(let number): number.description
    case .string(let text): "\"" + text + "\""
    }
}

/// The notation of a tree to write; equal to that of the same tree read back.
func show(_ value: YamlOut) -> String {
    switch value {
    case .null: "null"
    case .bool(let flag): "\(flag)"
    case .int(let number): "\(number)"
    case .double(let number): number.description
    case .string(let text): "\"" + text + "\""
    case .list(let items): "[" + items.map(show).joined(separator: ", ") + "]"
    case .map(let pairs): "{" + pairs.map { "\($0.0): \(show($0.1))" }.joined(separator: ", ") + "}"
    case .flow(let inner): show(inner)
    }
}
