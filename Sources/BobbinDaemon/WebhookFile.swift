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
        guard let bytes else { return WebhookFile(webhooks: []) }
        let source = SourceFile(name: path, bytes: bytes)
        let tree: YamlNode
        do throws(YamlError) { tree = try YamlReader.parse(bytes) } catch {
            throw ConfigurationProblem(text: source.render(Diagnostic(error)))
        }
        let sheet = ConfigurationSheet(source)
        let webhooks = WebhookSheet(sheet: sheet, queues: queues).read(tree)
        guard sheet.problems.isEmpty else {
            throw ConfigurationProblem(text: sheet.problems.joined(separator: "\n"))
        }
        return WebhookFile(webhooks: webhooks)
    }
    public static func read(_ site: Site) throws -> WebhookFile {
        try read(bytes(site), queues: site.configuration().queues)
    }
    public static func bytes(_ site: Site) throws -> [UInt8]? { try site.opsBytes(name) }
}

private struct WebhookSheet {
    let sheet: ConfigurationSheet
    let queues: [QueuePolicy]

    func read(_ tree: YamlNode) -> [Webhook] {
        guard sheet.pairs(tree, "the file", ["webhooks"]) != nil, let list = tree["webhooks"],
            list.scalar?.value != .null
        else { return [] }
        guard let items = list.items else {
            sheet.problem("`webhooks` must be a list", list.start)
            return []
        }
        var lines: [String: Int] = [:]
        var webhooks: [Webhook] = []
        for item in items {
            guard let webhook = webhook(item) else { continue }
            if let line = lines[webhook.id] {
                sheet.problem("the id `\(webhook.id)` is used twice, first in line \(line)", item.start)
            }
            lines[webhook.id] = item.start.line
            webhooks.append(webhook)
        }
        return webhooks
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
            id: id, name: node["name"]?.scalar?.text ?? id, source: source, endpoint: endpoint,
            template: template, queue: queue, priority: priority)
        webhook.isEnabled = sheet.flag(node, "enabled") ?? true
        webhook.format =
            sheet.choice(node, "format", Webhook.Format.self)
            ?? (source == "alertmanager" ? .alertmanager : .plain)
        webhook.variables = sheet.variables(node)
        webhook.extract = texts(node, "extract_variables")
        webhook.secret = secret(node)
        webhook.signatureHeader = node["signature_header"]?.scalar?.text ?? webhook.signatureHeader
        webhook.signaturePrefix = node["signature_prefix"]?.scalar?.text ?? webhook.signaturePrefix
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

    private func texts(_ node: YamlNode, _ key: String) -> [String] {
        guard let field = node[key], field.scalar?.value != .null else { return [] }
        let items = field.items ?? [field]
        let texts = items.compactMap { $0.scalar?.text }.filter { !$0.isEmpty }
        if texts.count != items.count { sheet.problem("`\(key)` must be a list of texts", field.start) }
        return texts
    }

    private func secret(_ node: YamlNode) -> Webhook.Secret? {
        guard let field = node["secret"], field.scalar?.value != .null else { return nil }
        let text = field.scalar?.text.trimmed ?? ""
        var inner = text
        if inner.hasPrefix("{{"), inner.hasSuffix("}}") {
            inner = String(inner.dropFirst(2).dropLast(2)).trimmed
        }
        guard inner.hasPrefix("secrets://") else {
            if text.isEmpty { sheet.problem("`secret` is empty", field.start) }
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
            by: field["by"]?.scalar?.text, within: sheet.span(field, "within") ?? standard.within)
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
