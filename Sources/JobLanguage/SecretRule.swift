// What this is: where a job may name a secret: only where its value goes to one step as data, and is neither shown nor kept.
// Owns: the reasons and the ways that work, for each place where it may not.
// Never: looks a secret up.
// On failure: nothing here fails.
import JobModel

struct SecretRule: Sendable {
    var why: String
    var instead: String

    static let elsewhere = SecretRule(
        why: "what stands here is kept, or shown, or decides something", instead: inPlaces)
    private static let inPlaces =
        "name it where a step takes it as data: `env`, `stdin`, `secret_files`, headers and body of make_request, a `password`"
    private static let forPrograms =
        "give it by `env: {TOKEN: \"{{ secrets://… }}\"}`, `stdin:` or `secret_files: {TOKEN_FILE: \"{{ secrets://… }}\"}`, and let the program read it there"

    static let ofHost = SecretRule(
        why: "the host of an address is remembered, and shown",
        instead: "write scheme and host out; a secret may stand behind the slash after them, or in a header")
    /// Whether what stands at this place of an address (in Unicode scalars) may be part of its host.
    static func isInHost(_ text: String, at offset: Int) -> Bool {
        let before = String(String.UnicodeScalarView(text.unicodeScalars.prefix(max(0, offset - 2))))
        // `{{ base }}/…`: the base has the host in it.
        if before.hasPrefix("{{"), let end = before.firstRange(of: "}}") {
            return !String(before[end.upperBound...]).has("/")
        }
        return before.parts(at: "/", keepingEmpty: true).count < 4
    }

    /// Nil where a parameter takes one.
    static func of(_ parameter: Parameter, _ step: StepSpec) -> SecretRule? {
        if parameter.mayHoldSecret { return ofDetached(step) }
        if step.type.control == .call {
            return SecretRule(
                why: "what a template is given is kept with the run",
                instead: "name it in the template itself, where it is used")
        }
        if parameter.kind == .script || parameter.name == "argv" {
            return SecretRule(
                why: "it would be seen in the list of processes", instead: forPrograms)
        }
        return SecretRule(
            why: "`\(parameter.name)` of \(step.type.name) is no place for one", instead: inPlaces)
    }

    static func ofEnvironment(_ step: StepSpec) -> SecretRule? {
        guard step.type.control == nil else {
            return SecretRule(
                why: "the `env` of a step that holds others is kept with the run",
                instead: "give it to the step that needs it")
        }
        return ofDetached(step)
    }

    /// What such a program prints goes to its log unseen.
    private static func ofDetached(_ step: StepSpec) -> SecretRule? {
        guard let flag = step.parameters["detach"], flag != .bool(false) else { return nil }
        return SecretRule(
            why: "the output of a program with `detach` is not masked",
            instead: "let it read the secret from a file that only its account may read")
    }
}

/// The secrets of a whole job.
enum SecretNeeds {
    /// A look at the bytes: nearly every job names none, and is spared the walk.
    static func mayBe(in bytes: [UInt8]) -> Bool {
        let word = Array("secrets:/".utf8)
        var index = 0
        while let found = bytes[index...].firstIndex(of: word[0]) {
            if bytes[found...].starts(with: word) { return true }
            index = found + 1
        }
        return false
    }

    /// Each with the template that names it; nil: the drop itself. `template`: the one that the job is made of.
    static func find(in job: JobSpec, template: String?) -> [SecretNeed] {
        var found: [SecretNeed] = []
        for section in Section.allCases {
            for step in job.steps(of: section) { collect(step, template, &found) }
        }
        return found
    }

    private static func collect(_ step: StepSpec, _ template: String?, _ found: inout [SecretNeed]) {
        collect(.map(step.environment), template, &found)
        for parameter in step.type.parameters where parameter.mayHoldSecret {
            if let value = step.parameters[parameter.name] { collect(value, template, &found) }
        }
        for inner in step.steps { collect(inner, step.call?.template ?? template, &found) }
    }
    private static func collect(_ value: Value, _ template: String?, _ found: inout [SecretNeed]) {
        switch value {
        case .string(let text) where TemplateParts.mayHold(text):
            // What cannot be read was refused, or fails when it is rendered.
            for part in (try? Template.parse(text))?.expressions ?? [] {
                for use in part.expression.secrets {
                    let need = SecretNeed(name: use.name, template: template)
                    if !found.contains(need) { found.append(need) }
                }
            }
        case .list(let items): for item in items { collect(item, template, &found) }
        case .map(let map): for entry in map.entries { collect(entry.value, template, &found) }
        default: break
        }
    }
}
