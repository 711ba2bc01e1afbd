// What this is: each call of publishing, moving, judging and founding, failing in every way; then the same in peace.
// Owns: what must hold after each: no half file under a final name, one place for each file, nothing lost, no wrong verdict.
// Never: strikes another thread; counts a point that no call reached.
// On failure: the call and the blow are in the message.
import Foundation
import Glibc
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import SpoolQueue

private struct Wrong: Error, CustomStringConvertible {
    var description: String
    init(_ text: String) { description = text }
}
private func hold(_ holds: Bool, _ text: @autoclosure () throws -> String) throws {
    if !holds { throw Wrong(try text()) }
}

@Suite struct FaultLoopTests {
    private struct Results {
        let folder: Folder
        let temporary: Directory, done: Directory
        let items: [Publication]
        init(_ count: Int) throws {
            folder = try Folder(in: "/dev/shm")
            temporary = try folder.folder("tmp")
            let done = try folder.folder("done")
            self.done = done
            items = (0..<count).map { number in
                Publication(
                    acceptance: sampleAcceptance(freshID(UInt64(number) << 32), name: "job\(number).yaml"),
                    bytes: [UInt8](repeating: UInt8(number), count: 5000 + number), directory: done)
            }
        }
        func checkWhole() throws {
            for name in try done.names() where name.hasSuffix(".result.yaml") {
                let bytes = try done.openForReading(name).read(upTo: 100_000)
                let item = items.first { FinalName.result($0.acceptance) == name }
                try hold(item?.bytes == bytes, "\(name) is not whole")
            }
        }
        func publishAll() throws {
            try Publish(temporary: temporary).publish(items)
            try checkWhole()
            try hold(try done.names().count == items.count, "\(try done.names())")
            try hold(try temporary.names().isEmpty, "left: \(try temporary.names())")
        }
    }

    @Test(arguments: [2, 7]) func publishing(count: Int) throws {
        let points = try FaultLoop.run(make: { try Results(count) }) {
            try Publish(temporary: $0.temporary).publish($0.items)
        } check: { world, outcome in
            try world.checkWhole()
            if outcome.error == nil { try hold(try world.done.names().count == count, "told, but not there") }
            try world.publishAll()
        }
        #expect(points > 100)
    }

    @Test func publishingOverWhatIsThere() throws {
        // A torn result of a former life, and one that is whole.
        let make = { () throws -> Results in
            let world = try Results(2)
            try world.folder.put("done/" + FinalName.result(world.items[0].acceptance), "torn")
            return world
        }
        let points = try FaultLoop.run(make: make) {
            try Publish(temporary: $0.temporary).publish($0.items)
        } check: { world, _ in
            try world.publishAll()
        }
        #expect(points > 50)
    }

    @Test func placingAJob() throws {
        let points = try FaultLoop.run(make: { try Results(1) }) {
            try Publish(temporary: $0.temporary).placeJob($0.items[0].acceptance, in: $0.done)
        } check: { world, _ in
            let acceptance = world.items[0].acceptance, name = FinalName.job(acceptance)
            if try world.done.statusIfPresent(name) == nil {
                try Publish(temporary: world.temporary).placeJob(acceptance, in: world.done)
            }
            let file = try world.done.openForReading(name)
            try hold(
                try file.read(upTo: 1000) == acceptance.snapshot, "the job beside its result is not whole")
            try hold(try file.status().mode == 0o440, "it may be written")
            try hold(try world.temporary.names().isEmpty, "left: \(try world.temporary.names())")
        }
        #expect(points > 40)
    }

    /// A drop's whole way: claimed, parked, unparked, retired. Wherever it is cut, the file is in one place, and the rest
    /// of the way can be gone.
    @Test func moving() throws {
        let acceptance = sampleAcceptance()
        let name = ClaimedName(acceptance)
        let steps: [(TestSpool) throws -> Void] = [
            { _ = try $0.move.claim("job.yaml", from: $0.queue, as: name, to: $0.claimed) },
            { try $0.move.park(name, from: $0.claimed, .retry) },
            { _ = try $0.move.unpark(name, from: .retry, to: $0.claimed) },
            {
                _ = try $0.move.retire(
                    acceptance, from: $0.claimed, to: $0.spool.finalDirectory(.succeeded, day: "2026-11-21"))
            },
        ]
        func places(_ world: TestSpool) -> [Int] {
            let folders = ["default/p5", "claimed/main", "parked/retry", "done/2026-11-21"]
            return folders.indices.filter {
                !((try? world.names(folders[$0])) ?? []).isEmpty  // not made yet
            }
        }
        let points = try FaultLoop.run {
            let world = try TestSpool()
            try world.drop("job.yaml")
            return world
        } work: { world in
            for step in steps { try step(world) }
        } check: { world, _ in
            let found = places(world)
            try hold(found.count == 1, "it is in \(found)")
            // Parked or not, a claim goes on to its end.
            let at = found[0]
            for step in steps[(at == 1 ? 3 : at)...] { try step(world) }
            try hold(places(world) == [3], "it ended in \(places(world))")
            let text = try world.text("done/2026-11-21/" + FinalName.job(acceptance))
            try hold(text == "steps: []\n", "other bytes: \(text)")
        }
        #expect(points > 50)
    }

