// What this is: founding and opening a site's spool, and the slots of its queues.
// Owns: modes, the refusals of a spool that lost something or is newer; slots between holders and processes.
// Never: mounts anything.
// On failure: the code of the problem is in the message.
// The second process of the slots is an exit test of this one.
import Foundation
import Glibc
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import SpoolQueue

@Suite struct SpoolTests {
    private func open(_ folder: Folder, id: String = "other") throws -> Spool {
        try Spool(site: folder.path, newID: id)
    }
    private func code(_ folder: Folder) -> String? {
        do { _ = try open(folder) } catch { return (error as? SpoolProblem)?.code ?? "\(error)" }
        return nil
    }

    @Test func aNewSpoolIsFoundedOnce() throws {
        let folder = try Folder()
        #expect(try open(folder, id: "first").id == "first")
        #expect(try open(folder, id: "second").id == "first")
        #expect(try folder.text("spool/.bobbin/format") == "1\n")
        for (path, mode) in [
            ("spool/.bobbin", UInt32(0o700)), ("secrets", 0o700), ("spool/inbox", 0o755),
            ("spool/claimed", 0o755),
        ] {
            #expect(try FileStatus.of(folder.path + "/" + path).mode == mode, "\(path)")
        }
        #expect(try FileStatus.of(folder.path + "/spool/.bobbin/spool.id").mode == 0o600)
    }
    @Test func manyFoundersAgree() throws {
        let folder = try Folder()
        let path = folder.path
        let ids = Monitor<[String]>([])
        let threads = try (0..<8).map { number in
            try BlockingThread.start("founder") {
                let id: String
                do { id = try Spool(site: path, newID: "id\(number)").id } catch { id = "failed: \(error)" }
                ids.with { $0.append(id) }
            }
        }
        for thread in threads { thread.join() }
        let found = Set(ids.with { $0 })
        #expect(found.count == 1 && found.allSatisfy { $0.hasPrefix("id") }, "\(found)")
    }
    @Test(arguments: ["claimed", "parked", "done", "failed", ".bobbin/runners"])
    func whatHoldsWorkIsNotMadeAgain(name: String) throws {
        let folder = try Folder()
        _ = try open(folder)
        try FileManager.default.removeItem(atPath: folder.path + "/spool/" + name)
        #expect(code(folder) == "E-STATE")
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/spool/" + name))
    }
    @Test(arguments: ["inbox", "rejected", "control/closed", "log", "runs", ".bobbin/slots"])
    func whatHoldsNoneIs(name: String) throws {
        let folder = try Folder()
        _ = try open(folder)
        try FileManager.default.removeItem(atPath: folder.path + "/spool/" + name)
        #expect(code(folder) == nil)
    }
    @Test func claimsWithoutTheirStateAreNotAdoptedAsNew() throws {
        let site = try TestSpool()
        try site.folder.put("spool/claimed/main/" + ClaimedName(sampleAcceptance()).text, "steps: []\n")
        try FileManager.default.removeItem(atPath: site.folder.path + "/spool/.bobbin")
        #expect(code(site.folder) == "E-STATE")
    }
    @Test(arguments: ["2\n", "0\n", "", "1.1\n", "garbage"]) func anotherFormatIsRefused(text: String) throws
    {
        let folder = try Folder()
        _ = try open(folder)
        try folder.put("spool/.bobbin/format", text)
        #expect(code(folder) == "E-FORMAT")
    }
    @Test func aNewerSpoolIsLeftAsItIs() throws {
        let folder = try Folder()
        _ = try open(folder)
        try folder.put("spool/.bobbin/format", "2\n")
        try FileManager.default.removeItem(atPath: folder.path + "/spool/events")
        #expect(code(folder) == "E-FORMAT")
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/spool/events"))
    }
    @Test func aLinkIsNoDirectoryOfTheSpool() throws {
        let folder = try Folder()
        _ = try open(folder)
        let elsewhere = try Folder()
        try FileManager.default.removeItem(atPath: folder.path + "/spool/inbox")
        try folder.link("spool/inbox", to: elsewhere.path)
        #expect(code(folder) != nil)
        #expect(try elsewhere.listing().isEmpty)
    }
    @Test func aForeignFileSystemIsRefused() { #expect((try? Spool(site: "/proc/self", newID: "x")) == nil) }

    @Test func queuesHaveAsManyDirectoriesAsLevels() throws {
        let folder = try Folder()
        let spool = try open(folder)
        let lanes = try spool.dropDirectories(of: QueuePolicy(name: .standard, priorityLevels: 3))
        #expect(lanes.map(\.0.level) == [1, 2, 3])
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path + "/spool/default").sorted() == [
                "p1", "p2", "p3",
            ])
    }
}

@Suite struct SlotSetTests {
    private func set(_ folder: Folder) throws -> SlotSet { try SlotSet(.standard, in: folder.directory) }

    @Test func slotsHoldForAllHoldersTogether() throws {
        let folder = try Folder()
        let first = try set(folder), second = try set(folder)
        var mine: [Int] = [], theirs: [Int] = []
        for _ in 0..<3 {
            if let slot = try first.take(limit: 5) { mine.append(slot) }
            if let slot = try second.take(limit: 5) { theirs.append(slot) }
        }
        #expect(mine.count + theirs.count == 5 && Set(mine + theirs).count == 5)
        #expect(try first.take(limit: 5) == nil && second.take(limit: 5) == nil)
        #expect(first.taken == mine.count && second.taken == theirs.count)
        try first.release(mine[0])
        #expect(try second.take(limit: 5) == mine[0])
    }
    @Test func aSmallerLimitCountsAtOnce() throws {
        let folder = try Folder()
        let slots = try set(folder)
        for _ in 0..<3 { #expect(try slots.take(limit: 3) != nil) }
        try slots.release(2)
        #expect(try slots.take(limit: 2) == nil && slots.taken == 2)
        try slots.release(0)
        #expect(try slots.take(limit: 2) == 0)
        #expect(try slots.take(limit: 0) == nil)
    }
    @Test func random() throws {
        let folder = try Folder()
        let sets = try (0..<3).map { _ in try set(folder) }
        var held: [(Int, Int)] = []
        var random = SeededRandom(seed: 1)
        for _ in 0..<500 {
            if random.chance(2), let index = held.indices.randomElement(using: &random) {
                let (owner, slot) = held.remove(at: index)
                try sets[owner].release(slot)
            } else {
                let owner = random.below(3)
                let slot = try sets[owner].take(limit: 4)
                #expect((slot == nil) == (held.count == 4))
                if let slot {
                    #expect(!held.contains { $0.1 == slot } && slot < 4)
                    held.append((owner, slot))
                }
            }
        }
    }
    @Test func anotherProcessHoldsSlotsUntilItDies() async throws {
        let folder = try Folder()
        let slots = try set(folder)
        #expect(try slots.take(limit: 3) == 0)
        let path = folder.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let slots = try SlotSet(.standard, in: Directory.open(path))
            guard try slots.take(limit: 3) == 1, try slots.take(limit: 3) == 2,
                try slots.take(limit: 3) == nil
            else { exit(1) }
            kill(getpid(), SIGKILL)
        }
        #expect(try slots.take(limit: 3) == 1 && slots.take(limit: 3) == 2, "a dead runner's slots are free")
    }
}
