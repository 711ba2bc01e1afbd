// What this is: what the files of schedules, watchers and webhooks share: a list of entries with ids, and their common keys.
// Owns: the reading of such a list; id, name, queue, priority, variables; what is wrong with a template for them.
// Never: knows what an entry means.
// On failure: findings of the sheet.
import JobLanguage
import JobModel
import SpoolQueue
import YamlText

enum TriggerSheet {
    /// The tree of a file; nil where there is nothing in it but comments, which is how people take everything out.
    static func open(_ bytes: [UInt8], _ path: String) throws(ConfigurationProblem) -> (
        sheet: ConfigurationSheet, tree: YamlNode
    )? {
        let source = SourceFile(name: path, bytes: bytes)
        do throws(YamlError) { return (ConfigurationSheet(source), try YamlReader.parse(bytes)) } catch {
            if error.code == "E-YAML-EMPTY" { return nil }
            throw ConfigurationProblem(text: source.render(Diagnostic(error)))
        }
    }

    /// The entries of `key:`, each read by `read`; ids are checked.
    static func entries<Entry>(
        _ sheet: ConfigurationSheet, _ tree: YamlNode, _ key: String, id: (Entry) -> String,
        _ read: (YamlNode) -> Entry?
    ) -> [Entry] {
        guard let list = tree[key], list.scalar?.value != .null else { return [] }
        guard let items = list.items else {
            sheet.problem("`\(key)` must be a list", list.start)
            return []
        }
        var lines: [String: Int] = [:]
        var entries: [Entry] = []
        for item in items {
            guard let entry = read(item) else { continue }
            if let line = lines[id(entry)] {
                sheet.problem("the id `\(id(entry))` is used twice, first in line \(line)", item.start)
            }
            lines[id(entry)] = item.start.line
            entries.append(entry)
        }
        return entries
    }

    static func finish(_ sheet: ConfigurationSheet) throws(ConfigurationProblem) {
        guard !sheet.problems.isEmpty else { return }
        throw ConfigurationProblem(text: sheet.problems.joined(separator: "\n"))
    }

    /// Why the job that an entry drops would be sent back; nil: it would be taken.
    static func trouble(_ job: String, _ site: Site, _ path: String) -> String? {
        let reading = site.reader().read(Array(job.utf8), name: path, stem: "job")
        guard let first = reading.errors.first?.diagnostic else { return nil }
        // What a person at a shell could do, an entry cannot.
        let hint = first.code == "E-PARAM" ? "" : first.hint
        return first.message + (hint.isEmpty ? "" : ": \(hint)")
    }
}

/// What the files of schedules, watchers and webhooks share.
extension ConfigurationSheet {
    func identifier(_ node: YamlNode, _ what: String) -> String? {
        guard let field = node["id"] else {
            problem("\(what) needs an `id`", node.start)
            return nil
        }
        let id = field.scalar?.text ?? ""
        let isFit =
            (1...64).contains(id.utf8.count)
            && id.utf8.allSatisfy { byte in
                (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A || (0x30...0x39).contains(byte) || byte == 0x5F
                    || byte == 0x2D
            }
        guard isFit else {
            problem("`\(id)` cannot be an id", field.start, hint: "1 to 64 letters, digits, _ and -")
            return nil
        }
        return id
    }
    /// A text that may be left out.
    func text(_ node: YamlNode, _ key: String) -> String? {
        guard let field = node[key], field.scalar?.value != .null else { return nil }
        if let scalar = field.scalar { return scalar.text }
        problem("`\(key)` must be a text", field.start)
        return nil
    }
    /// A list of texts, or one.
    func texts(of node: YamlNode, _ key: String) -> [String] {
        guard let field = node[key], field.scalar?.value != .null else { return [] }
        let items = field.items ?? [field]
        let texts = items.compactMap { $0.scalar?.text }.filter { !$0.isEmpty }
        if texts.count != items.count { problem("`\(key)` must be a list of texts", field.start) }
        return texts
    }
    func word(_ node: YamlNode, _ key: String, of what: String) -> String? {
        guard let field = node[key] else {
            problem("\(what) needs `\(key)`", node.start)
            return nil
        }
        if case .string(let text)? = field.scalar?.value, !text.isEmpty { return text }
        problem("`\(key)` must be a text", field.start)
        return nil
    }
    func flag(_ node: YamlNode, _ key: String) -> Bool? {
        guard let field = node[key] else { return nil }
        if case .bool(let flag)? = field.scalar?.value { return flag }
        problem("`\(key)` must be true or false", field.start)
        return nil
    }
    func choice<Choice: RawRepresentable & CaseIterable>(_ node: YamlNode, _ key: String, _: Choice.Type)
        -> Choice?
    where Choice.RawValue == String {
        guard let field = node[key] else { return nil }
        // `none` and `null` are different words to YAML; who writes null means none.
        let text = field.scalar.map { $0.value == .null ? "none" : $0.text } ?? ""
        if let choice = Choice(rawValue: text) { return choice }
        let known = Choice.allCases.map(\.rawValue)
        problem(
            "`\(key)` must be one of \(known.joined(separator: ", "))", field.start,
            hint: NearestName.find(text, in: known).map { "did you mean `\($0)`?" } ?? "")
        return nil
    }
    func variables(_ node: YamlNode) -> ValueMap {
        guard let field = node["variables"], field.scalar?.value != .null else { return [:] }
        guard case .map(let map) = Value(field) else {
            problem("`variables` must be a map", field.start)
            return [:]
        }
        return map
    }
    /// `queue` and `priority`, which this site must have.
    func place(_ node: YamlNode, _ queues: [QueuePolicy]) -> (QueueName, Priority)? {
        var queue = QueueName.standard
        if let field = node["queue"] {
            guard let name = QueueName(field.scalar?.text ?? "") else {
                problem("`queue` must be the name of a queue", field.start)
                return nil
            }
            queue = name
        }
        let level = integer(node, "priority", 1...9) ?? Priority.normal.level
        guard let policy = queues.first(where: { $0.name == queue }) else {
            problem(
                "there is no queue `\(queue)`", (node["queue"] ?? node).start,
                hint: "ops/orchestrator.yaml has \(queues.map(\.name.text).joined(separator: ", "))")
            return nil
        }
        guard level <= policy.priorityLevels, let priority = Priority(level) else {
            problem(
                "queue `\(queue)` has priorities 1 to \(policy.priorityLevels)",
                (node["priority"] ?? node).start)
            return nil
        }
        return (queue, priority)
    }
}
