// What this is: ops/access.yaml as an AccessPolicy.
// Owns: its keys (docs/OPERATING.md lists them), and what holds where there is no such file.
// Never: half-applies: a file with an error gives no policy at all.
// On failure: findings with file, line and column; a start stops, a running daemon keeps what it has.
import AccessControl
import JobLanguage
import JobModel
import LinuxSystem
import SpoolQueue
import YamlText

enum AccessFile {
    static let name = "access.yaml", path = "ops/access.yaml"
    fileprivate static let keys = [
        "shared", "group", "users", "groups", "everybody", "queues", "templates", "steps", "secrets",
        "least_uid",
        "sign_from",
    ]

    /// `bytes`: nil where there is no such file.
    static func read(_ bytes: [UInt8]?, service: UInt32) throws(ConfigurationProblem) -> AccessPolicy {
        guard let bytes else { return .privateSite(of: service) }
        let source = SourceFile(name: path, bytes: bytes)
        let tree: YamlNode
        do throws(YamlError) { tree = try YamlReader.parse(bytes) } catch {
            throw ConfigurationProblem(text: source.render(Diagnostic(error)))
        }
        let sheet = ConfigurationSheet(source)
        let policy = sheet.access(tree, service)
        guard sheet.problems.isEmpty else {
            throw ConfigurationProblem(text: sheet.problems.joined(separator: "\n"))
        }
        return policy
    }

    /// Names in the rules that nothing on this site or host has; one sentence each.
    static func unknown(_ policy: AccessPolicy, _ site: Site) -> [String] {
        var lines: [String] = []
        // A configuration that cannot be read is told of elsewhere.
        let queues = (try? site.configuration().queues.map(\.name.text)) ?? Array(policy.queues.keys)
        for name in policy.queues.keys where !queues.contains(name) {
            lines.append("there is no queue `\(name)`")
        }
        for name in policy.templates.keys where !Host.exists("\(site.path)/\(SpoolName.templates)/\(name)") {
            lines.append("there is no template `\(name)`")
        }
        let customs = Site.customTypes(path: site.path).map(\.name)
        for name in policy.steps.keys where site.catalogue[name] == nil && !customs.contains(name) {
            lines.append("there is no step type `\(name)`")
        }
        let gates =
            Array(policy.queues.values) + Array(policy.templates.values) + Array(policy.steps.values)
            + policy.secrets.map(\.gate)
        var people = Set(gates.flatMap(\.allow))
        people.formUnion(policy.groups.keys.map { "group:\($0)" })
        for entry in people {
            if entry.hasPrefix("group:") {
                let group = String(entry.dropFirst(6))
                if Host.gid(named: group) == nil { lines.append("this host has no group `\(group)`") }
            } else if Host.uid(named: entry) == nil, UInt32(entry) == nil {
                lines.append("this host has no account `\(entry)`")
            }
        }
        return lines.sorted()
    }

    /// What `init --shared GROUP` writes.
    static func initialText(group: String, admin: String) -> String {
        """
        # Who may do what on this site; docs/OPERATING.md, section 6. A running Bobbin re-reads it when it changes.
        shared: true
        group: \(JSONText.write(.string(group)))          # whose members may drop files
        users:
          \(JSONText.write(.string(admin))): Admin
          # anna: Editor                 # runs, approves, stops
          # bert: {role: Runner, active: false}
        groups:
          \(JSONText.write(.string(group))): Runner
        everybody: none                  # accounts named nowhere
        # queues: {payroll: {allow: [group:hr]}}
        # templates: {deploy.yaml: {role: Editor}}
        # steps: {shell: {role: Editor}, ssh: {role: Editor}}     # of jobs themselves; templates may use all
        # sign_from: high                # from this risk on approvals are signed (ops/allowed_signers)
        # secrets: {"erp/*": {role: Editor, templates: [invoice.yaml]}}

        """
    }
}

