// What this is: who may have what done: every role at every gate, with and without proof of intent, against a model of ten lines.
// Owns: the model; the table of rights as the guide's source has it.
// Never: opens a file or asks the host for an account.
// On failure: names the person, the gate and the two answers.
import AccessControl
import JobModel
import Testing

@Suite struct AccessDecisionTests {
    private static let groups: [UInt32: Set<String>] = [
        1001: ["hr"], 1002: ["hr", "ops"], 1003: [], 65_534: ["hr"], 999: ["hr"],
    ]
    private static func policy(shared: Bool) -> AccessPolicy {
        var policy = AccessPolicy(
            isShared: shared, isEnforced: true, service: 900, memberships: { groups[$0] ?? [] })
        policy.users = [
            "anna": .init(.editor), "bob": .init(.admin, isActive: false), "1005": .init(.viewer),
            "adam": .init(.admin),
        ]
        policy.groups = ["hr": .runner, "ops": .editor]
        return policy
    }
    private static let people: [(Submitter, Role?)] = [
        (.init(uid: 1000, name: "anna"), .editor), (.init(uid: 1001, name: "carl"), .runner),
        (.init(uid: 1002, name: "dora"), .editor), (.init(uid: 1003, name: "emil"), nil),
        (.init(uid: 1004, name: "bob"), nil), (.init(uid: 1005, name: "fay"), .viewer),
        (.init(uid: 0, name: "root"), .admin),
        (.init(uid: 65_534, name: "nobody"), nil), (.init(uid: 999, name: "daemon"), nil),
        (.init(uid: 1006, name: "adam"), .admin),
    ]

    @Test func rolesComeFromTheAccountElseFromItsGroups() {
        for (who, role) in Self.people {
            #expect(Self.policy(shared: true).role(of: who) == role, "\(who.name)")
        }
        var open = Self.policy(shared: true)
        open.everybody = .viewer
        #expect(open.role(of: .init(uid: 1003, name: "emil")) == .viewer)
        #expect(open.role(of: .init(uid: 1004, name: "bob")) == nil, "who was switched off is not everybody")
        #expect(open.role(of: .init(uid: 1001, name: "carl")) == .runner, "the higher one counts")
    }

    /// May he pass: his role, capped where nobody knows that he meant it, is enough, and he is named where names are asked for.
    private static func model(_ role: Role?, capped: Bool, needs: Role?, named: Bool?) -> Bool {
        guard let role else { return false }
        let levels: [Role: Int] = [.viewer: 1, .runner: 2, .editor: 3, .admin: 4]
        let has = capped ? min(levels[role] ?? 0, 2) : levels[role] ?? 0
        return has >= 2 && has >= (levels[needs ?? .runner] ?? 0) && named ?? true
    }

