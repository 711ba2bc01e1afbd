// What this is: ops/webhooks.yaml as webhooks.
// Owns: its keys and defaults (docs/TRIGGERS.md lists them); which directory of spool/events/ an endpoint is.
// Never: half-applies: a file with an error gives no webhooks at all. Shows a secret.
// On failure: findings with file, line and column; what holds already goes on.
import JobLanguage
import JobModel
import LinuxSystem
import SpoolQueue
import Triggers
import YamlText

public struct WebhookFile: Sendable {
    public static let name = "webhooks.yaml", path = "ops/webhooks.yaml"
    public var webhooks: [Webhook]

    static let keys = [
        "id", "name", "description", "endpoint", "template", "format", "secret", "signature_header",
        "signature_prefix", "allowed_ips", "extract_variables", "variables", "match", "deduplicate",
        "rate_limit", "queue", "priority", "enabled",
    ]

    public static func read(_ bytes: [UInt8]?, queues: [QueuePolicy]) throws(ConfigurationProblem)
        -> WebhookFile
    {
        do throws(ConfigurationProblem) {
            guard let bytes, let (sheet, tree) = try TriggerSheet.open(bytes, path) else {
                return WebhookFile(webhooks: [])
            }
            let webhooks = WebhookSheet(sheet: sheet, queues: queues).read(tree)
            try TriggerSheet.finish(sheet)
            return WebhookFile(webhooks: webhooks)
        } catch {
            throw ConfigurationProblem(text: withoutSecrets(error.text))
        }
    }
    /// A finding shows its line, and the line may hold a secret in the clear.
    private static func withoutSecrets(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasPrefix(path) || !line.lowercased().contains("secret") || line.hasPrefix("  hint:")
                ? String(line) : "    (a line with a secret is not shown)"
        }.joined(separator: "\n")
    }
    public static func read(_ site: Site) throws -> WebhookFile {
        try read(bytes(site), queues: site.configuration().queues)
    }
    public static func bytes(_ site: Site) throws -> [UInt8]? { try site.opsBytes(name) }
    /// Under which what a webhook has done is noted.
    static func key(_ id: String) -> String { "webhook/\(id)" }

    /// Why what a webhook drops would be sent back, as far as that can be known without an event; nil: nothing is known.
    public static func trouble(_ webhook: Webhook, _ site: Site) -> String? {
        let reader = site.reader()
        guard let template = reader.template(named: webhook.template) else {
            return TriggerSheet.trouble(
                TriggerCall.text(template: webhook.template, variables: [:], tag: "event", trigger: [:]),
                site, path)
                ?? "the template `\(webhook.template)` has errors"
        }
        let given = webhook.variables.keys + webhook.extract.map(Webhook.variable)
        if let missing = template.parameters.first(where: { $0.isRequired && !given.contains($0.name) }) {
            return
                "the template `\(webhook.template)` needs `\(missing.name)`, which neither `variables` nor `extract_variables` gives"
        }
        let names = template.parameters.map(\.name)
        if !names.isEmpty,
            let odd = given.first(where: { !names.contains($0) && template.variables[$0] == nil })
        {
            return "the template `\(webhook.template)` has no parameter `\(odd)`"
        }
        return nil
    }
}

private struct WebhookSheet {
    let sheet: ConfigurationSheet
    let queues: [QueuePolicy]

    func read(_ tree: YamlNode) -> [Webhook] {
        guard sheet.pairs(tree, "the file", ["webhooks"]) != nil else { return [] }
        return TriggerSheet.entries(sheet, tree, "webhooks", id: \.id, webhook)
    }

