// What this is: the delivery contract as a table: kind x mode x links x end x evidence x writer x full disk.
// Owns: every row of the contract, each with an expectation that is derived here a second time.
// Never: waits: the gate is told what time it is.
// On failure: the row is in the message.
// Rows that ask the kernel about writers need leases, which tmpfs and ext4 have.
import Foundation
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import SpoolQueue

private enum Word: String, CaseIterable { case complete, tentative, arriving, refused, directory, gone }

private func word(_ verdict: Verdict) -> (Word, String) {
    switch verdict {
    case .complete(let drop):
        drop.file.dropLease()
        return (drop.isTentative ? .tentative : .complete, "")
    case .arriving(let why, _): return (.arriving, why)
    case .refused(let failure): return (.refused, failure.code)
    case .directory: return (.directory, "")
    case .gone: return (.gone, "")
    case .hostTrouble(let error): return (.arriving, "\(error)")
    }
}

@Suite struct ArrivalGateTests {
    private static let hour = Span.seconds(3600)

    private func gate(
        _ folder: Folder, _ name: String, after span: Span = hour, requireEnd: Bool = false,
        isFull: Bool = false
    ) throws -> ArrivalGate {
        let status = try folder.directory.statusIfPresent(name)
        let changed = status?.changed ?? Clocks.wall
        let now = Timestamp(nanoseconds: changed).adding(span)
        // The disk was full about when the file was written, or just before and just after.
        let spans =
            isFull
            ? [FullSpan(from: changed - 5, until: changed + 5)]
            : [
                FullSpan(from: changed - 9, until: changed - 1),
                FullSpan(from: changed + 1, until: changed + 9),
            ]
        return ArrivalGate(requireEnd: requireEnd, full: spans, now: now)
    }

    private func examine(_ folder: Folder, _ name: String, _ evidence: Evidence) throws -> Verdict {
        let gate = try gate(folder, name)
        return unshared { gate.examine(name, in: folder.directory, evidence: evidence) }
    }

    // MARK: the inode

