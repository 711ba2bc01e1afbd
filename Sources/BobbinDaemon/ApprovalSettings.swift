// What this is: the key `approvals` of ops/orchestrator.yaml: who is told of questions.
// Owns: its keys.
// Never: says who may answer (roles do).
// On failure: findings of the configuration.
import JobModel
import YamlText

public struct ApprovalSettings: Hashable, Sendable {
    /// Notifiers of ops/notify.d/, or mail addresses; a question may name others.
    public var notify: [String] = []
    /// The sender of mail.
    public var mailFrom: String?
}

extension ConfigurationSheet {
    func approvals(_ node: YamlNode) -> ApprovalSettings {
        var settings = ApprovalSettings()
        guard pairs(node, "`approvals`", ["notify", "mail_from"]) != nil else { return settings }
        if let field = node["notify"] {
            let items = field.items ?? [field]
            let names = items.compactMap { item -> String? in
                if case .string(let name)? = item.scalar?.value, !name.isEmpty { name } else { nil }
            }
            if names.count == items.count {
                settings.notify = names
            } else {
                problem(
                    "`notify` must be a list of notifiers (ops/notify.d/) or mail addresses", field.start)
            }
        }
        if let field = node["mail_from"] {
            if case .string(let address)? = field.scalar?.value, address.contains("@") {
                settings.mailFrom = address
            } else {
                problem("`mail_from` must be a mail address", field.start)
            }
        }
        return settings
    }
}
