// What this is: a journal read back after everything that can happen to its bytes.
// Owns: torn is told from damaged, and no damage ever gives a record that was not written.
// Never: traps; that is what is tested.
// On failure: bit, length or page is in the message.
// The segment under test is a real one, written by a Journal.
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import RunJournal

/// A segment of twelve events, and the live runs after each prefix of them.
private struct Subject {
    var bytes: [UInt8]
    /// Ends of the records, and what is live after each.
    var states: [[RunID: RunRecord]] = [[:]]
    var ends = [SegmentHeader.size]
    let salt: UInt64 = 0x1234_5678_9ABC_DEF1

    init(seed: UInt64, records: Int = 12) {
        var events = RandomEvents(seed: seed)
        bytes = SegmentHeader(number: 1, firstSequence: 1, salt: salt, carried: 0).bytes
        var model = ModelJournal()
        let ids = [events.id(), events.id()]
        for sequence in 1...records {
            let id = ids[sequence % 2]
            var event: RunEvent = sequence <= 2 ? .accepted(events.acceptance(id)) : events.middle()
            if case .retired = event { event = .resumed(at: Timestamp(seconds: 1)) }
            let (kind, payload) = EventCoding.encode(event, of: id)
            // As if each had been synced before the next was written.
            Frame.write(
                kind: kind, sequence: UInt64(sequence), durable: UInt64(sequence - 1), payload: payload,
                salt: salt,
                into: &bytes)
            model.take(event, id)
            states.append(model.live)
            ends.append(bytes.count)
        }
        bytes += [UInt8](repeating: 0, count: 200)
    }
    /// What is read of these bytes; nil for damage.
    func read(_ bytes: [UInt8]) -> Replay? {
        var replay = Replay()
        do throws(JournalDamage) {
            // False: never complete, and nobody was told of anything in it.
            _ = try replay.take(bytes, name: "000000000001.seg", isOnly: true)
        } catch { return nil }
        return replay
    }
}