    @Test func everyGateForEverybody() throws {
        var count = 0
        let queue = try #require(QueueName("payroll")), secret = try #require(SecretName("erp/key"))
        for shared in [true, false] {
            for hasIntent in [true, false] {
                for needs in [nil] + Role.allCases.map(Optional.some) {
                    for allow in [[], ["anna"], ["group:hr"], ["1005", "adam"]] {
                        var policy = Self.policy(shared: shared)
                        let gate = AccessGate(role: needs, allow: allow)
                        policy.queues = ["payroll": gate]
                        policy.templates = ["t.yaml": gate]
                        policy.steps["run"] = gate
                        policy.secrets = [("erp/*", gate)]
                        let demands: [(String, JobDemand)] = [
                            ("queue", .init(queue: queue, templates: [], steps: [], secrets: [])),
                            (
                                "template",
                                .init(queue: .standard, templates: ["t.yaml"], steps: [], secrets: [])
                            ),
                            ("step", .init(queue: .standard, templates: [], steps: ["run"], secrets: [])),
                            (
                                "secret",
                                .init(
                                    queue: .standard, templates: [], steps: [],
                                    secrets: [.init(name: secret, template: nil)])
                            ),
                        ]
                        for (who, role) in Self.people {
                            let named =
                                allow.isEmpty
                                ? nil
                                : allow.contains(who.name) || allow.contains(String(who.uid))
                                    || allow.contains("group:hr")
                                        && Self.groups[who.uid]?.contains("hr") ?? false
                            let wanted = Self.model(
                                role, capped: shared && !hasIntent, needs: needs, named: named)
                            for (what, demand) in demands {
                                let denial = policy.denial(of: demand, by: who, hasIntent: hasIntent)
                                #expect(
                                    (denial == nil) == wanted,
                                    "\(who.name) \(what) needs \(needs?.rawValue ?? "-") of \(allow), shared \(shared), meant \(hasIntent): \(denial?.message ?? "yes")"
                                )
                                if let denial {
                                    #expect(
                                        denial.code == "E-ACCESS" && denial.message.contains(who.name)
                                            && !denial.whatToDo.isEmpty)
                                }
                                count += 1
                            }
                        }
                    }
                }
            }
        }
        print("access: \(count) decisions compared with the model")
    }

    @Test func whatATemplateHoldsIsTheSites() throws {
        let policy = Self.policy(shared: true), carl = Self.people[1].0
        let shell = JobDemand(queue: .standard, templates: [], steps: ["shell"], secrets: [])
        #expect(policy.denial(of: shell, by: carl, hasIntent: true)?.code == "E-ACCESS")
        #expect(
            policy.denial(
                of: .init(queue: .standard, templates: ["t.yaml"], steps: [], secrets: []), by: carl,
                hasIntent: true) == nil)
        let name = try #require(SecretName("erp/key"))
        var ruled = policy
        ruled.secrets = [
            ("erp/*", AccessGate(role: .admin, templates: ["t.yaml"])), ("erp/other", AccessGate()),
        ]
        for (template, may) in [("t.yaml", true), ("u.yaml", false)] {
            let demand = JobDemand(
                queue: .standard, templates: [template], steps: [],
                secrets: [.init(name: name, template: template)])
            #expect((ruled.denial(of: demand, by: carl, hasIntent: true) == nil) == may)
        }
        #expect(
            ruled.gate(ofSecret: try #require(SecretName("erp/other")))?.role == nil,
            "the longer pattern counts")
    }

    /// As the source of the guides has it (requirements.md, B8).
    private static let rights: [Role: [String]] = [
        .viewer: ["read_runs", "read_metrics", "read_dashboard"],
        .runner: ["create_runs", "execute_templates"],
        .editor: [
            "write_runs", "stop_runs", "approve_runs", "manage_templates", "manage_schedules", "respond_hitl",
            "delete_runs",
        ],
        .admin: [
            "manage_users", "manage_rbac", "manage_secrets", "manage_system", "view_audit_log",
            "manage_queues", "pause_queues",
        ],
    ]
    @Test func theRightsOfTheGuide() {
        #expect(Permission.allCases.count == Self.rights.values.reduce(0) { $0 + $1.count })
        for (role, words) in Self.rights {
            for word in words { #expect(Permission(rawValue: word)?.role == role, "\(word)") }
        }
        let policy = Self.policy(shared: true)
        for (who, role) in Self.people {
            for permission in Permission.allCases {
                #expect(
                    (policy.denial(of: permission, to: who) == nil)
                        == (role.map { $0 >= permission.role } ?? false))
            }
        }
    }

    @Test func everybodyCommandsHisOwnRuns() {
        let policy = Self.policy(shared: true)
        let (anna, carl, fay) = (Self.people[0].0, Self.people[1].0, Self.people[5].0)
        #expect(policy.denial(of: .stopRuns, to: carl, onRunOf: carl) == nil)
        #expect(policy.denial(of: .stopRuns, to: carl, onRunOf: anna) != nil)
        #expect(policy.denial(of: .stopRuns, to: anna, onRunOf: carl) == nil)
        #expect(policy.denial(of: .stopRuns, to: fay, onRunOf: fay) != nil, "who only looks commands nothing")
    }

    @Test func aDemandTellsTheDropFromItsTemplates() {
        let run = StepType("run", "", parameters: [], example: ""),
            shell = StepType("shell", "", parameters: [], example: "")
        let call = StepType("call", "", parameters: [], example: "", control: .call)
        var caller = StepSpec(place: StepPlace(.main, [2]), type: call, parameters: [:])
        caller.call = CallSpec(template: "inner.yaml", variables: [:], parameters: [], outputs: [:])
        caller.steps = [StepSpec(place: StepPlace(.main, [2, 1]), type: shell, parameters: [:])]
        let job = JobSpec(
            name: "x", steps: [StepSpec(place: StepPlace(.main, [1]), type: run, parameters: [:]), caller])
        let own = JobDemand(job, queue: .standard, template: nil)
        #expect(own.steps == ["run", "call"] && own.templates == ["inner.yaml"])
        let made = JobDemand(job, queue: .standard, template: "outer.yaml")
        #expect(made.steps == [] && made.templates == ["outer.yaml", "inner.yaml"])
    }

    @Test func aPrivateSiteAsksNobody() {
        let policy = AccessPolicy.privateSite(of: 900), carl = Self.people[1].0
        #expect(
            policy.denial(
                of: .init(queue: .standard, templates: [], steps: ["shell"], secrets: []), by: carl,
                hasIntent: false) == nil)
        #expect(policy.denial(of: .pauseQueues, to: carl) == nil)
        #expect(policy.role(of: carl) == nil && policy.role(of: Submitter(uid: 0, name: "root")) == .admin)
    }
}
