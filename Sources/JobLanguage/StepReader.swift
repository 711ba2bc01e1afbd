// What this is: the reading of `steps:`, `on_failure:` and `finally:`.
// Owns: the keys that stand beside a step type, the shorthand forms, the check of literal parameters.
// Never: knows what a step does: the catalogue's table says what it takes.
// On failure: findings; a broken step is left out so that the others are still checked.
import JobModel
import YamlText

struct StepReader {
    let catalogue: StepCatalogue
    let findings: Findings
    let calls: CallReader

    static let besides = [
        "id", "name", "when", "needs", "retry", "timeout", "idempotent", "continue_on_error", "env",
    ]
    static let later = ["on_error"]

    func read(_ fields: FieldReader, _ section: Section) -> [StepSpec] {
        guard let items = fields.items(section.rawValue) else { return [] }
        return read(items, inside: StepPlace(section, []))
    }

    private func read(_ items: [YamlNode], inside place: StepPlace) -> [StepSpec] {
        if items.count > Limits.steps {
            findings.error("E-STEPS", "more than \(Limits.steps) steps", at: items[Limits.steps].start)
        }
        var steps: [StepSpec] = []
        for (index, node) in items.prefix(Limits.steps).enumerated() {
            guard let step = read(node, at: place.inside(index + 1)) else { continue }
            checkNeeds(of: step, node, earlier: steps)
            steps.append(step)
        }
        return steps
    }

    /// Only steps above it in its list: so nothing can wait for itself.
    private func checkNeeds(of step: StepSpec, _ node: YamlNode, earlier: [StepSpec]) {
        guard let needs = step.needs, let field = node["needs"] else { return }
        let ids = earlier.compactMap(\.id)
        for (index, id) in needs.enumerated() where !ids.contains(id) {
            let near = findings.nearest(id, in: ids)
            let holder = earlier.first { StepReader.holds($0, id) }
            findings.error(
                "E-NEEDS", "there is no step with the id `\(id)` above this one in its list",
                hint: holder.map { "it is inside of step \($0.label): give that one an `id:`, and need it" }
                    ?? near.map { "did you mean `\($0)`?" }
                    ?? (ids.isEmpty
                        ? "give the step that it needs an `id:`"
                        : "ids above it: \(ids.joined(separator: ", "))"),
                at: field.items?[index].start ?? field.start)
        }
    }

    private static func holds(_ step: StepSpec, _ id: String) -> Bool {
        step.steps.contains { $0.id == id || holds($0, id) }
    }

    private func read(_ node: YamlNode, at place: StepPlace) -> StepSpec? {
        let label = "step \(place.text)"
        if let word = node.scalar?.text, catalogue[word] != nil {
            findings.error("E-STEP", "\(label) is a bare word", hint: "write `- \(word): …`", at: node.start)
            return nil
        }
        guard let written = FieldReader(node, label, findings) else { return nil }
        guard let (typed, type) = type(written, label) else { return nil }
        let (fields, pair) = OriginSpelling.step(written, typed, type)
        var step = StepSpec(place: place, type: type, parameters: [:], line: node.start.line)
        step.parameters = parameters(pair, type, label)
        readBesides(fields, into: &step)
        if type.control != nil, let node = fields.field("idempotent") {
            findings.error(
                "E-KEY", "`idempotent` does not stand beside `\(type.name)`",
                hint: "after a crash each step inside goes on by its own rule; say it there", at: node.start)
        }
        if let own = type.ownTime, let node = fields.field("timeout") {
            findings.error(
                "E-KEY", "`timeout` does not stand beside `\(type.name)`",
                hint: "how long people have is `\(own)`, inside of it", at: node.start)
        }
        switch type.control {
        case .call: calls.fit(into: &step, pair.value, findings)
        case .group, .parallel, .foreach, .repeated: step.steps = readInside(pair, type, label, place)
        case nil: break
        }
        return step
    }

    /// The steps that a step holds.
    private func readInside(_ pair: YamlPair, _ type: StepType, _ label: String, _ place: StepPlace)
        -> [StepSpec]
    {
        guard place.path.count < Limits.stepDepth else {
            findings.error(
                "E-STEPS", "more than \(Limits.stepDepth) steps inside of each other", at: pair.keyStart)
            return []
        }
        let node = type.shorthand == "steps" && pair.value.items != nil ? pair.value : pair.value["steps"]
        // One that is missing was found with the parameters.
        guard let node else { return [] }
        guard let items = node.items else {
            findings.error("E-TYPE", "`steps` must be a list, but is a \(node.kindName)", at: node.start)
            return []
        }
        if items.isEmpty { findings.error("E-STEPS", "`steps` of \(label) is empty", at: node.start) }
        return read(items, inside: place)
    }

