// What this is: whether somebody may have a job run, or a run stopped: the answer, and what it would have taken.
// Owns: the order of the questions, the code E-ACCESS and its sentences.
// Never: records; whoever asks does.
// On failure: a Failure that says who may not do what, and what it takes.
import JobModel

/// What a job would have the site do.
public struct JobDemand: Hashable, Sendable {
    public var queue: QueueName
    /// That it is made of, or that its steps call.
    public var templates: [String]
    /// Types of the steps that stand in the drop itself.
    public var steps: [String]
    public var secrets: [SecretNeed]

    public init(queue: QueueName, templates: [String], steps: [String], secrets: [SecretNeed]) {
        self.queue = queue
        self.templates = templates
        self.steps = steps
        self.secrets = secrets
    }

    /// `template`: that the job is made of, if it is made of one.
    public init(_ job: JobSpec, queue: QueueName, template: String?) {
        var templates = template.map { [$0] } ?? []
        var steps: [String] = []
        func look(_ list: [StepSpec], isOwn: Bool) {
            for step in list {
                if isOwn, !steps.contains(step.type.name) { steps.append(step.type.name) }
                if let called = step.call?.template, !templates.contains(called) { templates.append(called) }
                look(step.steps, isOwn: isOwn && step.call == nil)
            }
        }
        for section in Section.allCases { look(job.steps(of: section), isOwn: template == nil) }
        self.init(queue: queue, templates: templates, steps: steps, secrets: job.secrets)
    }
}

extension AccessPolicy {
    /// Why `who` may not have this done; nil where he may. `hasIntent`: that he himself meant to drop it is certain; the owner of a
    /// file shows who made it, not who moved it here, and such a file has no more than a Runner's rights.
    public func denial(of demand: JobDemand, by who: Submitter, hasIntent: Bool) -> Failure? {
        guard isEnforced, who.uid != service else { return nil }
        if let problem = pass(who, AccessGate(), "have jobs run", hasIntent) { return problem }
        if let gate = queues[demand.queue.text],
            let problem = pass(who, gate, "drop into queue `\(demand.queue)`", hasIntent)
        {
            return problem
        }
        for template in demand.templates {
            if let gate = templates[template],
                let problem = pass(who, gate, "use the template `\(template)`", hasIntent)
            {
                return problem
            }
        }
        for type in demand.steps {
            if let gate = steps[type],
                let problem = pass(
                    who, gate, "use the step `\(type)` in a job of his own", hasIntent,
                    "A template of the site may have it.")
            {
                return problem
            }
        }
        for need in demand.secrets {
            if let problem = refusal(of: need, who, hasIntent) { return problem }
        }
        return nil
    }

    /// A secret that no rule names: an Editor may have it. What a template gives to a step its user can read: it runs as him.
    private func refusal(of need: SecretNeed, _ who: Submitter, _ hasIntent: Bool) -> Failure? {
        let rule = gate(ofSecret: need.name)
        if let template = need.template, rule?.templates.contains(template) ?? false { return nil }
        let gate = rule ?? AccessGate(role: isShared ? .editor : nil)
        let place = need.template.map { " in the template `\($0)`" } ?? ""
        return pass(
            who, gate, "name the secret `\(need.name.text)`\(place)", hasIntent,
            rule.map {
                $0.templates.isEmpty ? "" : "These templates may: \($0.templates.joined(separator: ", "))."
            }
                ?? "A rule for it under `secrets:` can open it to a template.")
    }

    /// Whether `who` has a right, for verbs that ask.
    public func denial(of permission: Permission, to who: Submitter) -> Failure? {
        guard isEnforced else { return nil }
        return pass(who, AccessGate(role: permission.role), "do that (\(permission.rawValue))", true)
    }

    /// Commands on runs: everybody on his own, with the right to run at all; on those of others it takes a right of its own.
    public func denial(of permission: Permission, to who: Submitter, onRunOf owner: Submitter) -> Failure? {
        guard isEnforced, who.uid != service else { return nil }
        let isOwn = who.uid == owner.uid
        let what =
            isOwn ? "command his own runs" : "command the run of \(owner.name) (\(permission.rawValue))"
        return pass(who, AccessGate(role: isOwn ? .runner : permission.role), what, true)
    }

    private func pass(
        _ who: Submitter, _ gate: AccessGate, _ what: String, _ hasIntent: Bool, _ more: String = ""
    )
        -> Failure?
    {
        let full = role(of: who)
        let isCapped = isShared && !hasIntent
        let role = isCapped ? full.map { min($0, .runner) } : full
        let wanted = gate.role ?? .runner
        let hasRole = role.map { $0 >= wanted } ?? false
        if hasRole, isListed(who, in: gate.allow) { return nil }
        var advice = "It takes \(hasRole ? "" : wanted.orHigher)"
        if !gate.allow.isEmpty, !isListed(who, in: gate.allow) {
            advice += "\(hasRole ? "" : ", and ")to be one of: \(gate.allow.joined(separator: ", "))"
        }
        advice += " (ops/access.yaml)."
        if isCapped, let full, full >= wanted, isListed(who, in: gate.allow) {
            advice =
                "Drop it with `bobbin submit`: a file that somebody may have moved here has a Runner's rights, whoever made it."
        }
        return Failure(
            "E-ACCESS", "\(who.name) (\(standing(who, role, full))) may not \(what)",
            whatToDo: more.isEmpty ? advice : "\(advice) \(more)", retry: .never)
    }

    private func standing(_ who: Submitter, _ role: Role?, _ full: Role?) -> String {
        if let role, let full, role < full {
            return "\(full.rawValue); a file that was moved in has a \(role.rawValue)'s rights"
        }
        if let role { return role.rawValue }
        return grant(of: who).map { $0.isActive ? "" : "not active" } ?? "no role here"
    }
}