    private func webhook(_ node: YamlNode) -> Webhook? {
        guard sheet.pairs(node, "a webhook", WebhookFile.keys) != nil,
            let id = sheet.identifier(node, "a webhook")
        else { return nil }
        let template = sheet.word(node, "template", of: "webhook `\(id)`")
        guard let endpoint = sheet.word(node, "endpoint", of: "webhook `\(id)`"),
            let field = node["endpoint"],
            let template, let (queue, priority) = sheet.place(node, queues)
        else { return nil }
        guard let source = WebhookSheet.source(endpoint) else {
            sheet.problem(
                "`\(endpoint)` names no directory of spool/events/", field.start,
                hint:
                    "the last part of an endpoint is one: 1 to 64 of a-z, 0-9, _ and -, such as /webhooks/deploy"
            )
            return nil
        }
        var webhook = Webhook(
            id: id, name: sheet.text(node, "name") ?? id, source: source, endpoint: endpoint,
            template: template, queue: queue, priority: priority)
        webhook.isEnabled = sheet.flag(node, "enabled") ?? true
        _ = sheet.text(node, "description")
        webhook.format =
            sheet.choice(node, "format", Webhook.Format.self)
            ?? (source == "alertmanager" ? .alertmanager : .plain)
        webhook.variables = sheet.variables(node)
        webhook.extract = sheet.texts(of: node, "extract_variables")
        webhook.secret = secret(node)
        webhook.signatureHeader = sheet.text(node, "signature_header") ?? webhook.signatureHeader
        webhook.signaturePrefix = sheet.text(node, "signature_prefix") ?? webhook.signaturePrefix
        webhook.allowedIPs = addresses(node)
        if !webhook.allowedIPs.isEmpty, webhook.secret == nil, let field = node["allowed_ips"] {
            sheet.problem(
                "`allowed_ips` needs a `secret`: an address that nobody signed can be written by anybody",
                field.start, hint: "secret: secrets://\(id)/key, and bobbin secrets set \(id)/key")
        }
        webhook.match = match(node)
        webhook.deduplication = deduplication(node, webhook.format)
        webhook.rate = rate(node)
        return webhook
    }

    static func source(_ endpoint: String) -> String? {
        let name = endpoint.split(separator: "/").last.map(String.init) ?? ""
        let isFit =
            (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x5F || byte == 0x2D
            }
        return isFit && name != SpoolName.closed ? name : nil
    }

    private func secret(_ node: YamlNode) -> Webhook.Secret? {
        guard let field = node["secret"], field.scalar?.value != .null else { return nil }
        guard let scalar = field.scalar else {
            sheet.problem("`secret` must be a text", field.start, hint: "secrets://service/key")
            return nil
        }
        let text = scalar.text.trimmed
        var inner = text
        if inner.hasPrefix("{{"), inner.hasSuffix("}}") {
            inner = String(inner.dropFirst(2).dropLast(2)).trimmed
        }
        guard inner.hasPrefix("secrets://") else {
            if text.isEmpty { sheet.problem("`secret` is empty", field.start) }
            if text.contains("{{") {
                sheet.problem(
                    "`secret` is taken as it is written, or names a secret", field.start,
                    hint: "write secrets://service/key")
            }
            return .literal(text)
        }
        guard let name = SecretName(String(inner.dropFirst("secrets://".count))) else {
            sheet.problem("`\(inner)` cannot name a secret", field.start, hint: "secrets://service/key")
            return nil
        }
        return .named(name)
    }

    private func addresses(_ node: YamlNode) -> [AddressRange] {
        (node["allowed_ips"]?.items ?? node["allowed_ips"].map { [$0] } ?? []).compactMap { item in
            let text = item.scalar?.text ?? ""
            if let range = AddressRange(text) { return range }
            sheet.problem(
                "`\(text)` is no address and no range", item.start,
                hint: "192.30.252.0/22, 10.0.0.7, 2001:db8::/32")
            return nil
        }
    }

    private func match(_ node: YamlNode) -> [String: [String]] {
        guard let field = node["match"], field.scalar?.value != .null else { return [:] }
        guard let pairs = field.pairs else {
            sheet.problem("`match` must be a map of dotted paths", field.start)
            return [:]
        }
        var match: [String: [String]] = [:]
        for pair in pairs {
            let items = pair.value.items ?? [pair.value]
            match[pair.key] = items.compactMap { $0.scalar == nil ? nil : Value($0).text }
            if match[pair.key]?.count != items.count || items.isEmpty {
                sheet.problem("`\(pair.key)` must be a value or a list of values", pair.value.start)
            }
        }
        return match
    }

    private func deduplication(_ node: YamlNode, _ format: Webhook.Format) -> Webhook.Deduplication {
        let standard = Webhook.Deduplication(within: .seconds(format == .alertmanager ? 300 : 86_400))
        guard let field = node["deduplicate"],
            sheet.pairs(field, "`deduplicate`", ["by", "within"]) != nil
        else { return standard }
        return Webhook.Deduplication(
            by: sheet.text(field, "by"), within: sheet.span(field, "within") ?? standard.within)
    }

    private func rate(_ node: YamlNode) -> (limit: Int, per: Span)? {
        guard let field = node["rate_limit"], sheet.pairs(field, "`rate_limit`", ["limit", "per"]) != nil
        else {
            return nil
        }
        guard let limit = sheet.integer(field, "limit", 1...1_000_000), let per = sheet.span(field, "per"),
            per > .zero
        else {
            sheet.problem(
                "`rate_limit` needs `limit` and `per`", field.start, hint: "rate_limit: {limit: 20, per: 1m}")
            return nil
        }
        return (limit, per)
    }
}