    @Test func goingBackToAQueueWhoseNameIsTaken() throws {
        let name = ClaimedName(sampleAcceptance())
        try FaultLoop.run {
            let world = try TestSpool()
            try world.drop("job.yaml")
            _ = try world.move.claim("job.yaml", from: world.queue, as: name, to: world.claimed)
            try world.drop("job.yaml", "another\n")
            return world
        } work: {
            try $0.move.unclaim(name, from: $0.claimed, to: $0.queue, "job.yaml")
        } check: { world, _ in
            if try !world.names("claimed/main").isEmpty {
                try world.move.unclaim(name, from: world.claimed, to: world.queue, "job.yaml")
            }
            let texts = try world.names("default/p5").map { try world.text("default/p5/" + $0) }.sorted()
            try hold(texts == ["another\n", "steps: []\n"], "\(texts)")
        }
    }

    /// Whatever fails while a file is judged: it is never said to be whole with other bytes.
    @Test func judging() throws {
        let text = String(repeating: "steps: []  # text\n", count: 100)
        let points = try FaultLoop.run(mustThrow: false) {
            let world = try TestSpool()
            try world.drop("job.yaml", text)
            return world
        } work: { world in
            let gate = ArrivalGate(requireEnd: false, now: Timestamp(nanoseconds: Clocks.wall))
            switch gate.examine("job.yaml", in: world.queue, evidence: .movedIn) {
            case .complete(let drop):
                if drop.bytes != Array(text.utf8) { try world.folder.put("wrong", "other bytes") }
            case .directory, .gone: try world.folder.put("wrong", "gone, or a directory")
            case .refused, .arriving, .hostTrouble: break
            }
        } check: { world, _ in
            try hold(try !world.folder.listing().contains("wrong"), "a wrong verdict")
            let gate = ArrivalGate(requireEnd: false, now: Timestamp(nanoseconds: Clocks.wall))
            let verdict = unshared { gate.examine("job.yaml", in: world.queue, evidence: .movedIn) }
            guard case .complete(let drop) = verdict else { throw Wrong("in peace it is \(verdict)") }
            try hold(drop.bytes == Array(text.utf8), "in peace it has other bytes")
        }
        #expect(points > 30)
    }

    @Test func theHostsTroubleRefusesNobody() throws {
        for errno in [ENOMEM, EMFILE, ENFILE] {
            for call in 1...40 {
                let world = try TestSpool()
                try world.drop("job.yaml")
                var verdict: Verdict?
                let gate = ArrivalGate(requireEnd: false, now: Timestamp(nanoseconds: Clocks.wall))
                guard
                    ThreadFaults.strike(
                        call, .errno(errno, lasting: false),
                        {
                            verdict = gate.examine("job.yaml", in: world.queue, evidence: .movedIn)
                        }
                    ).isHit
                else { break }
                if case .refused(let failure)? = verdict {
                    Issue.record("call \(call), errno \(errno): \(failure)")
                }
            }
        }
    }

    @Test func founding() throws {
        let points = try FaultLoop.run(make: { try Folder(in: "/dev/shm") }) {
            _ = try Spool(site: $0.path, newID: "new")
        } check: { folder, _ in
            let spool = try Spool(site: folder.path, newID: "newer")
            try hold(["new", "newer"].contains(spool.id), "id \(spool.id)")
            try hold(try Spool(site: folder.path, newID: "newest").id == spool.id, "another id the next time")
        }
        #expect(points > 500)
    }

    @Test func aFileThatIsWrittenWhole() throws {
        let points = try FaultLoop.run {
            let folder = try Folder(in: "/dev/shm")
            try folder.put("settings", "old")
            return folder
        } work: { folder in
            try AtomicFile.write(
                Array("the new text".utf8), to: "settings", in: folder.directory, existing: .replace)
        } check: { folder, outcome in
            let text = try folder.text("settings")
            try hold(text == "old" || text == "the new text", "half: \(text)")
            try AtomicFile.write(
                Array("the next".utf8), to: "settings", in: folder.directory, existing: .replace)
            try hold(try folder.text("settings") == "the next", "not written in peace")
            // A kill, and an errno that strikes the tidying as well, leave the temporary file; a start removes it.
            if case .errno(_, lasting: false)? = outcome.blow {
                try hold(try folder.listing() == ["settings"], "left: \(try folder.listing())")
            }
        }
        #expect(points > 40)
    }
}