extension ConfigurationSheet {
    fileprivate func access(_ tree: YamlNode, _ service: UInt32) -> AccessPolicy {
        guard pairs(tree, "the file", AccessFile.keys) != nil else { return .privateSite(of: service) }
        var policy = AccessPolicy(
            isShared: flag(tree, "shared") ?? false, isEnforced: true, service: service,
            memberships: { Host.groupNames(of: $0) })
        policy.group = word(tree, "group")
        if policy.isShared, policy.group == nil {
            problem(
                "a shared site names its `group`", tree.start, hint: "the group whose members may drop files")
        }
        for pair in entries(tree, "users") {
            if let grant = grant(pair) { policy.users[pair.key] = grant }
        }
        for pair in entries(tree, "groups") {
            if let role = role(pair.value, "the role of group `\(pair.key)`") {
                policy.groups[pair.key] = role
            }
        }
        if let field = tree["everybody"], field.scalar?.text != "none" {
            policy.everybody = role(field, "`everybody`")
        }
        for pair in entries(tree, "queues") {
            if QueueName(pair.key) == nil { problem("`\(pair.key)` cannot name a queue", pair.keyStart) }
            policy.queues[pair.key] = gate(pair, ["role", "allow"])
        }
        for pair in entries(tree, "templates") { policy.templates[pair.key] = gate(pair, ["role", "allow"]) }
        for pair in entries(tree, "steps") {
            if Site.standardCatalogue[pair.key] == nil, !JobReader.isTypeName(pair.key) {
                problem("`\(pair.key)` is no step type", pair.keyStart)
            }
            policy.steps[pair.key] = gate(pair, ["role", "allow"])
        }
        for pair in entries(tree, "secrets") {
            let name = pair.key.hasSuffix("*") ? pair.key.dropLast() + "x" : pair.key[...]
            if SecretName(String(name)) == nil {
                problem(
                    "`\(pair.key)` cannot name a secret", pair.keyStart, hint: "key, service/key or service/*"
                )
            }
            if let gate = gate(pair, ["role", "allow", "templates"]) {
                policy.secrets.append((pair.key, gate))
            }
        }
        if let field = tree["sign_from"] {
            policy.signFrom = ApprovalQuestion.Risk(rawValue: field.scalar?.text ?? "")
            if policy.signFrom == nil {
                problem("`sign_from` must be low, medium, high or critical", field.start)
            }
        }
        if let least = integer(tree, "least_uid", 1...65_533) { policy.leastUID = UInt32(least) }
        return policy
    }

    private func entries(_ tree: YamlNode, _ key: String) -> [YamlPair] {
        guard let field = tree[key], field.scalar?.value != .null else { return [] }
        guard let pairs = field.pairs else {
            problem("`\(key)` must be a map", field.start)
            return []
        }
        return pairs
    }
    private func word(_ node: YamlNode, _ key: String) -> String? {
        guard let field = node[key] else { return nil }
        if let text = field.scalar?.text, !text.isEmpty { return text }
        problem("`\(key)` must be a name", field.start)
        return nil
    }
    private func role(_ node: YamlNode, _ what: String) -> Role? {
        let roles = Role.allCases.map(\.rawValue)
        if let role = node.scalar.flatMap({ Role(word: $0.text) }) { return role }
        problem(
            "\(what) must be one of \(roles.joined(separator: ", "))", node.start,
            hint: node.scalar.flatMap { NearestName.find($0.text, in: roles) }.map { "did you mean `\($0)`?" }
                ?? "")
        return nil
    }
    private func grant(_ pair: YamlPair) -> AccessPolicy.Grant? {
        let what = "the role of `\(pair.key)`"
        guard pair.value.pairs != nil else { return role(pair.value, what).map { AccessPolicy.Grant($0) } }
        guard pairs(pair.value, "user `\(pair.key)`", ["role", "active"]) != nil else { return nil }
        guard let field = pair.value["role"] else {
            problem("user `\(pair.key)` has no `role`", pair.keyStart)
            return nil
        }
        return role(field, what).map { AccessPolicy.Grant($0, isActive: flag(pair.value, "active") ?? true) }
    }
    private func gate(_ pair: YamlPair, _ keys: [String]) -> AccessGate? {
        let node = pair.value
        if node.scalar != nil { return role(node, "`\(pair.key)`").map { AccessGate(role: $0) } }
        guard pairs(node, "`\(pair.key)`", keys) != nil else { return nil }
        var gate = AccessGate()
        if let field = node["role"] { gate.role = role(field, "`role`") }
        gate.allow = texts(node, "allow")
        gate.templates = texts(node, "templates")
        return gate
    }
    private func texts(_ node: YamlNode, _ key: String) -> [String] {
        guard let field = node[key] else { return [] }
        let texts = (field.items ?? [field]).compactMap { $0.scalar?.text }.filter { !$0.isEmpty }
        // An empty list would mean everybody, which nobody means who writes one.
        if texts.isEmpty || texts.count != (field.items ?? [field]).count {
            problem("`\(key)` must be a list of names", field.start)
        }
        return texts
    }
}
