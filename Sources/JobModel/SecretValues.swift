// What this is: the secrets that one run was given, as steps and expressions may ask for them, and the mask over their values.
// Owns: the port; where secrets come from and how they are masked is the SecretStore's.
// Never: lists values; a run is given those that its job names and no others, so a mask tells nobody about the rest.
// On failure: a secret that was not given is nil.

public protocol SecretValues: AnyObject, Sendable {
    func value(_ name: SecretName) -> String?
    /// From now on this is masked as well: it was made of a secret.
    func cover(_ value: Value)
    /// For one stream of output.
    func filter() -> any OutputFilter
    /// A text as it may be kept.
    func masked(_ text: String) -> String
}

extension SecretValues {
    /// The same for every text in it, keys among them.
    public func masked(_ value: Value) -> Value {
        switch value {
        case .string(let text): .string(masked(text))
        case .list(let items): .list(items.map(masked))
        case .map(let map): .map(masked(map))
        // A number can be one too: what is then kept of it is a text.
        case .int, .double:
            masked(value.text) == value.text ? value : .string(masked(value.text))
        case .null, .bool: value
        }
    }
    public func masked(_ map: ValueMap) -> ValueMap {
        var out = ValueMap()
        for entry in map.entries { out[masked(entry.key)] = masked(entry.value) }
        return out
    }
    public func masked(_ failure: Failure) -> Failure {
        var shown = failure
        shown.message = masked(failure.message)
        shown.whatToDo = masked(failure.whatToDo)
        return shown
    }
}

/// Rewrites output before it is kept anywhere. Streams are filtered apart.
public protocol OutputFilter: AnyObject {
    /// What may be kept now of these bytes and of what was held back before.
    func pass(_ bytes: [UInt8]) -> [UInt8]
    /// What was held back, at the end of the stream.
    func finish() -> [UInt8]
}
