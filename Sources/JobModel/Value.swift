// What this is: the values of the job language, which keep their types from file to step to result.
// Owns: Value, ValueMap (a map that remembers its order) and the plain text of a value.
// Never: knows YAML, JSON files or a clock.
// On failure: nothing here fails; a missing key is nil.

/// A typed value of the job language.
public enum Value: Hashable, Sendable, ExpressibleByStringLiteral {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case list([Value])
    case map(ValueMap)

    public init(stringLiteral value: String) { self = .string(value) }

    /// What a person calls this kind of value.
    public var kindName: String {
        switch self {
        case .null: "nothing"
        case .bool: "true/false"
        case .int: "whole number"
        case .double: "number"
        case .string: "text"
        case .list: "list"
        case .map: "map"
        }
    }

    /// The value as it appears inside a longer text: null is empty, lists and maps are JSON.
    public var text: String {
        switch self {
        case .null: ""
        case .bool(let flag): flag ? "true" : "false"
        case .int(let number): String(number)
        case .double(let number): Value.text(of: number)
        case .string(let text): text
        case .list, .map: JSONText.write(self)
        }
    }

    /// A number without a needless fraction is still shown as a fraction (2.0), so that its type survives.
    static func text(of number: Double) -> String { number.description }

    public var stringValue: String? { if case .string(let text) = self { text } else { nil } }
    public var intValue: Int? { if case .int(let number) = self { number } else { nil } }
    public var boolValue: Bool? { if case .bool(let flag) = self { flag } else { nil } }
    public var listValue: [Value]? { if case .list(let items) = self { items } else { nil } }
    public var mapValue: ValueMap? { if case .map(let map) = self { map } else { nil } }
    public var doubleValue: Double? {
        switch self {
        case .int(let number): Double(number)
        case .double(let number): number
        default: nil
        }
    }
    public var isNull: Bool { self == .null }
}

/// A map with text keys that keeps the order in which keys were first set.
public struct ValueMap: Hashable, Sendable, ExpressibleByDictionaryLiteral {
    public struct Entry: Hashable, Sendable {
        public var key: String
        public var value: Value
    }
    public private(set) var entries: [Entry] = []

    public init() {}
    public init(dictionaryLiteral elements: (String, Value)...) {
        for (key, value) in elements { self[key] = value }
    }
    /// Takes keys that the caller knows to be distinct, without looking for duplicates.
    public init(distinct entries: [(String, Value)]) {
        self.entries = entries.map { Entry(key: $0.0, value: $0.1) }
    }

    public subscript(key: String) -> Value? {
        get { entries.first { $0.key == key }?.value }
        set {
            let index = entries.firstIndex { $0.key == key }
            switch (index, newValue) {
            case (let index?, let value?): entries[index].value = value
            case (let index?, nil): entries.remove(at: index)
            case (nil, let value?): entries.append(Entry(key: key, value: value))
            case (nil, nil): break
            }
        }
    }
    public var keys: [String] { entries.map(\.key) }
    public var isEmpty: Bool { entries.isEmpty }
    public var count: Int { entries.count }

    /// Sets every key of `other`, which wins over a key that is here already.
    public mutating func merge(_ other: ValueMap) {
        // Few keys are the rule, and need no table; a job of 24,000 variables must not cost their square.
        guard entries.count * other.entries.count > 4096 else {
            for entry in other.entries { self[entry.key] = entry.value }
            return
        }
        var places = Dictionary(entries.enumerated().map { ($1.key, $0) }) { first, _ in first }
        for entry in other.entries {
            if let place = places[entry.key] {
                entries[place].value = entry.value
            } else {
                places[entry.key] = entries.count
                entries.append(entry)
            }
        }
    }
}

extension Value {
    /// About the bytes of this value as JSON, counted without writing it.
    public var roughBytes: Int {
        switch self {
        case .null, .bool, .int, .double: 8
        case .string(let text): text.utf8.count + 3
        case .list(let items): items.reduce(2) { $0 + $1.roughBytes }
        case .map(let map): map.entries.reduce(2) { $0 + $1.key.utf8.count + 4 + $1.value.roughBytes }
        }
    }
}
