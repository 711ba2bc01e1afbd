// What this is: tests of templates that are learnt: who is grouped with whom, in any order, within the limits.
// Owns: an oracle: messages that are made from known templates, so that the true groups are known.
// Never: uses a data set that the templates are measured on.
// On failure: shows the templates that came out.
import TestKit
import Testing

@testable import Reporting

private func clusters(_ messages: [String], mostLeaves: Int = 20_000) -> [String] {
    var tree = TemplateTree(mostLeaves: mostLeaves)
    let leaves = messages.map { tree.add($0) }
    return leaves.map { tree.template(of: $0) }
}

@Suite("templates") struct TemplateTreeTests {
    private static let users = ["anna", "bert", "carla", "dora", "emil", "fritz", "gerda", "hans"]

    @Test("a word that changes often enough is a value, for those before it too") func values() {
        let found = clusters(TemplateTreeTests.users.map { "login of \($0) refused by the gate" })
        #expect(Set(found) == ["login of <*> refused by the gate"])
    }
    @Test("two or three that differ in a word stay apart") func alternatives() {
        let found = clusters(["the disk is full", "the disk is slow", "the disk is gone"])
        #expect(Set(found).count == 3)
    }
    @Test("little else in common: many are needed") func shortMessages() {
        #expect(Set(clusters(TemplateTreeTests.users.prefix(7).map { "hello \($0)" })).count == 7)
        #expect(Set(clusters(["full", "slow", "gone", "lost", "late"])).count == 5)
    }
    @Test("a value by its looks makes its neighbours values") func besideANumber() {
        let found = clusters(["login of u17 refused by the gate", "login of anna refused by the gate"])
        #expect(Set(found) == ["login of <*> refused by the gate"])
    }
    @Test("two words that change, one after the other") func twoValues() {
        var messages: [String] = []
        for user in TemplateTreeTests.users {
            for task in ["copy", "move", "send", "keep", "read"] {
                messages.append("login of \(user) refused by the gate for \(task) today")
            }
        }
        #expect(Set(clusters(messages)) == ["login of <*> refused by the gate for <*> today"])
        #expect(Set(clusters(messages.reversed())).count == 1)
    }
    @Test("a template reads like its messages") func text() {
        let found = clusters([
            "copy(/a/b): no space (5 of 10), host=x", "copy(/c): no space (1 of 2), host=y",
        ])
        #expect(
            found == [
                "copy(<*>): no space (<*> of <*>), host=<*>", "copy(<*>): no space (<*> of <*>), host=<*>",
            ])
    }

    @Test("messages made of known templates are grouped as they were made, whatever their order")
    func oracle() {
        let words = [
            "queue", "disk", "answer", "worker", "lock", "page", "index", "socket", "mail", "key", "step",
        ]
        let verbs = ["was lost", "cannot be read", "is too old", "has no owner", "was refused"]
        for seed in UInt64(1)...10 {
            var random = SeededRandom(seed: seed)
            var made: [(group: String, message: String)] = []
            for word in words {
                for verb in verbs where random.chance(2) {
                    let group = "\(word) \(verb)"
                    for _ in 0..<(1 + random.below(60)) {
                        let path = "/var/lib/\(random.below(1000))/\(word)", number = random.below(100_000)
                        made.append(
                            (
                                group,
                                "the \(word) at \(path) \(verb) after \(number) ms by node-\(number % 7), says its \(word)"
                            ))
                    }
                }
            }
            for index in made.indices.reversed() { made.swapAt(index, random.below(index + 1)) }
            let found = clusters(made.map(\.message))
            let byTruth = Dictionary(grouping: made.indices, by: { made[$0].group }).values.map(Set.init)
            let byFound = Dictionary(grouping: found.indices, by: { found[$0] }).values.map(Set.init)
            #expect(Set(byTruth) == Set(byFound), "seed \(seed)")
        }
    }

    @Test("what no template covers does not grow beyond the limit, and nothing is without a group")
    func bounded() {
        var random = SeededRandom(seed: 3)
        let letters = Array("abcdefghijklmnopqrstuvwxyz")
        func word() -> String { String((0..<6).map { _ in letters[random.below(26)] }) }
        var tree = TemplateTree(mostLeaves: 100)
        for _ in 0..<5000 {
            let leaf = tree.add((0..<6).map { _ in word() }.joined(separator: " "))
            #expect(!tree.template(of: leaf).isEmpty)
        }
        #expect(tree.count <= 201)
    }
    @Test("many values of one template do not make it larger") func oneTemplate() {
        var random = SeededRandom(seed: 4)
        let letters = Array("abcdefghijklmnopqrstuvwxyz")
        var tree = TemplateTree()
        for _ in 0..<20_000 {
            let name = String((0..<8).map { _ in letters[random.below(26)] })
            tree.add("login of \(name) refused by the gate")
        }
        #expect(tree.count < 10)
    }
    /// The template of one more message.
    private static func template(_ message: String, _ tree: inout TemplateTree) -> String {
        let leaf = tree.add(message)
        return tree.template(of: leaf)
    }
    @Test("what an earlier life learnt covers what it covered then, and no more") func learn() {
        var first = TemplateTree()
        var leaf: TemplateTree.Leaf = 0
        for user in TemplateTreeTests.users { leaf = first.add("pump \(user) broken at 12") }
        #expect(
            first.template(of: leaf) == "pump <*> broken at <*>"
                && first.pattern(of: leaf) == "pump <?> broken at <*>")
        var second = TemplateTree()
        let known = second.learn(first.pattern(of: leaf)), text = second.template(of: known)
        #expect(TemplateTreeTests.template("pump zoe broken at 9", &second) == text)
        #expect(TemplateTreeTests.template("pump zoe broken at noon", &second) != text)
        #expect(second.learn(first.pattern(of: leaf)) == known)
        // Of a value by its looks nobody has seen a word.
        var third = TemplateTree()
        let full = third.learn("disk <*>"), disk = third.template(of: full)
        #expect(TemplateTreeTests.template("disk full", &third) != disk)
        #expect(TemplateTreeTests.template("disk 5", &third) == disk)
    }
    @Test("messages of hundreds of different words do not cost their squares") func longMessages() {
        var random = SeededRandom(seed: 5)
        let letters = Array("abcdefghijklmnopqrstuvwxyz")
        var tree = TemplateTree(mostLeaves: 200)
        for _ in 0..<400 {
            let words = (0..<380).map { _ in String((0..<5).map { _ in letters[random.below(26)] }) }
            tree.add(words.joined(separator: " "))
        }
        #expect(tree.count <= 401)
    }
}