    /// The one key that is not one of the common ones must be a step type.
    private func type(_ fields: FieldReader, _ label: String) -> (YamlPair, StepType)? {
        let pairs = (fields.node.pairs ?? []).filter { !StepReader.besides.contains($0.key) }
        let known = pairs.filter { catalogue[$0.key] != nil || calls.isCustom($0.key) }
        if known.count > 1 {
            findings.error(
                "E-STEP", "\(label) has two step types, `\(known[0].key)` and `\(known[1].key)`",
                hint: known.first { catalogue[$0.key]?.control != nil }.map {
                    "what `\($0.key)` is to do stands inside of it: `\($0.key): {…, steps: […]}`"
                } ?? "each step begins with its own `- `", at: known[1].keyStart)
            return nil
        }
        if let pair = known.first {
            guard let type = catalogue[pair.key] ?? calls.customType(pair.key, at: pair.keyStart, findings)
            else {
                return nil
            }
            for stray in pairs where stray.key != pair.key { refuse(stray, label, type) }
            return (pair, type)
        }
        guard let stray = pairs.first else {
            findings.error(
                "E-STEP", "\(label) has no step type", hint: "`bobbin steps` lists them",
                at: fields.node.start)
            return nil
        }
        if StepReader.later.contains(stray.key) {
            findings.error(
                "E-KEY-LATER", "`\(stray.key)` is not available in this version", at: stray.keyStart)
            return nil
        }
        let near = findings.nearest(stray.key, in: catalogue.names + StepReader.besides)
        findings.error(
            "E-STEP-TYPE", "\(label): there is no step type `\(stray.key)`",
            hint: near.map { "did you mean `\($0)`?" } ?? "`bobbin steps` lists them", at: stray.keyStart)
        return nil
    }

    private func refuse(_ stray: YamlPair, _ label: String, _ type: StepType) {
        if StepReader.later.contains(stray.key) {
            return findings.error(
                "E-KEY-LATER", "`\(stray.key)` is not available in this version", at: stray.keyStart)
        }
        let near = findings.nearest(stray.key, in: StepReader.besides + catalogue.names)
        let isParameter = type.parameters.contains { $0.name == stray.key }
        findings.error(
            "E-KEY", "\(label) has no key `\(stray.key)`",
            hint: isParameter
                ? "`\(stray.key)` belongs inside `\(type.name)`: {…}, indented below it"
                : near.map { "did you mean `\($0)`?" } ?? "",
            at: stray.keyStart)
    }

    private func parameters(_ pair: YamlPair, _ type: StepType, _ label: String) -> ValueMap {
        let short = type.parameters.first { $0.name == type.shorthand }
        if short?.kind == .steps, pair.value.items != nil { return [:] }
        if let short, isShorthand(pair.value, short) {
            check(pair.value, short, type)
            var map: ValueMap = [short.name: Value(pair.value)]
            requireAll(&map, type, pair)
            return map
        }
        if pair.value.scalar?.value == .null {
            var map = ValueMap()
            requireAll(&map, type, pair)
            return map
        }
        guard let fields = FieldReader(pair.value, "`\(type.name)`", findings) else { return [:] }
        fields.refuseUnknown(type.parameters.map(\.name))
        var map = ValueMap()
        var given: Set<String> = []
        for parameter in type.parameters {
            guard let node = fields.field(parameter.name) else { continue }
            if parameter.kind == .steps {
                given.insert(parameter.name)
                continue
            }
            check(node, parameter, type)
            map[parameter.name] = Value(node)
        }
        requireAll(&map, type, pair, beside: given)
        checkName(fields, type)
        if type.control == .repeated, map["count"] == nil, map["until"] == nil {
            findings.error(
                "E-STEP-PARAM", "`repeat` needs `count`, `until`, or both",
                hint: "without them it has no end",
                at: pair.keyStart)
        }
        return map
    }

    /// The name under which a round sees its item.
    private func checkName(_ fields: FieldReader, _ type: StepType) {
        guard let key = type.control?.nameParameter, let node = fields.field(key),
            let name = node.scalar?.text
        else { return }
        if TemplateParts.mayHold(name) {
            return findings.error("E-VARIABLE", "`\(key)` must be a plain name", at: node.start)
        }
        if !StepReader.isName(name) || node.scalar?.value != .string(name) {
            return findings.error(
                "E-VARIABLE", "`\(name)` cannot name a variable",
                hint: "letters, digits and _, not a digit first", at: node.start)
        }
        if Scope.reservedNames.contains(name) || Scope.words.contains(name) || name == "loop" {
            findings.error(
                "E-VARIABLE", "`\(name)` cannot name a variable: it is a word of the language", at: node.start
            )
        }
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.enumerated().allSatisfy { index, byte in
                byte == 0x5F || (0x61...0x7A).contains(byte | 0x20)
                    || index > 0 && (0x30...0x39).contains(byte)
            }
    }