    @Test(arguments: [Evidence.seen, .closed, .movedIn]) func kinds(evidence: Evidence) throws {
        let folder = try Folder()
        _ = try folder.folder("dir.yaml")
        try folder.put("real.yaml", "a: 1\n")
        try folder.link("link.yaml", to: "real.yaml")
        try folder.link("dangling.yaml", to: "none")
        try folder.link("away.yaml", to: "/etc/passwd")
        #expect(mkfifo(folder.path + "/fifo.yaml", 0o644) == 0)
        let rows: [(String, Word, String)] = [
            ("dir.yaml", .directory, ""), ("link.yaml", .refused, "E-TYPE"),
            ("dangling.yaml", .refused, "E-TYPE"),
            ("away.yaml", .refused, "E-TYPE"), ("fifo.yaml", .refused, "E-TYPE"), ("none.yaml", .gone, ""),
            ("real.yaml", .complete, ""),
        ]
        for (name, wanted, code) in rows {
            let found = word(try examine(folder, name, evidence))
            #expect(found == (wanted, code), "\(name), \(evidence)")
        }
    }
    @Test(arguments: [
        (0o644, ""), (0o600, ""), (0o400, ""), (0o640, ""), (0o755, ""), (0o664, "E-OWN"), (0o646, "E-OWN"),
        (0o666, "E-OWN"),
        (0o000, "E-PERM"), (0o200, "E-PERM"), (0o044, "E-PERM"), (0o620, "E-OWN"),
    ])
    func modes(mode: Int, code: String) throws {
        let folder = try Folder()
        try folder.put("a.yaml", "a: 1\n", mode: mode)
        let found = word(
            try examine(folder, "a.yaml", .movedIn))
        #expect(found == (code.isEmpty ? .complete : .refused, code), "0\(String(mode, radix: 8))")
    }
    @Test func sizes() throws {
        let folder = try Folder()
        for (size, wanted) in [
            (Limits.dropBytes, Word.complete), (Limits.dropBytes + 1, .refused), (4 << 40, .refused),
        ] {
            let file = try folder.directory.create("a.yaml")
            try file.truncate(to: size)
            let found = word(
                try examine(folder, "a.yaml", .movedIn))
            #expect(
                found == (wanted, wanted == .refused ? "E-SIZE" : "")
                    || (size == 1 << 20 && found.0 == .arriving), "\(size)")
            try folder.directory.remove("a.yaml")
        }
    }
    @Test func aSecondNameGetsTwoSeconds() throws {
        let folder = try Folder()
        try folder.put("a.yaml", "a: 1\n")
        #expect(link(folder.path + "/a.yaml", folder.path + "/b.yaml") == 0)
        for (span, wanted, code) in [
            (Span.zero, Word.arriving, ""), (.milliseconds(1999), .arriving, ""),
            (.seconds(2), .refused, "E-LINK"), (.seconds(99), .refused, "E-LINK"),
        ] {
            let gate = try gate(folder, "a.yaml", after: span)
            let found = word(unshared { gate.examine("a.yaml", in: folder.directory, evidence: .movedIn) })
            #expect(found.0 == wanted && (wanted != .refused || found.1 == code), "\(span.text)")
        }
        try folder.directory.remove("b.yaml")
        #expect(
            word(try examine(folder, "a.yaml", .movedIn)).0
                == .complete)
    }

    // MARK: the table of rules

    private struct Row: CustomStringConvertible {
        var name: String, text: String, evidence: Evidence, age: Span, isOpen: Bool, isFull: Bool,
            requireEnd: Bool
        var description: String {
            "\(name) \(text.debugDescription) \(evidence) age \(age.text) \(isOpen ? "open " : "")\(isFull ? "full " : "")\(requireEnd ? "require_end" : "")"
        }
        /// The contract of design.md section 3, said again.
        var wanted: Word {
            if isOpen { return .arriving }
            if evidence != .movedIn {
                if isFull && text != "a: 1\n...\n" && text != "a: 1\n..." { return .arriving }
                if evidence == .seen && age < .seconds(1) { return .arriving }
            }
            if requireEnd && text != "a: 1\n...\n" && text != "a: 1\n..." { return .arriving }
            if evidence == .movedIn || text.hasSuffix("\n") { return .complete }
            return name.hasSuffix(".json") ? .tentative : .arriving
        }
    }
    private static let texts = ["a: 1\n", "a: 1", "a: 1\n...\n", "a: 1\n...", "", "\n", "a: ..."]

    @Test func everyRowOfTheContract() throws {
        let folder = try Folder()
        var rows = 0
        for name in ["job.yaml", "job.json"] {
            for text in ArrivalGateTests.texts {
                try folder.put(name, text)
                for isOpen in [false, true] {
                    let writer = isOpen ? try folder.directory.openForUpdate(name) : nil
                    for evidence in [Evidence.seen, .closed, .movedIn] {
                        for age in [Span.zero, .milliseconds(999), .seconds(1), .seconds(3600)] {
                            for flags in 0..<4 {
                                let row = Row(
                                    name: name, text: text, evidence: evidence, age: age, isOpen: isOpen,
                                    isFull: flags & 1 == 1, requireEnd: flags & 2 == 2)
                                let gate = try gate(
                                    folder, name, after: age, requireEnd: row.requireEnd, isFull: row.isFull)
                                let verdict = unshared(isOpen) {
                                    gate.examine(name, in: folder.directory, evidence: evidence)
                                }
                                if case .complete(let drop) = verdict {
                                    #expect(drop.bytes == Array(text.utf8), "\(row)")
                                }
                                let found = word(verdict)
                                #expect(found.0 == row.wanted, "\(row): \(found)")
                                rows += 1
                            }
                        }
                    }
                    _ = writer
                }
            }
        }
        #expect(rows == 2 * 7 * 2 * 3 * 4 * 4)
    }
    @Test func theNextLookIsNeverAtOnce() throws {
        let folder = try Folder()
        try folder.put("a.yaml", "a: 1\n")
        for evidence in [Evidence.seen, .closed] {
            for age in [Span.zero, .milliseconds(1), .milliseconds(999)] {
                let gate = try gate(folder, "a.yaml", after: age)
                if case .arriving(_, let span) = unshared(
                    false,
                    {
                        gate.examine("a.yaml", in: folder.directory, evidence: evidence)
                    })
                {
                    #expect(span > .zero && span <= .seconds(1), "\(evidence) \(age.text)")
                }
            }
        }
    }
    @Test(arguments: [Evidence.seen, .closed]) func aClockThatStepsBackDelaysNothing(evidence: Evidence)
        throws
    {
        // The inode changed an hour in the future, as the clock now says.
        let folder = try Folder()
        try folder.put("a.yaml", "a: 1\n")
        let gate = try gate(folder, "a.yaml", after: Span(nanoseconds: -Span.seconds(3600).nanoseconds))
        let verdict = unshared { gate.examine("a.yaml", in: folder.directory, evidence: evidence) }
        if case .arriving(_, let span) = verdict { #expect(span > .zero) }
        #expect(word(verdict).0 == .complete)
    }
    @Test func timesThatThePersonSetCountForNothing() throws {
        let folder = try Folder()
        try folder.put("a.yaml", "a: 1\n")
        for instant in [Int64(0), -1, 4_000_000_000_000_000_000] {
            try folder.directory.openForUpdate("a.yaml").setModified(instant)
            let gate = try gate(folder, "a.yaml", after: .seconds(1))
            let found = word(unshared { gate.examine("a.yaml", in: folder.directory, evidence: .seen) })
            #expect(found.0 == .complete, "\(instant)")
        }
    }
    @Test func theLeaseIsHeldUntilTheClaim() throws {
        let folder = try Folder()
        try folder.put("a.yaml", "a: 1\n")
        guard
            case .complete(let drop) = try examine(folder, "a.yaml", .movedIn)
        else {
            Issue.record("not complete")
            return
        }
        signal(SIGIO, SIG_IGN)
        // A writer that opens without blocking is turned away while the lease is held.
        #expect(open(folder.path + "/a.yaml", O_WRONLY | O_NONBLOCK) == -1 && errno == EAGAIN)
        drop.file.dropLease()
        let writer = open(folder.path + "/a.yaml", O_WRONLY | O_NONBLOCK)
        #expect(writer >= 0)
        close(writer)
        #expect(try drop.identity.inode == folder.directory.status("a.yaml").inode)
    }

    @Test(arguments: [
        ("...\n", true), ("a: 1\n...", true), ("a: 1\n...\n\n  \n", true), ("a: 1\r\n...\r\n", true),
        ("... \n", true), ("a: 1\n", false),
        ("", false), ("\n", false), ("....\n", false), ("a: ...\n", false), ("...\na: 1\n", false),
        ("x" + String(repeating: "y", count: 61) + "...", false),
    ])
    func endMarks(text: String, isEnd: Bool) {
        #expect(ArrivalGate.endsWithEndMark(Array(text.utf8)) == isEnd, "\(text.debugDescription)")
    }

    @Test func anEndMarkStandsInTheFirstColumn() {
        #expect(!ArrivalGate.endsWithEndMark(Array("log: |\n  wait\n  ...\n".utf8)))
        #expect(
            !ArrivalGate.endsWithEndMark(
                Array(("a: |\n x" + String(repeating: " ", count: 61) + "...").utf8)))
    }
    @Test func anErrorOfTheDiskIsForThisFileAlone() async throws {
        let folder = try Folder()
        try folder.put("a.yaml", "a: 1\n")
        let path = folder.path
        for (fault, wanted) in [
            ("pread:1:5", "E-IO"), ("openat:1:13", "E-PERM"), ("statx:1:5", "E-IO"),
            ("openat:1:11", "arriving"), ("openat:1:2", "gone"),
        ] {
            await #expect(processExitsWith: .exitCode(0)) {
                [path = path as String, fault = fault as String, wanted = wanted as String] in
                setenv("BOBBIN_FAULT", fault, 1)
                // `open` is another name than `openat`, so the directory itself is spared.
                let directory = try Directory.open(path)
                let gate = ArrivalGate(
                    requireEnd: false, now: Timestamp(seconds: 4_000_000_000))
                let found = word(gate.examine("a.yaml", in: directory, evidence: .movedIn))
                exit(found.1 == wanted || found.0.rawValue == wanted ? 0 : 1)
            }
        }
    }
}
