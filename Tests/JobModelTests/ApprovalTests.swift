// What this is: what follows from what people have said.
// Owns: the outcome of a question against a plain model; which questions of a record are open.
// Never: judges who said it.
// On failure: shows the decisions.
import JobModel
import TestKit
import Testing

@Suite struct ApprovalTests {
    private let instant = Timestamp(seconds: 1_800_000_000)
    private func question(_ fields: ValueMap = [:]) -> ApprovalQuestion {
        var all: ValueMap = ["message": "Move?"]
        all.merge(fields)
        return ApprovalQuestion(all, nonce: "n1", next: [])
    }
    private func decision(_ verdict: Decision.Verdict, _ uid: UInt32, _ sha: String = "") -> Decision {
        Decision(
            verdict, by: Submitter(uid: uid, name: "u\(uid)"), at: instant, sha256: "\(uid)\(verdict)\(sha)")
    }

    @Test func theGuidesDefaults() {
        let plain = question()
        #expect(plain.timeout == .seconds(1800) && plain.autoAction == .deny && plain.role == .editor)
        #expect(
            plain.wanted == 1 && plain.risk == .medium && plain.allowSelf == nil && plain.approvers.isEmpty)
        #expect(question(["timeout_minutes": .double(0.5)]).timeout == .seconds(30))
        #expect(question(["timeout_minutes": .int(90)]).escalateAfter == .seconds(2700))
    }

    /// A set of people who approve, a flag for a denial, a flag for the end of time.
    @Test func theOutcomeIsThatOfAPlainModel() {
        var random = SeededRandom(seed: 5)
        for _ in 0..<3_000 {
            let wanted = 1 + random.below(3)
            let auto: Decision.Verdict = random.chance(2) ? .approve : .deny
            let question = question([
                "approvals_required": .int(wanted), "auto_action": .string(auto.rawValue),
            ])
            var approval = Approval(StepPlace(.main, [1]), nonce: "n1")
            approval.apply(.asked(at: instant, until: instant.adding(.seconds(60))))
            var people: Set<Int> = [], isDenied = false, isOver = false
            for _ in 0..<random.below(6) {
                switch random.below(4) {
                case 0:
                    isDenied = true
                    approval.apply(.decided(decision(.deny, UInt32(random.below(4)))))
                case 1:
                    isOver = true
                    approval.apply(.expired(at: instant))
                default:
                    let who = random.below(4)
                    people.insert(who)
                    // One who says it twice is one.
                    approval.apply(.decided(decision(.approve, UInt32(who), "\(random.below(2))")))
                }
            }
            let outcome = approval.outcome(question)
            if isDenied {
                guard case .denied = outcome else {
                    Issue.record("a denial does not count: \(approval)")
                    continue
                }
            } else if people.count >= wanted {
                #expect(outcome == .approved)
            } else {
                #expect(outcome == (isOver ? .timedOut(auto) : .open(approvals: people.count)))
            }
        }
    }

    @Test func theSameAnswerTwiceIsOne() {
        var approval = Approval(StepPlace(.main, [1]), nonce: "n1")
        let decision = decision(.approve, 7)
        approval.apply(.decided(decision))
        approval.apply(.decided(decision))
        #expect(approval.decisions.count == 1)
    }

    @Test func onlyTheLastOfAStepThatWaitsIsOpen() {
        var events = RandomEvents(seed: 9)
        var record = RunRecord(events.acceptance(events.id()))
        let place = StepPlace(.main, [2])
        func step(_ state: StepState, _ outputs: ValueMap) -> StepRecord {
            StepRecord(
                place: place, title: "ok", id: nil, type: "human_confirm", runAttempt: 1, attempt: 1,
                state: state,
                startedAt: instant, outputs: outputs)
        }
        #expect(record.gates.isEmpty)
        record.apply(.stepStarted(step(.running, [:])))
        record.apply(.stepEnded(step(.waiting, question().fields)))
        #expect(record.gates.map(\.question.nonce) == ["n1"] && record.gates[0].approval.askedAt == nil)
        record.apply(.approval(place, nonce: "n1", .asked(at: instant, until: instant)))
        record.apply(.approval(place, nonce: "n1", .decided(decision(.approve, 3))))
        #expect(record.gates[0].approval.outcome(question()) == .approved)
        // The step has seen it.
        record.apply(.stepEnded(step(.succeeded, ["confirmed": .bool(true)])))
        #expect(record.gates.isEmpty && record.approvals.count == 1)
        record.apply(.ended(.succeeded, at: instant, failure: nil, outputs: [:], result: []))
        let ended = record
        record.apply(.approval(place, nonce: "n1", .decided(decision(.deny, 4))))
        #expect(record == ended, "nothing changes after the end")
    }
}
