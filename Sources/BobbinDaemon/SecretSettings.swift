// What this is: the key `secrets` of ops/orchestrator.yaml: where secrets come from.
// Owns: its keys.
// Never: holds a secret.
// On failure: findings of the configuration.
import JobModel
import SecretStore
import YamlText

public struct SecretSettings: Hashable, Sendable {
    /// The key file with which secrets are opened; nil: the places of `IdentityFile`.
    public var identity: String?
    /// In the order in which they are asked.
    public var sources: [SecretSource] = SecretSource.allCases
    /// The attribute `service` of keyring items whose name has no service.
    public var keyringService = "bobbin"
    /// Too short or too common to be masked, and allowed to be seen.
    public var unmasked: Set<SecretName> = []
}

extension ConfigurationSheet {
    func secrets(_ node: YamlNode) -> SecretSettings {
        var settings = SecretSettings()
        guard pairs(node, "`secrets`", ["identity", "sources", "keyring_service", "unmasked"]) != nil else {
            return settings
        }
        if let field = node["identity"] {
            if case .string(let path)? = field.scalar?.value, path.hasPrefix("/") {
                settings.identity = path
            } else {
                problem("`identity` must be the full path of a key file", field.start)
            }
        }
        if let field = node["sources"] {
            let words = (field.items ?? [field]).map { $0.scalar?.text ?? "" }
            settings.sources = words.compactMap(SecretSource.init(rawValue:))
            if settings.sources.count != words.count || Set(words).count != words.count {
                problem(
                    "`sources` must be a list of \(SecretSource.allCases.map(\.rawValue).joined(separator: ", "))",
                    field.start)
            }
        }
        if let field = node["keyring_service"] {
            if case .string(let name)? = field.scalar?.value, !name.isEmpty {
                settings.keyringService = name
            } else {
                problem("`keyring_service` must be a name", field.start)
            }
        }
        for item in node["unmasked"].map({ $0.items ?? [$0] }) ?? [] {
            if let name = SecretName(item.scalar?.text ?? "") {
                settings.unmasked.insert(name)
            } else {
                problem("`unmasked` must be a list of secrets: key or service/key", item.start)
            }
        }
        return settings
    }
}
