// What this is: names of queues, priorities, and the policy a queue has when it says nothing.
// Owns: which text is a queue name, the reserved ones, the order of priorities.
// Never: looks at a directory.
// On failure: the name is in the message.
// Legality is decided here by a second, slower rule.
import JobModel
import TestKit
import Testing

@Suite struct NamesTests {
    private func isLegal(_ text: String) -> Bool {
        let letters = Set("abcdefghijklmnopqrstuvwxyz0123456789_")
        return !text.isEmpty && text.count <= 32 && text.allSatisfy(letters.contains)
            && !QueueName.reserved.contains(text)
    }

    @Test func queueNames() {
        var random = SeededRandom(seed: 1)
        let pieces = Array("abz019__AZ-./~ é\u{0}\n")
        let drawn = (0..<5000).map { _ in String((0..<random.below(36)).map { _ in random.pick(pieces) }) }
        let plain = [
            "default", "high_priority", "background", String(repeating: "q", count: 32),
            String(repeating: "q", count: 33),
        ]
        for text in drawn + plain + Array(QueueName.reserved) + ["e\u{301}", "p1", "..", "DEFAULT"] {
            #expect((QueueName(text) != nil) == isLegal(text), "\(text.debugDescription)")
            if let queue = QueueName(text) { #expect(queue.text == text && "\(queue)" == text) }
        }
        #expect(QueueName.standard == QueueName("default"))
    }
    @Test func everyDirectoryOfASpoolIsReserved() {
        for name in [
            "inbox", "claimed", "parked", "done", "failed", "rejected", "runs", "approvals", "events",
            "control", "history", "log",
        ] {
            #expect(QueueName(name) == nil, "\(name)")
        }
    }
    @Test func priorities() {
        for level in -3...12 {
            #expect((Priority(level) != nil) == (level >= 1 && level <= 9))
            if let priority = Priority(level) {
                #expect(priority.directory == "p\(level)" && priority.level == level)
            }
        }
        #expect(Priority.all.map(\.level) == Array(1...9) && Priority.all == Priority.all.sorted())
        #expect(Priority.normal.level == 5)
    }
    @Test func aPolicyThatSaysNothing() {
        let policy = QueuePolicy(name: .standard)
        #expect(
            policy.maxConcurrent == 1 && policy.priorityLevels == 9 && !policy.requireEnd
                && policy.timeout == nil)
        #expect(policy.retry == .standard)
    }
}
