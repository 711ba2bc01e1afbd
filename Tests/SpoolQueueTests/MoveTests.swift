// What this is: every rename of a spool file, alone and against another.
// Owns: exactly one winner of a claim, that nothing is ever replaced, what a lost race is and what it is not.
// Never: waits for a thread but by joining it.
// On failure: the names that went astray are in the message.
// A rename that survived in both directories is made with a hard link (reliability.md 3.6).
import Foundation
import Glibc
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import SpoolQueue

@Suite struct MoveTests {
    private func claimedName(_ id: RunID = freshID(), _ name: String = "job.yaml") -> ClaimedName {
        ClaimedName(run: id, queue: .standard, priority: .normal, name: name)
    }

    @Test func fiveHundredClaimsHaveOneWinnerEach() throws {
        let site = try TestSpool()
        for number in 0..<500 { try site.drop("job\(number).yaml") }
        let wins = Monitor<[String]>([]), errors = Counter()
        let threads = try (0..<2).map { index in
            let mine = try site.spool.claimed.makeDirectory("runner\(index)")
            return try BlockingThread.start("claimer") {
                let order = index == 0 ? Array(0..<500) : Array((0..<500).reversed())
                for number in order {
                    do {
                        let name = ClaimedName(
                            run: freshID(), queue: .standard, priority: .normal, name: "job\(number).yaml")
                        if try site.move.claim("job\(number).yaml", from: site.queue, as: name, to: mine) {
                            wins.with { $0.append(name.text) }
                        }
                    } catch { errors.increment() }
                }
            }
        }
        for thread in threads { thread.join() }
        let won = wins.with { $0 }
        #expect(
            errors.count == 0 && won.count == 500
                && Set(won.compactMap { ClaimedName($0)?.name }).count == 500)
        #expect(try site.names("default/p5").isEmpty)
        #expect(try Set(site.names("claimed/runner0") + site.names("claimed/runner1")) == Set(won))
    }
    @Test func aLifeOfMoves() throws {
        let site = try TestSpool()
        let accepted = sampleAcceptance()
        let name = ClaimedName(accepted)
        try site.drop("job.yaml", "text\n")
        #expect(try site.move.claim("job.yaml", from: site.queue, as: name, to: site.claimed))
        #expect(try site.names("claimed/main") == [name.text])
        for reason in Wait.Reason.allCases {
            try site.move.park(name, from: site.claimed, reason)
            #expect(
                try site.names("parked/\(reason.rawValue)") == [name.text]
                    && site.names("claimed/main").isEmpty)
            #expect(try site.move.unpark(name, from: reason, to: site.claimed))
        }
        let other = try site.spool.claimed.makeDirectory("other")
        #expect(try site.move.takeOver(name.text, from: site.claimed, to: other))
        let final = try site.spool.finalDirectory(.succeeded, day: "2026-01-02")
        #expect(try site.move.retire(accepted, from: other, to: final))
        #expect(try site.text("done/2026-01-02/" + FinalName.job(accepted)) == "text\n")
        for state in FinalState.allCases where !state.isGood {
            #expect(
                try site.spool.finalDirectory(state, day: "2026-01-02").path.hasSuffix("failed/2026-01-02"))
        }
    }
    @Test func aLostRaceIsFalseEverywhere() throws {
        let site = try TestSpool()
        let name = claimedName(), final = try site.spool.finalDirectory(.failed, day: "d")
        #expect(try !site.move.claim("none.yaml", from: site.queue, as: name, to: site.claimed))
        #expect(try !site.move.unpark(name, from: .held, to: site.claimed))
        #expect(try !site.move.retire(sampleAcceptance(), from: site.claimed, to: final))
        #expect(try site.move.reject("none.yaml", from: site.queue, sequence: freshID()) == nil)
        #expect(try !site.move.refile("none.yaml", from: site.spool.inbox, to: site.queue, as: "x.yaml"))
        #expect(try !site.move.close(command: "cancel-x", from: site.spool.control, as: "x"))
        try site.move.park(name, from: site.claimed, .held)
    }
    @Test func nothingIsReplaced() throws {
        let site = try TestSpool()
        let name = claimedName()
        try site.drop("a.yaml", "A\n")
        try site.folder.put("spool/claimed/main/" + name.text, "B\n")
        #expect(throws: SystemError.self) {
            try site.move.claim("a.yaml", from: site.queue, as: name, to: site.claimed)
        }
        #expect(
            try site.text("default/p5/a.yaml") == "A\n" && site.text("claimed/main/" + name.text) == "B\n")
        try site.folder.put("spool/inbox/a.yaml", "C\n")
        #expect(throws: SystemError.self) {
            try site.move.refile("a.yaml", from: site.spool.inbox, to: site.queue, as: "a.yaml")
        }
        #expect(try site.text("default/p5/a.yaml") == "A\n")
    }
    @Test func rejectedNamesAreSafe() throws {
        let site = try TestSpool()
        for name in ["new\nline", "\u{1B}[31m", "-rf", "~a~", String(repeating: "é", count: 120)] {
            try site.folder.put("spool/default/p5/" + name, "x")
            let target = try #require(try site.move.reject(name, from: site.queue, sequence: freshID()))
            #expect(
                target.unicodeScalars.allSatisfy { $0.value > 0x1F && $0.value != 0x7F }
                    && target.utf8.count < 240)
            #expect(try site.names("rejected").contains(target))
        }
        #expect(try site.names("default/p5").isEmpty)
    }
    @Test func commandsGoAndComeBack() throws {
        let site = try TestSpool()
        let name = "cancel-\(freshID())"
        let orders = try site.spool.runners.makeDirectory("orders")
        try site.folder.put("spool/control/" + name, "")
        #expect(try site.move.forward(command: name, to: orders) && orders.names() == [name])
        #expect(try site.move.returnOrder(name, from: orders))
        #expect(try site.move.close(command: name, from: site.spool.control, as: "1~" + name))
        #expect(try site.names("control/closed") == ["1~" + name])
    }
    @Test func aClaimIntoADirectoryThatIsGoneIsNoLostRace() throws {
        let site = try TestSpool()
        try site.drop("a.yaml")
        try site.spool.claimed.removeDirectory("main")
        #expect(throws: SystemError.self) {
            try site.move.claim("a.yaml", from: site.queue, as: claimedName(), to: site.claimed)
        }
        #expect(try site.names("default/p5") == ["a.yaml"])
    }
    @Test func aRetireThatHappenedHalfIsFinished() throws {
        let site = try TestSpool()
        let accepted = sampleAcceptance()
        let final = try site.spool.finalDirectory(.succeeded, day: "d")
        try site.folder.put("spool/claimed/main/" + ClaimedName(accepted).text, "x")
        let root = site.folder.path + "/spool/"
        #expect(
            link(
                root + "claimed/main/" + ClaimedName(accepted).text,
                root + "done/d/" + FinalName.job(accepted)) == 0)
        #expect(try site.move.retire(accepted, from: site.claimed, to: final))
        #expect(try site.names("claimed/main").isEmpty && site.names("done/d") == [FinalName.job(accepted)])
    }
}
