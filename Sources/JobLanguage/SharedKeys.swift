// What this is: `include:` (shared defaults) and `extends:` (one job as the base of another), put together before a job is read.
// Owns: the order in which they count, and that neither goes further than one level.
// Never: follows an include in an included file, or a base that has a base.
// On failure: findings at the key that named the file; what came from there is marked there, too.
import JobModel
import YamlText

struct SharedKeys {
    let reader: JobReader
    let calls: CallReader
    let findings: Findings

    static let own = ["include", "extends"]
    /// Of these maps each entry counts by itself; any other key is taken whole.
    private static let merged = ["variables", "params", "outputs"]
    /// What only a job has of its own.
    private static let never = ["steps", "template", "include", "extends", "name", "program"]

    /// The tree with what it shares: an include counts least, then the base, then what the file says itself.
    func resolved(_ tree: YamlNode) -> YamlNode {
        guard tree.pairs != nil, SharedKeys.own.contains(where: { tree[$0] != nil }) else { return tree }
        var pairs: [YamlPair] = []
        includes(of: tree).forEach { SharedKeys.lay($0, over: &pairs) }
        if let node = tree["extends"], let base = base(node) {
            includes(of: base, at: node.start).forEach { SharedKeys.lay($0, over: &pairs) }
            SharedKeys.lay(
                (base.pairs ?? []).filter { $0.key != "include" }.map {
                    SharedKeys.moved($0, to: node.start)
                },
                over: &pairs)
        }
        SharedKeys.lay((tree.pairs ?? []).filter { !SharedKeys.own.contains($0.key) }, over: &pairs)
        return YamlNode(content: .mapping(pairs), start: tree.start, end: tree.end)
    }

    private func base(_ node: YamlNode) -> YamlNode? {
        guard let (name, tree) = file(node) else { return nil }
        for key in ["extends", "template"] where tree[key] != nil {
            findings.error(
                "E-TEMPLATE", "`\(name)` has `\(key)`, and cannot be a base: a base goes one level deep",
                hint: "extend what it extends, or include what both share", at: node.start)
            return nil
        }
        return tree
    }

    private func includes(of tree: YamlNode, at outer: SourceMark? = nil) -> [[YamlPair]] {
        guard let node = tree["include"] else { return [] }
        var found: [[YamlPair]] = []
        for item in node.items ?? [node] {
            guard let (name, shared) = file(item, at: outer) else { continue }
            if let stray = shared.pairs?.first(where: { SharedKeys.never.contains($0.key) }) {
                findings.error(
                    "E-TEMPLATE", "`\(name)` has `\(stray.key)`, and cannot be included",
                    hint:
                        "an included file holds what jobs share: variables, retry, timeout, on_failure, finally …",
                    at: outer ?? item.start)
                continue
            }
            found.append((shared.pairs ?? []).map { SharedKeys.moved($0, to: outer ?? item.start) })
        }
        return found
    }

    /// A file below templates/ that a key names.
    private func file(_ node: YamlNode, at outer: SourceMark? = nil) -> (String, YamlNode)? {
        let mark = outer ?? node.start
        guard case .string(let name)? = node.scalar?.value else {
            findings.error("E-TYPE", "`include` and `extends` name files below templates/", at: mark)
            return nil
        }
        guard let bytes = reader.template(name, at: mark, findings) else { return nil }
        calls.note(name, bytes)
        do throws(YamlError) {
            let tree = try YamlReader.parse(bytes)
            guard tree.pairs != nil else {
                findings.error("E-TEMPLATE", "`\(name)` is no map", at: mark)
                return nil
            }
            return (name, tree)
        } catch {
            let inner = Findings(SourceFile(name: "templates/\(name)", bytes: bytes))
            inner.add(Diagnostic(error))
            calls.add(inner.all)
            findings.error("E-TEMPLATE", "the file `\(name)` has errors", at: mark)
            return nil
        }
    }

    private static func lay(_ upper: [YamlPair], over pairs: inout [YamlPair]) {
        for pair in upper {
            guard let index = pairs.firstIndex(where: { $0.key == pair.key }) else {
                pairs.append(pair)
                continue
            }
            if merged.contains(pair.key), var inner = pairs[index].value.pairs, let over = pair.value.pairs {
                for entry in over {
                    if let known = inner.firstIndex(where: { $0.key == entry.key }) {
                        inner[known] = entry
                    } else {
                        inner.append(entry)
                    }
                }
                let value = YamlNode(content: .mapping(inner), start: pair.value.start, end: pair.value.end)
                pairs[index] = YamlPair(key: pair.key, keyStart: pair.keyStart, value: value)
            } else {
                pairs[index] = pair
            }
        }
    }

    /// Nothing of another file has a place in this one but that of the key which brought it in.
    private static func moved(_ pair: YamlPair, to mark: SourceMark) -> YamlPair {
        YamlPair(key: pair.key, keyStart: mark, value: moved(pair.value, to: mark))
    }
    private static func moved(_ node: YamlNode, to mark: SourceMark) -> YamlNode {
        let content: YamlNode.Content =
            switch node.content {
            case .scalar(let scalar): .scalar(scalar)
            case .sequence(let items): .sequence(items.map { moved($0, to: mark) })
            case .mapping(let pairs): .mapping(pairs.map { moved($0, to: mark) })
            }
        return YamlNode(content: content, start: mark, end: mark)
    }
}
