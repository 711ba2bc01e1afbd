// What this is: names of files in the spool: which are jobs, how they are escaped, and what a claimed name carries.
// Owns: the verdicts, the round trip of escaping, claimed and final names, tickets, names of control files.
// Never: touches a file.
// On failure: the name is in the message, escaped.
// The rules of fitness are stated here a second time, on characters.
import JobModel
import TestKit
import Testing

@testable import SpoolQueue

private let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

private func randomName(_ random: inout SeededRandom, length: Int = 40) -> String {
    let pieces = Array("abcXYZ019._+@=-~%/ \n\u{1B}\u{7F}\u{85}\u{202E}äßЖ日本€😀\u{301}\u{FFFD}\u{0}")
    var name = ""
    for _ in 0..<random.below(length) {
        if random.chance(6), let scalar = Unicode.Scalar(UInt32(random.below(0x11_0000))) {
            name.unicodeScalars.append(scalar)
        } else {
            name.append(random.pick(pieces))
        }
    }
    return name + random.pick(["", ".yaml", ".yml", ".json", ".result.yaml", ".txt"])
}
private func isMark(_ scalar: Unicode.Scalar) -> Bool {
    [.nonspacingMark, .spacingMark, .enclosingMark].contains(scalar.properties.generalCategory)
}
private func isSafe(_ name: String) -> Bool {
    !name.isEmpty
        && name.unicodeScalars.allSatisfy { scalar in
            scalar.isASCII
                ? scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                    || "._+@=-%".unicodeScalars.contains(scalar)
                : scalar.properties.isAlphabetic
        }
}

@Suite struct DropNameTests {
    @Test(
        arguments: [
            ("job.yaml", .job), ("job.yml", .job), ("job.json", .job), ("a+b@c=d-e_f.yaml", .job),
            ("übung.yaml", .job), ("作業.yaml", .job),
            ("a~b.yaml", .job), ("100%.yaml", .job), (".yaml", .ignored), (".hidden.yaml", .ignored),
            ("job.yaml~", .ignored),
            ("job.yaml.tmp", .ignored), ("job.part", .ignored), ("job.swp", .ignored),
            (".job.yaml.swx", .ignored), ("#job.yaml#", .ignored),
            ("job.result.yaml", .notAJob), ("job.reason.yaml", .notAJob), ("job", .unknownEnding),
            ("job.txt", .unknownEnding),
            ("job.YAML", .unknownEnding), ("4913", .unknownEnding), ("job.yaml.bak", .unknownEnding),
        ] as [(String, DropName.Verdict)])
    func verdicts(name: String, verdict: DropName.Verdict) {
        #expect(DropName.judge(name) == verdict, "\(name)")
    }

    @Test(arguments: [
        "-rf.yaml", "a b.yaml", "a\nb.yaml", "a\u{1B}[31m.yaml", "a\u{7F}.yaml", "a\u{85}.yaml",
        "a\u{202E}b.yaml", "a/b.yaml", "a\\b.yaml",
        "😀.yaml", "a\u{FFFD}.yaml", "a;b.yaml", "$(x).yaml", "a'b.yaml", "a\u{200B}b.yaml", "a\u{301}.yaml",
        String(repeating: "x", count: 146) + ".yaml", String(repeating: "ä", count: 73) + ".yaml",
    ])
    func unfitNames(name: String) {
        guard case .unfit(let why) = DropName.judge(name) else {
            return #expect(Bool(false), "\(name.debugDescription) is fit")
        }
        #expect(
            !why.unicodeScalars.contains {
                $0.value < 0x20 || (0x7F...0x9F).contains($0.value)
                    || $0.properties.generalCategory == .format
            })
    }
    @Test func theLongestFitName() {
        #expect(DropName.judge(String(repeating: "x", count: 145) + ".yaml") == .job)
    }
    @Test func whatIsAJobIsSafeEverywhere() {
        var random = SeededRandom(seed: 1)
        for _ in 0..<20_000 {
            let name = randomName(&random)
            guard DropName.judge(name) == .job else { continue }
            #expect(
                isSafe(name.replacing("~", with: "")) && !name.hasPrefix("-") && !name.hasPrefix(".")
                    && name.utf8.count <= 150, "\(name.debugDescription)")
        }
    }
    @Test func escapingRoundTrips() {
        var random = SeededRandom(seed: 2)
        for _ in 0..<20_000 {
            let name = randomName(&random)
            let escaped = DropName.escaped(name, limit: 10_000)
            #expect(isSafe(escaped), "\(name.debugDescription)")
            if !name.isEmpty {
                #expect(
                    Array(DropName.unescaped(escaped).utf8) == Array(name.utf8), "\(name.debugDescription)")
            }
        }
        #expect(DropName.escaped("") == "unnamed")
    }
    @Test func escapingKeepsItsBound() {
        var random = SeededRandom(seed: 3)
        for _ in 0..<5000 {
            let limit = 1 + random.below(60)
            let escaped = DropName.escaped(randomName(&random, length: 80), limit: limit)
            #expect(escaped == "unnamed" || escaped.utf8.count <= limit)
            #expect(isSafe(escaped))
        }
    }
    @Test func unescapingIsTotal() {
        var random = SeededRandom(seed: 4)
        let pieces = Array("%%%0123456789ABCDEFabcdefxyz+-é")
        for _ in 0..<20_000 {
            _ = DropName.unescaped(String((0..<random.below(12)).map { _ in random.pick(pieces) }))
        }
        #expect(
            DropName.unescaped("%") == "%" && DropName.unescaped("%4") == "%4"
                && DropName.unescaped("%ZZ") == "%ZZ")
        #expect(DropName.unescaped("%41%7e") == "A~")
        #expect(DropName.unescaped("%+1") == "%+1")
    }
    @Test func everyJobKeepsItsEndingWhenClaimed() {
        let name = String(repeating: "~", count: 60) + String(repeating: "x", count: 85) + ".yaml"
        #expect(DropName.judge(name) != .job || DropName.unescaped(DropName.escaped(name)) == name)
    }
    @Test func tickets() {
        #expect(DropName.ticket(in: "report.\(id).yaml") == id && DropName.ticket(in: "a.b.\(id).json") == id)
        for name in [
            "report.yaml", "\(id).yaml", "report.\(id)", "report.\(id).txt", "report.\(id)x.yaml",
            "report.\(id.lowercased()).yaml",
        ] {
            #expect(DropName.ticket(in: name) == nil, "\(name)")
        }
    }
    @Test func thePrefixOfAnEarlierRun() {
        #expect(DropName.withoutRunPrefix("\(id)~a.yaml") == ("a.yaml", RunID(id)))
        #expect(DropName.withoutRunPrefix("\(id)~a%7Eb.yaml") == ("a~b.yaml", RunID(id)))
        for name in ["a.yaml", "\(id)", "\(id)a.yaml", "\(id)~", "x\(id)~a.yaml"] {
            let (rest, run) = DropName.withoutRunPrefix(name)
            #expect(rest == name && run == nil, "\(name)")
        }
    }
}

