// What this is: the journal as a whole: lives, rotations, group commits, kills.
// Owns: that a new life finds exactly what the old ones wrote, wherever they ended.
// Never: injects a fault into this process; waits for anything but durability.
// On failure: seed, life or call is in the message.
// Segments are small here, so that rotation is the rule and not the exception.
import Foundation
import Glibc
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import RunJournal

@Suite struct JournalTests {
    @Test func everyLifeFindsWhatTheLastOneLeft() throws {
        for seed in UInt64(1)...6 {
            let bench = try JournalBench()
            var events = RandomEvents(seed: seed), model = ModelJournal()
            var ids: [RunID] = []
            for life in 0..<5 {
                let journal = try bench.open(segmentBytes: events.random.pick([4096, 16_384, 100_000]))
                #expect(
                    Dictionary(uniqueKeysWithValues: journal.liveRecords.map { ($0.id, $0) }) == model.live,
                    "seed \(seed), life \(life)")
                for _ in 0..<events.random.below(120) {
                    var event = events.middle()
                    var id = ids.randomElement(using: &events.random) ?? events.id()
                    if ids.isEmpty || events.random.chance(4) {
                        id = events.id()
                        ids.append(id)
                        event = .accepted(events.acceptance(id))
                    }
                    model.take(event, id)
                    let sequence = journal.append(event, of: id)
                    #expect(journal.record(id) == model.live[id])
                    if events.random.chance(5) { journal.waitUntilDurable(sequence) }
                }
                journal.close()
                let replay = try bench.replay()
                #expect(replay.live == model.live, "seed \(seed), life \(life)")
            }
        }
    }
    /// Found by the crash states: a new segment that counts before the moves of the old one's retired runs are on the
    /// disk lets a start forget them, and their drops run again.
    @Test func whatWasRetiredIsKnownUntilItsMovesAreSettled() throws {
        let bench = try JournalBench()
        var events = RandomEvents(seed: 21)
        let id = events.id()
        let seen = Monitor<[Bool]>([])
        let journal = try bench.open(
            segmentBytes: 16_384,
            settle: { [folder = bench.folder.directory] in
                // A power cut at this very moment: what would a start know?
                let replay = try Replay.read(folder)
                seen.with { $0.append(replay.retired[id] != nil || replay.live[id] != nil) }
            })
        journal.append(.accepted(events.acceptance(id)), of: id)
        journal.append(.retired, of: id)
        journal.close()
        #expect(
            seen.with { $0 } == [false, true], "at the opening it was not there yet, at the end it must be")
        #expect(try bench.replay().retired.isEmpty, "after a clean end nothing is looked at again")
    }
    @Test func retiredRunsComeBackAsEnded() throws {
        let bench = try JournalBench()
        var events = RandomEvents(seed: 22)
        let id = events.id()
        let journal = try bench.open(segmentBytes: 16_384)
        journal.append(.accepted(events.acceptance(id)), of: id)
        let end = RunEvent.ended(
            .succeeded, at: Timestamp(seconds: 9), failure: nil, outputs: [:], result: [7])
        journal.append(end, of: id)
        journal.waitUntilDurable(journal.append(.retired, of: id))
        var replay = try bench.replay()
        #expect(replay.live.isEmpty && replay.retired.count == 1)
        replay.reviveRetired()
        #expect(replay.live[id]?.finalState == .succeeded && replay.live[id]?.result == [7])
        journal.close()
    }
    @Test func rotationCarriesTheLiveAndDropsTheRest() throws {
        let bench = try JournalBench()
        var events = RandomEvents(seed: 20)
        let settled = Counter()
        let journal = try bench.open(segmentBytes: 8192, settle: { settled.increment() })
        let kept = events.id()
        let acceptance = events.acceptance(kept)
        journal.append(.accepted(acceptance), of: kept)
        for _ in 0..<300 {
            let id = events.id()
            journal.append(.accepted(events.acceptance(id)), of: id)
            journal.waitUntilDurable(journal.append(.retired, of: id))
        }
        journal.close()
        #expect(settled.count > 5, "each rotation settles before it forgets")
        #expect(try bench.segments.count == 1)
        let replay = try bench.replay()
        #expect(Array(replay.live.keys) == [kept] && replay.live[kept] == RunRecord(acceptance))
    }
    @Test func manyLiveRunsDoNotRotateForEver() throws {
        let bench = try JournalBench()
        var events = RandomEvents(seed: 21)
        let rotations = Counter()
        let journal = try bench.open(segmentBytes: 4096, settle: { rotations.increment() })
        for _ in 0..<200 {
            let id = events.id()
            journal.waitUntilDurable(journal.append(.accepted(events.acceptance(id)), of: id))
        }
        journal.close()
        #expect(try bench.replay().live.count == 200)
        #expect(rotations.count < 20, "\(rotations.count) rotations")
    }
    @Test func eightThreadsShareTheirSyncs() throws {
        let bench = try JournalBench()
        let journal = try bench.open(segmentBytes: 32_768)
        let threads = try (0..<8).map { number in
            try BlockingThread.start("appender") {
                var events = RandomEvents(seed: UInt64(100 + number))
                for _ in 0..<200 {
                    let id = events.id()
                    journal.waitUntilDurable(journal.append(.accepted(events.acceptance(id)), of: id))
                }
            }
        }
        for thread in threads { thread.join() }
        // What was waited for is on disk already, without a close.
        #expect(try bench.replay().live.count == 1600)
        journal.close()
        #expect(try bench.replay().live.count == 1600)
    }
    @Test func durableMeansOnDisk() throws {
        let bench = try JournalBench()
        let journal = try bench.open()
        var events = RandomEvents(seed: 22)
        for number in 1...30 {
            let id = events.id()
            journal.waitUntilDurable(journal.append(.accepted(events.acceptance(id)), of: id))
            #expect(try bench.replay().live.count == number)
        }
        journal.waitUntilDurable(0)
        journal.close()
    }
    @Test func aCleanEndIsNotTorn() throws {
        let bench = try JournalBench()
        var events = RandomEvents(seed: 23)
        for segmentBytes in [4 << 20, 1 << 20] {
            let journal = try bench.open(segmentBytes: segmentBytes)
            let id = events.id()
            journal.append(.accepted(events.acceptance(id)), of: id)
            journal.close()
            #expect(try bench.replay().tornBytes == 0)
        }
    }
    /// A journal whose current segment is a recycled one, with the remains of its former life behind its end.
    private func recycled(_ bench: JournalBench, seed: UInt64) throws -> Set<RunID> {
        var events = RandomEvents(seed: seed)
        let journal = try bench.open(segmentBytes: 32_768)
        var current = try bench.segments
        for round in 0..<2000 {
            let id = events.id()
            journal.append(.accepted(events.acceptance(id)), of: id)
            journal.waitUntilDurable(journal.append(.retired, of: id))
            let now = try bench.segments
            // Three rotations on: the file under the new name was a segment twice before.
            if now != current {
                current = now
                if round > 0, let number = Int(now.last?.prefix(12) ?? ""), number >= 5 { break }
            }
        }
        let last = events.id()
        journal.append(.accepted(events.acceptance(last)), of: last)
        journal.close()
        return [last]
    }
    @Test func oneSegmentAndOneSpareAreLeftOfAnyNumber() throws {
        let bench = try JournalBench()
        _ = try recycled(bench, seed: 35)
        let names = try bench.folder.listing()
        #expect(
            names.count == 2 && names.first == ".spare" && names.last?.hasSuffix(".seg") == true, "\(names)")
        #expect(try bench.folder.directory.status(".spare").size == 32_768)
        // The next life goes on in the spare's room and makes another.
        try bench.open(segmentBytes: 32_768).close()
        #expect(try bench.folder.listing().count == 2)
    }
    @Test func fromTheFirstOpeningOnARotationNeedsNoRoom() throws {
        let bench = try JournalBench()
        let journal = try bench.open(segmentBytes: 8192)
        #expect(try bench.folder.directory.status(".spare").size == 8192)
        journal.close()
    }
    /// A first start that was cut off before its header leaves a blank file; the next one does not keep it for ever.
    @Test func aBlankSegmentGoes() throws {
        let bench = try JournalBench()
        try bench.folder.put("000000000001.seg", String(repeating: "\0", count: 4096))
        try bench.open(segmentBytes: 8192).close()
        let names = try bench.folder.listing()
        #expect(names.count == 2 && !names.contains("000000000001.seg"), "\(names)")
    }
    /// A segment that had to be larger, for a run of great size, gives its room back and is the next spare.
    @Test func aLargerSegmentIsCutWhenItIsSuperseded() throws {
        let bench = try JournalBench()
        var events = RandomEvents(seed: 38)
        let large = events.id()
        var acceptance = events.acceptance(large)
        acceptance.snapshot = [UInt8](repeating: 1, count: 20_000)
        try {
            let journal = try bench.open(segmentBytes: 8192)
            journal.append(.accepted(acceptance), of: large)
            journal.close()
        }()
        let journal = try bench.open(segmentBytes: 8192)
        let larger = try #require(try bench.segments.last)
        #expect(try bench.folder.directory.status(larger).size > 8192)
        journal.append(.retired, of: large)
        journal.close()
        let names = try bench.folder.listing()
        #expect(names.count == 2 && !names.contains(larger), "\(names)")
        #expect(try bench.folder.directory.status(".spare").size == 8192)
    }
    /// A runner that is killed right after a step must not ask a person what became of it.
    @Test func theEndOfAStepIsWrittenAtOnce() throws {
        let bench = try JournalBench()
        var events = RandomEvents(seed: 36)
        let journal = try bench.open()
        for number in 0..<20 {
            let id = events.id()
            journal.append(.accepted(events.acceptance(id)), of: id)
            let step = events.step(.succeeded)
            journal.append(.stepStarted(step), of: id)
            journal.append(.stepEnded(step), of: id)
            #expect(try bench.replay().live[id]?.steps.last?.state == .succeeded, "round \(number)")
        }
        journal.close()
    }
    @Test func whatNobodyWaitsForIsWrittenSoonAllTheSame() throws {
        let bench = try JournalBench()
        var events = RandomEvents(seed: 37)
        let journal = try bench.open()
        for number in 0..<5 {
            let id = events.id()
            journal.append(.accepted(events.acceptance(id)), of: id)
            // Nobody is told when an unasked write is done: looks until it is.
            let end = Clocks.monotonic + 20_000_000_000
            while try bench.replay().live[id] == nil, Clocks.monotonic < end { sched_yield() }
            #expect(try bench.replay().live[id] != nil, "round \(number)")
        }
        journal.close()
    }
    @Test func aRecycledSegmentNeverYieldsOldRecords() throws {
        for seed in UInt64(30)...33 {
            let bench = try JournalBench()
            let live = try recycled(bench, seed: seed)
            let bytes = try bench.bytes(try #require(try bench.segments.last))
            let replay = try bench.replay()
            #expect(Set(replay.live.keys) == live)
            let salt = try #require(SegmentHeader(bytes[..<64])).salt
            var end = SegmentHeader.size
            while let found = Frame.read(bytes, at: end, salt: salt) { end = found.next }
            #expect(bytes[end...].contains { $0 != 0 }, "the file was not a recycled one")
        }
    }
    @Test func aCleanEndOfARecycledSegmentIsNotTorn() throws {
        let bench = try JournalBench()
        _ = try recycled(bench, seed: 34)
        #expect(try bench.replay().tornBytes == 0)
    }

    // MARK: lives that end at the worst moment

    @Test func aKillWhileAJournalOpensLeavesItReadable() throws {
        // The states of the directory that a kill inside Journal.init leaves, each made by hand.
        for state in [
            "empty next segment", "next segment without header", "carried run missing", "next segment whole",
        ] {
            let bench = try JournalBench()
            var events = RandomEvents(seed: 41)
            let id = events.id()
            let journal = try bench.open()
            journal.append(.accepted(events.acceptance(id)), of: id)
            journal.close()
            let live = try bench.replay()
            var next: [UInt8] = []
            if state != "empty next segment" { next = [UInt8](repeating: 0, count: 16_384) }
            if state == "next segment whole" || state == "carried run missing" {
                let header = SegmentHeader(
                    number: live.lastSegment + 1, firstSequence: live.lastSequence + 1, salt: 5, carried: 1)
                let (kind, payload) = EventCoding.encode(.carried(try #require(live.live[id])), of: id)
                var carried = header.bytes
                Frame.write(
                    kind: kind, sequence: live.lastSequence + 1, durable: 0, payload: payload, salt: 5,
                    into: &carried)
                if state == "carried run missing" { carried = header.bytes }
                next.replaceSubrange(0..<carried.count, with: carried)
            }
            try bench.put(Committer.name(live.lastSegment + 1), next)
            let replay = try bench.replay()
            #expect(replay.live == live.live, "\(state)")
        }
    }
    @Test(arguments: 1...18) func aKillAtEachCallOfAnOpeningLosesNothing(call: Int) async throws {
        let bench = try JournalBench()
        var events = RandomEvents(seed: 42)
        let journal = try bench.open()
        for _ in 0..<5 {
            let id = events.id()
            journal.append(.accepted(events.acceptance(id)), of: id)
        }
        journal.close()
        let before = try bench.replay().live
        let path = bench.folder.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, call = call as Int] in
            // Counted from the first call of the process; reading the journal takes the first few.
            setenv("BOBBIN_FAULT", "any:\(call + 6):kill", 1)
            let directory = try Directory.open(path)
            let journal = try? Journal(
                directory, replay: Replay.read(directory), segmentBytes: 16_384,
                salt: { Clocks.randomBits().1 }, settle: {},
                halt: { _ in exit(9) })
            // Its thread lives as long as it does.
            withExtendedLifetime(journal) { _ = kill(getpid(), SIGKILL) }
        }
        let replay = try bench.replay()
        #expect(replay.live == before)
    }
    @Test(arguments: (0..<24).map { 30 + $0 * 7 }, ["kill", "28"])
    func whateverEndsALifeKeepsWhatWasPromised(call: Int, fault: String) async throws {
        let bench = try JournalBench()
        _ = try recycled(bench, seed: 47)
        let before = Set(try bench.replay().live.keys)
        let path = bench.folder.path
        await #expect(processExitsWith: .failure) {
            [path = path as String, call = call as Int, fault = fault as String] in
            setenv("BOBBIN_FAULT", "any:\(call):\(fault)", 1)
            let promises = open(path + "/promises", O_WRONLY | O_CREAT | O_APPEND, 0o600)
            let directory = try Directory.open(path)
            guard
                let journal = try? Journal(
                    directory, replay: Replay.read(directory), segmentBytes: 32_768,
                    salt: { Clocks.randomBits().1 }, settle: {}, halt: { _ in _exit(74) })
            else { _exit(75) }
            var events = RandomEvents(seed: 48)
            for number in 0..<400 {
                let id = events.id()
                let sequence = journal.append(.accepted(events.acceptance(id)), of: id)
                // Most are gone again, so that segments turn over; every tenth stays and is promised.
                guard number % 10 == 0 else {
                    journal.append(.retired, of: id)
                    continue
                }
                journal.waitUntilDurable(sequence)
                _ = write(promises, id.text, RunID.length)
            }
            _exit(1)
        }
        let text = try bench.folder.text("promises")
        let promised = stride(from: 0, to: text.count, by: RunID.length).compactMap {
            RunID(text.dropFirst($0).prefix(RunID.length))
        }
        let found = Set(try bench.replay().live.keys)
        #expect(found.isSuperset(of: before.union(promised)), "\(promised.count) promised")
        // And the next life can begin.
        let journal = try bench.open()
        #expect(Set(journal.liveRecords.map(\.id)) == found)
        journal.close()
    }
    @Test func aKillBetweenTheRenameOfASpareAndItsHeader() throws {
        let bench = try JournalBench()
        let live = try recycled(bench, seed: 43)
        let replay = try bench.replay()
        let spare = try #require(try bench.folder.listing().first { $0 == ".spare" })
        try bench.folder.directory.rename(
            spare, to: bench.folder.directory, Committer.name(replay.lastSegment + 1))
        #expect(Set(try bench.replay().live.keys) == live)
    }
    /// Found by the crash states: a rename that the power cut in two left the spare's name on the segment that counts;
    /// the next start wiped its header before there was another.
    @Test func aSpareThatIsTheSegmentItselfIsNoSpare() throws {
        let bench = try JournalBench()
        let live = try recycled(bench, seed: 45)
        let newest = Committer.name(try bench.replay().lastSegment)
        let current = try bench.folder.directory.status(newest).inode
        try bench.folder.directory.removeIfPresent(".spare")
        #expect(Glibc.link("\(bench.folder.path)/\(newest)", "\(bench.folder.path)/.spare") == 0)
        let journal = try bench.open(segmentBytes: 32_768)
        let next = try bench.folder.directory.status(Committer.name(try bench.replay().lastSegment)).inode
        #expect(next != current, "the segment was overwritten before the next one was whole")
        journal.close()
        #expect(Set(try bench.replay().live.keys) == live)
    }
    @Test(arguments: ["fdatasync:3:5", "pwrite:6:28", "fdatasync:1:5"])
    func aFailedWriteHaltsAndPromisesNothing(fault: String) async throws {
        let bench = try JournalBench()
        let path = bench.folder.path
        await #expect(processExitsWith: .exitCode(74)) { [path = path as String, fault = fault as String] in
            setenv("BOBBIN_FAULT", fault, 1)
            let directory = try Directory.open(path)
            let promised = Counter()
            guard
                let journal = try? Journal(
                    directory, replay: Replay(), segmentBytes: 16_384, salt: { 5 }, settle: {},
                    halt: { _ in
                        // Each run that was promised must be there.
                        let found = (try? Replay.read(directory).live.count) ?? -1
                        _exit(found >= promised.count ? 74 : 1)
                    })
            else { _exit(74) }
            var events = RandomEvents(seed: 44)
            for _ in 0..<50 {
                let id = events.id()
                journal.waitUntilDurable(journal.append(.accepted(events.acceptance(id)), of: id))
                promised.increment()
            }
            _exit(2)
        }
    }
    @Test func aReaderBesideAWriterNeverSeesDamage() throws {
        let bench = try JournalBench()
        let journal = try bench.open(segmentBytes: 16_384)
        var events = RandomEvents(seed: 45)
        let kept = events.id()
        journal.waitUntilDurable(journal.append(.accepted(events.acceptance(kept)), of: kept))
        let done = Monitor(false)
        let writer = try BlockingThread.start("writer") {
            var events = RandomEvents(seed: 46)
            for _ in 0..<600 {
                let id = events.id()
                journal.append(.accepted(events.acceptance(id)), of: id)
                journal.waitUntilDurable(journal.append(.retired, of: id))
            }
            done.broadcast { $0 = true }
        }
        var damaged = 0, blind = 0, looks = 0
        while !done.with({ $0 }) {
            looks += 1
            do { if try bench.replay().live[kept] == nil { blind += 1 } } catch { damaged += 1 }
        }
        writer.join()
        journal.close()
        #expect(damaged == 0 && blind == 0, "\(damaged) damaged, \(blind) blind of \(looks)")
        #expect(try bench.replay().live[kept] != nil)
    }
}