@Suite struct ReplayTests {
    @Test func everySingleBitFlipIsSeenOrHarmless() throws {
        let subject = Subject(seed: 3)
        let whole = try #require(subject.read(subject.bytes))
        #expect(whole.live == subject.states.last && whole.tornBytes == 0 && whole.records == 12)
        var undetected = 0, damaged = 0, torn = 0
        for bit in (SegmentHeader.size * 8)..<(subject.bytes.count * 8) {
            var bytes = subject.bytes
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            guard let replay = subject.read(bytes) else { damaged += 1; continue }
            // Never a wrong record: what was read is a prefix of what was written.
            guard replay.records < subject.states.count, replay.live == subject.states[replay.records] else {
                Issue.record("bit \(bit) gave a record that was never written")
                continue
            }
            if replay.records == 12 { undetected += 1 } else { torn += 1 }
            // Only the last record can be torn: whole ones behind the place prove damage.
            if replay.records < 11 {
                Issue.record("bit \(bit) lost \(12 - replay.records) records in silence")
            }
        }
        let last = subject.ends[12] - subject.ends[11]
        #expect(torn <= last * 8 && damaged > 11 * 20 * 8)
        // Padding and the zeros behind the records carry nothing.
        #expect(undetected <= (12 * 7 + 200) * 8)
    }
    @Test func aFlipInTheHeaderIsDamage() throws {
        let subject = Subject(seed: 4)
        let silent = (0..<(48 * 8)).filter { bit in
            var bytes = subject.bytes
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            return subject.read(bytes) != nil
        }
        #expect(silent.isEmpty, "bits that give no damage and no runs")
    }
    @Test func everyTruncationIsAPrefix() throws {
        let subject = Subject(seed: 5)
        for length in SegmentHeader.size...subject.bytes.count {
            let replay = try #require(subject.read(Array(subject.bytes[..<length])), "\(length)")
            let wanted = subject.ends.lastIndex { $0 <= length } ?? 0
            // A record may be whole without the padding behind it.
            #expect(replay.records == wanted || replay.records == wanted + 1, "\(length)")
            #expect(replay.live == subject.states[replay.records], "\(length)")
        }
    }
    @Test func aTornLastRecordIsCounted() throws {
        let subject = Subject(seed: 6)
        let cut = subject.ends[11] + 9
        let replay = try #require(
            subject.read(Array(subject.bytes[..<cut]) + [UInt8](repeating: 0, count: 500)))
        #expect(replay.records == 11 && replay.tornBytes > 0)
    }
    @Test func damageInTheMiddleIsDamage() throws {
        let subject = Subject(seed: 7)
        for number in 1...11 {
            var bytes = subject.bytes
            for index in subject.ends[number - 1]..<subject.ends[number] { bytes[index] = 0 }
            var replay = Replay()
            do throws(JournalDamage) {
                _ = try replay.take(bytes, name: "000000000001.seg", isOnly: true)
                Issue.record("record \(number) was skipped")
            } catch {
                #expect(error.segment == "000000000001.seg" && error.offset == subject.ends[number - 1])
            }
        }
    }
    @Test func aHoleInWhatWasNeverSyncedIsTorn() throws {
        // Between two syncs the disk may keep a later page and lose an earlier one. Nobody was told of either.
        let folder = try Folder()
        var events = RandomEvents(seed: 8)
        var committer = Committer(directory: folder.directory, segmentBytes: 65_536, salt: { 99 }, settle: {})
        try committer.rotate(carrying: [])
        let ids = (0..<40).map { _ in events.id() }
        let records = ids.map { EventCoding.encode(.accepted(events.acceptance($0)), of: $0) }
        try committer.write(records, sync: false)
        let name = try #require(try folder.listing().first { $0.hasSuffix(".seg") })
        let file = try folder.directory.openForUpdate(name)
        try file.write([UInt8](repeating: 0, count: 4096), at: 4096)
        let replay = try Replay.read(folder.directory)
        #expect(replay.live.count < 40)
    }
    /// Synced and unsynced batches in turn; then the power goes and each page that no sync covered is there or not.
    @Test(arguments: 0..<60) func aPowerCutTakesOnlyWhatWasNotSynced(seed: UInt64) throws {
        let folder = try Folder()
        var events = RandomEvents(seed: seed), random = SeededRandom(seed: seed)
        var committer = Committer(
            directory: folder.directory, segmentBytes: 262_144, salt: { 99 }, settle: {})
        try committer.rotate(carrying: [])
        let name = try #require(try folder.listing().first { $0.hasSuffix(".seg") })
        let file = try folder.directory.openForUpdate(name)
        var written: [RunID] = [], synced = 0
        var kept = try file.read(upTo: 262_144)
        for _ in 0..<(1 + random.below(12)) {
            let ids = (0..<(1 + random.below(20))).map { _ in events.id() }
            let sync = random.below(3) == 0
            try committer.write(
                ids.map { EventCoding.encode(.accepted(events.acceptance($0)), of: $0) }, sync: sync)
            written += ids
            guard sync else { continue }
            synced = written.count
            kept = try file.read(upTo: 262_144)
        }
        let whole = try file.read(upTo: 262_144)
        for page in stride(from: 0, to: whole.count, by: 4096) where random.below(2) == 0 {
            let end = min(page + 4096, whole.count)
            try file.write(Array(kept[page..<end]), at: page)
        }
        let replay = try Replay.read(folder.directory)
        #expect(replay.records >= synced, "\(synced) were promised")
        #expect(Set(replay.live.keys) == Set(written.prefix(replay.records)), "a prefix of what was written")
    }
    @Test func whatASyncHadCoveredIsNotTorn() throws {
        let folder = try Folder()
        var events = RandomEvents(seed: 9)
        var committer = Committer(directory: folder.directory, segmentBytes: 65_536, salt: { 99 }, settle: {})
        try committer.rotate(carrying: [])
        for _ in 0..<40 {
            let id = events.id()
            try committer.write([EventCoding.encode(.accepted(events.acceptance(id)), of: id)], sync: true)
        }
        let name = try #require(try folder.listing().first { $0.hasSuffix(".seg") })
        let file = try folder.directory.openForUpdate(name)
        try file.write([UInt8](repeating: 0, count: 4096), at: 4096)
        #expect(throws: JournalDamage.self) { try Replay.read(folder.directory) }
    }
    @Test func noiseIsNeverARun() throws {
        var random = SeededRandom(seed: 10)
        for round in 0..<200 {
            let subject = Subject(seed: 11, records: 2)
            var bytes = subject.bytes
            for _ in 0..<random.below(40) {
                bytes[SegmentHeader.size + random.below(bytes.count - SegmentHeader.size)] = UInt8(
                    random.below(256))
            }
            if let replay = subject.read(bytes) {
                #expect(subject.states.contains(replay.live), "round \(round)")
            }
            let noise = (0..<random.below(400)).map { _ in UInt8(random.below(256)) }
            if let replay = subject.read(noise) { #expect(replay.live.isEmpty, "round \(round)") }
        }
    }
    /// Found by a soak: each small number in the old bytes of a recycled file was taken for the length of a record, and
    /// megabytes were summed up for it; a start took minutes. This test would, too.
    @Test func oldBytesFullOfPlausibleLengthsAreReadOnce() throws {
        let subject = Subject(seed: 12, records: 5)
        var old: [UInt8] = []
        while old.count < 1 << 20 {
            old.append(littleEndian: UInt32(max(64, (1 << 20) - old.count - 64)))
            old += Array("text".utf8)
        }
        let end = subject.bytes.count / 8 * 8
        let replay = try #require(subject.read(subject.bytes[..<end] + old))
        #expect(subject.states.contains(replay.live))
    }
    @Test func aNewerFormatIsRefusedByName() throws {
        var bytes = SegmentHeader(number: 1, firstSequence: 1, salt: 5, carried: 0).bytes
        var frame: [UInt8] = []
        Frame.write(kind: 9, sequence: 1, durable: 0, payload: [1, 2, 3], salt: 5, into: &frame)
        frame[5] = EventCoding.version + 1
        let end = Frame.header + 3
        let crc = frame[..<end].withUnsafeBytes { Checksum.crc32c($0, seed: 5) }
        withUnsafeBytes(of: crc.littleEndian) {
            for (index, byte) in $0.enumerated() { frame[end + index] = byte }
        }
        bytes += frame
        var replay = Replay()
        let damage = #expect(throws: JournalDamage.self) {
            try replay.take(bytes, name: "000000000001.seg", isOnly: true)
        }
        #expect(damage?.message.contains("newer") == true)
    }
    @Test func aWholeRecordThatMakesNoSenseIsDamage() throws {
        for (kind, payload) in [
            (UInt8(4), [UInt8](repeating: 1, count: 8)), (11, [1]), (9, [1, 2]), (254, [0]),
        ] {
            var bytes = SegmentHeader(number: 1, firstSequence: 1, salt: 5, carried: 0).bytes
            Frame.write(kind: kind, sequence: 1, durable: 0, payload: payload, salt: 5, into: &bytes)
            var replay = Replay()
            #expect(throws: JournalDamage.self, "kind \(kind)") {
                try replay.take(bytes, name: "000000000001.seg", isOnly: true)
            }
        }
    }
    @Test func theNewestCompleteSegmentCounts() throws {
        let bench = try JournalBench()
        var events = RandomEvents(seed: 12)
        let ids = [events.id(), events.id(), events.id()]
        /// A segment that promises `promised` carried runs and holds those of `held`.
        func segment(_ number: UInt64, promised: Int, held: ArraySlice<RunID>) throws {
            let first = number * 100
            var bytes = SegmentHeader(number: number, firstSequence: first, salt: number, carried: promised)
                .bytes
            for (index, id) in held.enumerated() {
                let (kind, payload) = EventCoding.encode(.carried(RunRecord(events.acceptance(id))), of: id)
                Frame.write(
                    kind: kind, sequence: first + UInt64(index), durable: 0, payload: payload, salt: number,
                    into: &bytes)
            }
            try bench.put(Committer.name(number), bytes + [UInt8](repeating: 0, count: 100))
        }
        try segment(1, promised: 3, held: ids[0..<3])
        for (promised, held, wanted) in [(3, 2, 3), (2, 2, 2), (1, 0, 3), (0, 0, 0)] {
            try segment(2, promised: promised, held: ids[0..<held])
            let replay = try bench.replay()
            #expect(replay.live.count == wanted, "\(held) of \(promised)")
            #expect(
                replay.lastSegment == 2 && replay.segments.count == 2,
                "the next one is the third all the same")
        }
        try bench.folder.directory.remove(Committer.name(1))
        try segment(2, promised: 3, held: ids[0..<2])
        #expect(throws: JournalDamage.self, "the only one, and not whole") { try bench.replay() }
        try bench.put(Committer.name(2), [UInt8](repeating: 7, count: 500))
        #expect(throws: JournalDamage.self) { try bench.replay() }
        try bench.put(Committer.name(1), [UInt8](repeating: 0, count: 500))
        #expect(throws: JournalDamage.self, "two, and neither is whole") { try bench.replay() }
    }
    @Test func aSegmentUnderAnotherNameIsNotItself() throws {
        let subject = Subject(seed: 13)
        var replay = Replay()
        #expect(try !replay.take(subject.bytes, name: "000000000002.seg", isOnly: false))
        #expect(throws: JournalDamage.self) {
            try replay.take(subject.bytes, name: "000000000002.seg", isOnly: true)
        }
        #expect(replay.live.isEmpty)
    }
    @Test func anEmptyDirectoryIsAnEmptyJournal() throws {
        let bench = try JournalBench()
        #expect(try bench.replay().live.isEmpty)
        try bench.put(Committer.name(1), [UInt8](repeating: 0, count: 4096))
        let replay = try bench.replay()
        #expect(replay.live.isEmpty && replay.lastSegment == 1, "the very first opening was cut off")
    }
}
