// What this is: access ls, can, report: who may do what on this site.
// Owns: their layout.
// Never: changes ops/access.yaml, which is edited by hand.
// On failure: `can` exits 1 where the answer is no.
import AccessControl
import ArgumentParser
import BobbinDaemon
import JobModel
import LinuxSystem

struct AccessVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "access", abstract: "Roles and rights (ops/access.yaml).",
        subcommands: [AccessLsVerb.self, AccessCanVerb.self, AccessReportVerb.self])
}

struct AccessLsVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "Accounts, groups and their roles.", discussion: "  bobbin access ls")
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let policy = try site.open().access()
        let users = policy.users.sorted { $0.key < $1.key }, groups = policy.groups.sorted { $0.key < $1.key }
        if json.json {
            return Terminal.print(
                json: .map([
                    "shared": .bool(policy.isShared), "enforced": .bool(policy.isEnforced),
                    "service": .string(Host.userName(policy.service)),
                    "users": .list(
                        users.map {
                            .map([
                                "name": .string($0.key), "role": .string($0.value.role.rawValue),
                                "active": .bool($0.value.isActive),
                            ])
                        }),
                    "groups": .list(
                        groups.map { .map(["name": .string($0.key), "role": .string($0.value.rawValue)]) }),
                    "everybody": policy.everybody.map { .string($0.rawValue) } ?? .null,
                ]))
        }
        print(
            policy.isShared
                ? "shared; the service is \(Host.userName(policy.service)), and steps act as who submitted them"
                : policy.isEnforced
                    ? "private, with roles; the service is \(Host.userName(policy.service))"
                    : "private: \(Host.userName(policy.service)) and root may do everything, and nothing is asked of others who can write here"
        )
        var rows = users.map {
            [
                "user \(Terminal.escape($0.key))", $0.value.role.rawValue,
                $0.value.isActive ? "" : "not active",
            ]
        }
        rows += groups.map { ["group \(Terminal.escape($0.key))", $0.value.rawValue, ""] }
        if policy.isEnforced { rows.append(["everybody else", policy.everybody?.rawValue ?? "none", ""]) }
        if !rows.isEmpty { print(Terminal.table(rows)) }
    }
}

struct AccessCanVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "can", abstract: "Whether somebody may do something; exit 1 if not.",
        discussion: """
              bobbin access can anna approve_runs
              bobbin access can bert queue:payroll     also step:TYPE template:NAME secret:KEY, or a role
            """)
    @Argument(help: "An account of this host.") var who: String
    @Argument(help: "A right, a role, or queue:NAME, template:NAME, step:TYPE, secret:KEY.") var what: String
    @Flag(help: "As a file that was merely moved into a queue, not submitted.") var moved = false
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let site = try site.open()
        let policy = try site.access()
        guard let uid = Host.uid(named: who) ?? UInt32(who) else {
            Terminal.complain("this host has no account `\(Terminal.escape(who))`")
            throw ExitCode(Exit.usage)
        }
        let person = Submitter(uid: uid, name: Host.userName(uid))
        let role = policy.role(of: person)
        let failure = try denial(site, policy, person, role)
        if json.json {
            Terminal.print(
                json: .map([
                    "who": .string(person.name), "what": .string(what), "may": .bool(failure == nil),
                    "role": role.map { .string($0.rawValue) } ?? .null,
                    "why": failure.map { .string($0.message) } ?? .null,
                    "what_to_do": failure.map { .string($0.whatToDo) } ?? .null,
                ]))
            if failure != nil { throw ExitCode(Exit.failed) }
            return
        }
        if let failure {
            print("no: \(Terminal.escape(failure.message))")
            print("  \(Terminal.escape(failure.whatToDo))")
            throw ExitCode(Exit.failed)
        }
        print(
            "yes: \(Terminal.escape(person.name)) is \(role?.rawValue ?? "not asked for a role on this private site")"
        )
    }

    /// A misspelt name would be answered with yes: no rule names it.
    private func denial(_ site: Site, _ policy: AccessPolicy, _ person: Submitter, _ role: Role?) throws
        -> Failure?
    {
        let parts = what.split(separator: ":", maxSplits: 1).map(String.init)
        if parts.count == 2 {
            var demand = JobDemand(queue: .standard, templates: [], steps: [], secrets: [])
            switch (parts[0], QueueName(parts[1]), SecretName(parts[1])) {
            case ("queue", _, _): demand.queue = try knownQueue(parts[1], site)
            case ("template", _, _):
                guard Host.exists("\(site.path)/templates/\(parts[1])") else {
                    throw ValidationError("templates/ has no `\(Terminal.escape(parts[1]))`")
                }
                demand.templates = [parts[1]]
            case ("step", _, _):
                guard site.catalogue[parts[1]] != nil else {
                    throw ValidationError(
                        "there is no step `\(Terminal.escape(parts[1]))`: `bobbin steps` lists them")
                }
                demand.steps = [parts[1]]
            case ("secret", _, let name?): demand.secrets = [SecretNeed(name: name, template: nil)]
            default:
                throw ValidationError("`\(what)` is no queue:NAME, template:NAME, step:TYPE or secret:KEY")
            }
            return policy.denial(of: demand, by: person, hasIntent: !moved)
        }
        if let permission = Permission(rawValue: what) { return policy.denial(of: permission, to: person) }
        if let wanted = Role(word: what) {
            guard policy.isEnforced, role.map({ $0 < wanted }) ?? true else { return nil }
            return Failure(
                "E-ACCESS", "\(person.name) is \(role?.rawValue ?? "without a role"), not \(wanted.orHigher)",
                whatToDo: "See ops/access.yaml.")
        }
        throw ValidationError(
            "`\(what)` is no right; rights are \(Permission.allCases.map(\.rawValue).joined(separator: ", "))"
        )
    }
}