@Suite struct ClaimedNameTests {
    @Test func theNameCarriesEverything() throws {
        var random = SeededRandom(seed: 5)
        let queues = ["default", "a", "high_priority", String(repeating: "q", count: 32)].compactMap {
            QueueName($0)
        }
        for _ in 0..<5000 {
            let name = randomName(&random)
            // Names that begin with a mark have a test of their own.
            guard let first = name.unicodeScalars.first, !isMark(first),
                DropName.escaped(name, limit: 10_000).utf8.count <= Limits.nameBytes
            else { continue }
            let claimed = ClaimedName(
                run: try #require(RunID(id)), queue: random.pick(queues), priority: random.pick(Priority.all),
                name: name)
            #expect(claimed.text.utf8.count <= 255 && !claimed.text.contains("/"))
            let read = try #require(ClaimedName(claimed.text))
            #expect(
                read.run == claimed.run && read.queue == claimed.queue && read.priority == claimed.priority)
            #expect(Array(read.name.utf8) == Array(name.utf8), "\(name.debugDescription)")
        }
    }
    @Test func aNameThatBeginsWithAMark() throws {
        // U+08F5 is alphabetic, and one character with whatever stands before it.
        let claimed = ClaimedName(
            run: try #require(RunID(id)), queue: .standard, priority: .normal, name: "\u{8F5}x.yaml")
        do {
            #expect(DropName.judge(claimed.name) != .job || ClaimedName(claimed.text) == claimed)
            #expect(DropName.judge(".\u{8F5}.yaml") == .ignored)
            let isUnfit = if case .unfit = DropName.judge("-\u{8F5}.yaml") { true } else { false }
            #expect(isUnfit)
        }
    }
    @Test(arguments: [
        "", "a.yaml", "\(id)~default~p5", "\(id)~default~5~a.yaml", "\(id)~default~p0~a.yaml",
        "\(id)~default~p10~a.yaml",
        "\(id)~Default~p5~a.yaml", "\(id)~inbox~p5~a.yaml", "x~default~p5~a.yaml", "\(id)~~p5~a.yaml",
        "\(id)~default~p~a.yaml",
    ])
    func refuses(text: String) { #expect(ClaimedName(text) == nil) }

    @Test func finalNamesFitAndParse() throws {
        let accepted = sampleAcceptance(name: String(repeating: "x", count: 145) + ".yaml")
        #expect(FinalName.job(accepted) == "\(accepted.id)~\(accepted.dropName)")
        #expect(FinalName.result(accepted) == "\(accepted.id)~\(accepted.stem).result.yaml")
        #expect(
            FinalName.result(accepted).utf8.count <= 255 && DropName.judge(FinalName.result(accepted)) != .job
        )
        #expect(DropName.withoutRunPrefix(FinalName.job(accepted)) == (accepted.dropName, accepted.id))
    }
}

@Suite struct ControlFileTests {
    @Test func namesReadBack() throws {
        let queue = try #require(QueueName("high_priority"))
        let files: [ControlFile] =
            [.pause(.standard), .pause(queue), .drain]
            + ControlFile.Verb.allCases.map { .command($0, subject: id) }
        for file in files { #expect(ControlFile(name: file.name) == file, "\(file.name)") }
        #expect(ControlFile.pause(queue).name == "pause-high_priority")
    }
    @Test(
        arguments: [
            ("cancel-\(id).yaml", .command(.cancel, subject: id)), (".cancel-\(id)", .ignored),
            ("cancel-\(id)~", .ignored), ("x.tmp", .ignored),
            ("closed", .ignored), ("cancel-", .unknown), ("cancel", .unknown), ("cancel-x", .unknown),
            ("Cancel-\(id)", .unknown),
            ("pause-", .unknown), ("pause-Default", .unknown), ("drain-x", .unknown),
            ("pause-inbox", .unknown), ("stop-\(id)", .unknown),
            ("cancel-\(id)-\(id)", .unknown), ("hold-../\(id)", .unknown), ("", .unknown),
        ] as [(String, ControlFile)])
    func reads(name: String, file: ControlFile) { #expect(ControlFile(name: name) == file) }

    @Test func anEndingIsNoHindranceAnywhere() {
        #expect(
            ControlFile(name: "pause-default.yaml") == .pause(.standard)
                && ControlFile(name: "drain.yaml") == .drain)
    }
}
