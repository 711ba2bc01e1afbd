// What this is: what a run without secrets has in their place.
// Owns: a mask that covers nothing.
// Never: gives a value.
// On failure: where secrets were wanted, and nobody could give any: E-SECRET.
import JobModel

public final class NoSecrets: SecretValues {
    public init() {}
    public func value(_ name: SecretName) -> String? { nil }
    public func cover(_ value: Value) {}
    public func filter() -> any OutputFilter { PlainFilter() }
    public func masked(_ text: String) -> String { text }

    public static func refuse(_ needs: [SecretNeed]) throws(Failure) -> any SecretValues {
        guard let first = needs.first else { return NoSecrets() }
        throw Failure("E-SECRET", "no secrets are to be had here, not \(first.name.text)", retry: .never)
    }
}

/// Keeps everything as it is.
public final class PlainFilter: OutputFilter {
    public init() {}
    public func pass(_ bytes: [UInt8]) -> [UInt8] { bytes }
    public func finish() -> [UInt8] { [] }
}