struct AccessReportVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Who may do what, and what was refused in the last 24 hours.",
        discussion:
            "  bobbin access report\nFor the regular review: every account with more than a Runner's rights, the rules, the refusals."
    )
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let site = try site.openOwn()
        let (policy, log) = (try site.access(), try AccessLog.read(site, now: Terminal.now))
        let byGroup = policy.groups.filter { $0.value >= .editor }.keys.flatMap { Host.members(of: $0) }
        let powerful = Set(policy.users.filter { $0.value.isActive && $0.value.role >= .editor }.keys)
            .union(byGroup.filter { policy.users[$0] == nil }).sorted()
        let idle = policy.users.filter { !$0.value.isActive }.keys.sorted()
        let gone = policy.users.keys.filter { Host.uid(named: $0) == nil && UInt32($0) == nil }.sorted()
        if json.json {
            let counts: ([(name: String, count: Int)]) -> Value = { rows in
                .list(rows.map { .map(["name": .string($0.name), "count": .int($0.count)]) })
            }
            return Terminal.print(
                json: .map([
                    "rbac_denied_24h": .int(log.denied24h), "user_active_sessions": .int(log.activeUsers),
                    "denied_by_account": counts(log.byAccount), "top_denied_permissions": counts(log.byRight),
                    "editors_and_admins": .list(powerful.map(Value.string)),
                    "not_active": .list(idle.map(Value.string)),
                    "without_account": .list(gone.map(Value.string)),
                ]))
        }
        print("last 24 h: \(log.denied24h) refused; \(log.activeUsers) people on record")
        for row in log.byRight.prefix(10) { print("  \(row.count) x \(Terminal.escape(row.name))") }
        for row in log.byAccount.prefix(10) { print("  \(Terminal.escape(row.name)): \(row.count)") }
        for (title, names) in [
            ("Editor or Admin", powerful), ("not active", idle),
            ("in access.yaml, but no account of this host", gone),
        ] where !names.isEmpty {
            print("\(title): \(names.map(Terminal.escape).joined(separator: ", "))")
        }
        for (group, role) in policy.groups.sorted(by: { $0.key < $1.key }) {
            print(
                "group \(Terminal.escape(group)) (\(role.rawValue)): \(Host.members(of: group).sorted().map(Terminal.escape).joined(separator: ", "))"
            )
        }
        let rules: [(String, [String: AccessGate])] = [
            ("queue", policy.queues), ("template", policy.templates), ("step", policy.steps),
            ("secret", Dictionary(policy.secrets.map { ($0.pattern, $0.gate) }, uniquingKeysWith: { $1 })),
        ]
        for (what, gates) in rules {
            for (name, gate) in gates.sorted(by: { $0.key < $1.key }) {
                let who = gate.allow.isEmpty ? "" : ", \(gate.allow.joined(separator: ", "))"
                let places = gate.templates.isEmpty ? "" : "; in \(gate.templates.joined(separator: ", "))"
                print(
                    "\(what) \(Terminal.escape(name)): \((gate.role ?? .runner).orHigher)\(Terminal.escape(who + places))"
                )
            }
        }
    }
}
