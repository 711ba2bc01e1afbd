// What this is: the secrets that one run was given, and the mask over them and over what is made of them.
// Owns: the values while the run is driven, in memory that is locked and wiped.
// Never: holds one that the run's job does not name: a mask that knew more would tell whoever prints guesses.
// On failure: a name that was not given has no value.
import JobModel
import LinuxSystem

public final class GivenSecrets: SecretValues {
    private struct State {
        var mask: SecretMask
        /// What expressions made of secrets and no form of them covers, the latest last.
        var made: [[UInt8]] = []
    }
    private let values: [SecretName: SecretBytes]
    private let known: [SecretBytes]
    private let state: Monitor<State>
    /// A run that makes more of them than this shows the oldest, if it prints them after so many others.
    private static let mostMade = 256

    /// `unmasked`: those that are too short or too common to be masked, and that somebody said may be seen.
    public init(_ values: [SecretName: SecretBytes], unmasked: Set<SecretName> = []) {
        self.values = values
        known = values.filter { !unmasked.contains($0.key) }.map(\.value)
        state = Monitor(State(mask: GivenSecrets.mask(known, [])))
    }

    private static func mask(_ secrets: [SecretBytes], _ made: [[UInt8]]) -> SecretMask {
        SecretMask(secrets.map { $0.withBytes { Array($0) } } + made)
    }

    public func value(_ name: SecretName) -> String? {
        values[name]?.withBytes { String(decoding: GivenSecrets.asText($0), as: UTF8.self) }
    }
    /// One line end at the end of a single line is not part of it: files end with one.
    static func asText(_ raw: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        guard raw.last == 0x0A, raw.firstIndex(of: 0x0A) == raw.count - 1 else { return raw }
        let end = raw.count > 1 && raw[raw.count - 2] == 0x0D ? 2 : 1
        return UnsafeRawBufferPointer(rebasing: raw.dropLast(end))
    }

    public func cover(_ value: Value) {
        for text in texts(value) where text.utf8.count >= MaskForms.shortest {
            state.with { state in
                guard state.mask.masked(text) == text else { return }
                state.made.append(Array(text.utf8))
                if state.made.count > GivenSecrets.mostMade { state.made.removeFirst() }
                state.mask = GivenSecrets.mask(known, state.made)
            }
        }
    }
    private func texts(_ value: Value) -> [String] {
        switch value {
        case .list(let items): items.flatMap(texts)
        case .map(let map): map.entries.flatMap { texts($0.value) }
        case .string, .int, .double: [value.text]
        case .null, .bool: []
        }
    }

    public func filter() -> any OutputFilter { MaskedStream(state.with { $0.mask }) }
    public func masked(_ text: String) -> String { state.with { $0.mask }.masked(text) }
}