    /// A scalar or list is the shorthand; so is a map where the shorthand parameter is itself a map and none of its
    /// keys is a parameter (`set: {total: 3}`).
    private func isShorthand(_ node: YamlNode, _ short: Parameter) -> Bool {
        guard let pairs = node.pairs else { return node.scalar?.value != .null && short.kind != .steps }
        return short.kind == .map && !pairs.contains { $0.key == short.name }
    }

    private func requireAll(
        _ map: inout ValueMap, _ type: StepType, _ pair: YamlPair, beside given: Set<String> = []
    ) {
        for parameter in type.parameters
        where parameter.required && map[parameter.name] == nil && !given.contains(parameter.name) {
            findings.error(
                "E-STEP-PARAM", "`\(type.name)` needs `\(parameter.name)` (\(parameter.kind.title))",
                hint: parameter.summary, at: pair.keyStart)
        }
    }

    /// Literal values are checked now; what holds `{{` can be judged only when it is rendered.
    private func check(_ node: YamlNode, _ parameter: Parameter, _ type: StepType) {
        if parameter.kind == .form, let pairs = node.pairs {
            _ = ParameterReader(findings: findings, budget: calls.budget).read(pairs)
            return
        }
        let value = Value(node)
        if case .string(let text) = value, TemplateParts.mayHold(text), !parameter.kind.isCondition { return }
        if case .list(let items) = value,
            items.contains(where: { $0.stringValue.map(TemplateParts.mayHold) == true })
        {
            return
        }
        guard parameter.kind.accept(value) == nil else {
            if let why = parameter.outOfRange(value) {
                findings.error("E-TYPE", "`\(parameter.name)` of \(type.name) \(why)", at: node.start)
            }
            return
        }
        findings.error(
            "E-TYPE",
            "`\(parameter.name)` of \(type.name) must be a \(parameter.kind.title), but is a \(node.kindName)",
            at: node.start)
    }

    private func readBesides(_ fields: FieldReader, into step: inout StepSpec) {
        if let id = fields.text("id"), let node = fields.field("id") {
            let legal =
                id.utf8.first.map { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A || $0 == 0x5F } ?? false
            if legal, id.utf8.count <= 64,
                id.unicodeScalars.allSatisfy({
                    $0.isASCII
                        && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || $0 == "_" || $0 == "-")
                })
            {
                step.id = id
            } else {
                findings.error(
                    "E-STEP-ID", "`\(id)` cannot name a step",
                    hint: "a letter or _, then letters, digits, _ or -", at: node.start)
            }
        }
        step.name = fields.text("name")
        if let node = fields.field("when") {
            switch node.scalar?.value {
            case .string(let text): step.when = text
            case .bool(let flag): step.when = flag ? "true" : "false"
            default: fields.wrong("when", "condition", node)
            }
        }
        step.needs = needs(fields)
        step.retry = fields.retry("retry", standard: .standard)
        step.timeout = fields.span("timeout")
        step.idempotent = fields.flag("idempotent")
        step.continueOnError = fields.flag("continue_on_error") ?? false
        step.environment = fields.map("env") ?? [:]
        checkEnvironment(fields)
    }

    private func needs(_ fields: FieldReader) -> [String]? {
        guard let node = fields.field("needs") else { return nil }
        if node.scalar?.value == .null {
            findings.error(
                "E-NEEDS", "`needs` is empty",
                hint: "`needs: []` waits for nobody; without the key it waits for all above",
                at: node.start)
            return nil
        }
        guard case .list(let items)? = Parameter.Kind.texts.accept(Value(node)) else {
            fields.wrong("needs", "list of step ids", node)
            return nil
        }
        return items.map(\.text)
    }

    private func checkEnvironment(_ fields: FieldReader) {
        for pair in fields.field("env")?.pairs ?? [] {
            if let why = EnvironmentName.unfitness(pair.key) {
                findings.error("E-ENV", "`\(pair.key)` \(why)", at: pair.keyStart)
            }
            if pair.value.scalar == nil {
                findings.error("E-TYPE", "`\(pair.key)` must be a text", at: pair.value.start)
            }
        }
    }
}

/// Which environment variables a job may set.
public enum EnvironmentName {
    /// Variables that change how programs load or how a shell reads, and so make code of data.
    private static let dangerous: Set<String> = [
        "BASH_ENV", "ENV", "IFS", "SHELLOPTS", "BASHOPTS", "PS4", "PROMPT_COMMAND", "GCONV_PATH",
    ]

    public static func unfitness(_ name: String) -> String? {
        let isName = name.utf8.allSatisfy {
            $0 == 0x5F || ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A || (0x30...0x39).contains($0)
        }
        guard isName, let first = name.utf8.first, !(0x30...0x39).contains(first) else {
            return "cannot name an environment variable"
        }
        if dangerous.contains(name) || name.hasPrefix("LD_") {
            return "may not be set: it changes how programs are loaded"
        }
        return name.hasPrefix("BOBBIN_") ? "is set by Bobbin itself" : nil
    }
}
