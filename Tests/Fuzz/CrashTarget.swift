// What this is: power cuts on recorded lives of a journal: an input chooses one disk that a cut could have left.
// Owns: the model of the disk for one directory: pages of 4 KiB at any version since their last sync, torn at 512 bytes;
//   entries in order, in any subset, or with both names of a rename (ops/torture.d/crashstates.py says why).
// Never: believes the journal about itself: what must be found is computed by ModelJournal from the same seed.
// On failure: must() traps; the input repeats it with the same traces.
// $FUZZ_TRACES holds one directory for each seed, made by ops/fuzz with the target `life`: seed/trace, seed/journal.
import Glibc
import JobModel
import LinuxSystem
import RunJournal
import TestKit

/// The script of one seed: what is appended in which life, and what is waited for.
struct Script {
    static let lives = 3
    var events: [(run: RunID, event: RunEvent, isAwaited: Bool)] = []
    let segmentBytes: Int

    init(seed: UInt64, life: Int) {
        var random = RandomEvents(seed: seed)
        segmentBytes = random.random.pick([8192, 16_384, 32_768])
        var ids: [RunID] = []
        for _ in 1...life {
            events.removeAll()
            for _ in 0..<60 {
                var id = ids.randomElement(using: &random.random) ?? random.id()
                var event = random.middle()
                if ids.isEmpty || random.random.chance(3) {
                    id = random.id()
                    ids.append(id)
                    event = .accepted(random.acceptance(id))
                } else if random.random.chance(3) {
                    event = .retired
                }
                if case .retired = event { ids.removeAll { $0 == id } }
                events.append((id, event, random.random.chance(4)))
            }
        }
        // A kill takes what is not written; a script knows what was.
        events[events.count - 1].isAwaited = true
    }
}

/// One life of a journal, recorded ($BOBBIN_TRACE): what it has promised stands in `promises`, as a count of events.
enum LifeTarget {
    @Sendable static func run(_: [UInt8]) {
        guard let place = Host.environment("FUZZ_PLACE"),
            let seed = Host.environment("FUZZ_SEED").flatMap({ UInt64($0) }),
            let life = Host.environment("FUZZ_LIFE").flatMap({ Int($0) })
        else { fatalError("FUZZ_PLACE, FUZZ_SEED and FUZZ_LIFE say what to live") }
        do {
            let directory = try Directory.open(place), script = Script(seed: seed, life: life)
            let journal = try Journal(
                directory, replay: Replay.read(directory), segmentBytes: script.segmentBytes,
                salt: { Clocks.randomBits().1 }, settle: { try directory.syncFileSystem() },
                halt: { fatalError("\($0)") })
            let promises = try directory.openForAppending("promises")
            let before = (life - 1) * script.events.count
            for (number, step) in script.events.enumerated() {
                let sequence = journal.append(step.event, of: step.run)
                guard step.isAwaited else { continue }
                journal.waitUntilDurable(sequence)
                try promises.append(Array("\(before + number + 1)\n".utf8))
            }
            // The even lives end well, the odd ones by what is like a kill.
            if life % 2 == 0 { journal.close() }
            _exit(0)
        } catch { fatalError("\(error)") }
    }
}

/// A recorded seed.
private struct Trace {
    /// Files by numbers of our own: the disk gives the number of an inode that is gone to the next file.
    enum Change {
        case create(String, file: Int)
        case rename(String, String, file: Int)
        case remove(String, file: Int)
        case write(file: Int, at: Int, [UInt8])
        case truncate(file: Int, Int)
        case sync(file: Int)
        case syncDirectory
        case syncAll
    }
    var changes: [Change] = []
    /// Change index and the count of events that it promised.
    var promises: [(change: Int, count: Int)] = []
    /// After which counts of events this is what is live.
    var known: [[RunID: RunRecord]: [Int]] = [:]
    var events = 0

    init(seed: UInt64, path: String) throws {
        let text = String(
            decoding: try OpenFile.open(path + "/trace").read(upTo: 64 << 20), as: UTF8.self)
        let directory = String(try FileStatus.of(path + "/journal").inode)
        var files: [String: Int] = [:], names: [String: Int] = [:], made = 0
        var promising: Int?
        for line in text.split(separator: "\n") {
            let words = line.split(separator: "\t").map(String.init)
            switch words[0] {
            case "create":
                let name = Trace.name(words[2])
                made += 1
                (files[words[3]], names[name]) = (made, made)
                if name == "promises" { promising = made } else { changes.append(.create(name, file: made)) }
            case "rename":
                let old = Trace.name(words[2]), new = Trace.name(words[4])
                guard let file = names.removeValue(forKey: old) else { fatalError("no \(old) to rename") }
                names[new] = file
                changes.append(.rename(old, new, file: file))
            case "remove":
                let name = Trace.name(words[2])
                if let file = names.removeValue(forKey: name) { changes.append(.remove(name, file: file)) }
            case "write":
                guard let file = files[words[1]] else { fatalError("nobody made inode \(words[1])") }
                let bytes = Trace.bytes(words[3])
                if file == promising {
                    let said = String(decoding: bytes, as: UTF8.self).dropLast()
                    promises.append((changes.count, Int(said) ?? 0))
                } else {
                    changes.append(.write(file: file, at: Int(words[2]) ?? 0, bytes))
                }
            case "truncate":
                if let file = files[words[1]] { changes.append(.truncate(file: file, Int(words[2]) ?? 0)) }
            case "sync" where words[1] == directory: changes.append(.syncDirectory)
            case "sync": if let file = files[words[1]] { changes.append(.sync(file: file)) }
            case "syncall": changes.append(.syncAll)
            default: break
            }
        }
        var model = ModelJournal()
        known[model.live] = [0]
        for life in 1...Script.lives {
            for step in Script(seed: seed, life: life).events {
                model.take(step.event, step.run)
                events += 1
                known[model.live, default: []].append(events)
            }
        }
    }
    private static func bytes(_ field: String) -> [UInt8] {
        if field.hasPrefix("z") { return [UInt8](repeating: 0, count: Int(field.dropFirst()) ?? 0) }
        if field == "-" { return [] }
        var bytes: [UInt8] = [], digits = field.utf8.makeIterator()
        while let high = digits.next(), let low = digits.next() {
            bytes.append(value(high) << 4 | value(low))
        }
        return bytes
    }
    private static func value(_ digit: UInt8) -> UInt8 { digit < 0x3A ? digit - 0x30 : digit - 0x57 }
    private static func name(_ field: String) -> String { String(decoding: bytes(field), as: UTF8.self) }
}

/// The choices of an input; behind its end they go on from what it said.
private struct Choices {
    private var bytes: ArraySlice<UInt8>
    private var rest: SeededRandom
    init(_ bytes: [UInt8]) {
        self.bytes = bytes[...]
        rest = SeededRandom(
            seed: bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 })
    }
    mutating func below(_ bound: Int) -> Int {
        guard bound > 1 else { return 0 }
        guard bytes.count >= 2, let low = bytes.popFirst(), let high = bytes.popFirst() else {
            return rest.below(bound)
        }
        return (Int(low) | Int(high) << 8) % bound
    }
    mutating func chance(_ hundredths: Int) -> Bool { below(100) < hundredths }
}

enum CrashTarget {
    private static let traces: [Trace] = {
        let place = Host.environment("FUZZ_TRACES") ?? ""
        do {
            let seeds = try Directory.open(place).names().compactMap { UInt64($0) }.sorted()
            return try seeds.map { try Trace(seed: $0, path: "\(place)/\($0)") }
        } catch { fatalError("FUZZ_TRACES \(place): \(error)") }
    }()
    /// A directory in memory, gone with the process.
    private static let place: Directory = {
        let path = "/dev/shm/bobbin-crash-\(getpid())"
        do {
            try Host.makeDirectories(path)
            return try Directory.open(path)
        } catch { fatalError("\(path): \(error)") }
    }()
    private static let prepared: Bool = {
        atexit { CrashTarget.tidy() }
        return true
    }()
    private static func tidy() {
        StandardError.write("stat::crash_states: \(count.count)\n")
        // A leftover in memory is gone with the next start of the machine.
        for name in (try? place.names()) ?? [] { try? place.removeIfPresent(name) }
        rmdir("/dev/shm/bobbin-crash-\(getpid())")
    }

    private static let count = Counter()
    /// The first disk is the input's; the others follow from it, since the fuzzer's own work costs more than a disk.
    private static let disks = 16

    @Sendable static func run(_ bytes: [UInt8]) {
        guard prepared, !traces.isEmpty else { fatalError("no traces") }
        var choices = Choices(bytes)
        for _ in 0..<disks { one(&choices) }
    }

    private static func one(_ choices: inout Choices) {
        let trace = traces[choices.below(traces.count)]
        let cut = choices.below(trace.changes.count + 1)
        let promised = trace.promises.last { $0.change <= cut }?.count ?? 0
        // What is appended after the next promise was not even thought of at the cut.
        let possible = trace.promises.first { $0.change > cut }?.count ?? trace.events
        do {
            try build(trace, cut, &choices)
            let replay = try Replay.read(place)
            judge(replay.live, trace, promised, possible)
            _ = count.increment()
            // Now and then a whole start, which must find the same and leave the same.
            guard choices.chance(1) else { return }
            let journal = try Journal(
                place, replay: replay, segmentBytes: 8192, salt: { Clocks.randomBits().1 }, settle: {},
                halt: { fatalError("\($0)") })
            journal.close()
            must(try Replay.read(place).live == replay.live, "a start changed what is known")
        } catch { must(false, "cut \(cut) of \(trace.changes.count): \(error)") }
    }

    private static func judge(_ live: [RunID: RunRecord], _ trace: Trace, _ promised: Int, _ possible: Int) {
        guard let counts = trace.known[live] else {
            return must(false, "what is read was never so: \(live.count) runs")
        }
        must(
            promised <= possible && counts.contains { (promised...possible).contains($0) },
            "\(promised) to \(possible) events could be read, it is as after \(counts)")
    }

    // MARK: the disk

    private static func build(_ trace: Trace, _ cut: Int, _ choices: inout Choices) throws {
        var entries: [String: Int] = [:]
        let mode = choices.below(3), share = [0, 10, 50, 90, 100][choices.below(5)]
        var covered = -1, changed: [Int] = []
        for (index, change) in trace.changes[..<cut].enumerated() {
            switch change {
            case .create, .rename, .remove: changed.append(index)
            case .syncAll, .syncDirectory: covered = index
            case .write, .truncate, .sync: break
            }
        }
        let free = changed.filter { $0 > covered }
        // A journal of the file system keeps the order; without one, any of them may be missing.
        let kept =
            mode == 0
            ? Set(free.prefix(choices.below(free.count + 1)))
            : Set(free.filter { _ in choices.chance(share) })
        for index in changed where index <= covered || kept.contains(index) {
            switch trace.changes[index] {
            case .create(let name, let file): entries[name] = file
            case .rename(let old, let new, let file):
                let leavesBoth = mode == 2 && index > covered && choices.chance(50)
                if !leavesBoth, entries[old] == file { entries[old] = nil }
                entries[new] = file
            case .remove(let name, let file): if entries[name] == file { entries[name] = nil }
            default: break
            }
        }
        for name in try place.names() { try place.remove(name) }
        var made: [Int: String] = [:]
        for (name, file) in entries.sorted(by: { $0.key < $1.key }) {
            if let first = made[file] {
                _ = link("\(place.path)/\(first)", "\(place.path)/\(name)")
                continue
            }
            made[file] = name
            try place.create(name, mode: 0o600).append(content(trace, file, cut, &choices))
        }
    }

    /// One content that the cut can leave of this file.
    private static func content(
        _ trace: Trace, _ file: Int, _ cut: Int, _ choices: inout Choices
    ) -> [UInt8] {
        // From its last sync on every version counts; before, only the outcome.
        var synced = 0
        for (index, change) in trace.changes[..<cut].enumerated() {
            switch change {
            case .sync(let one) where one == file: synced = index
            case .syncAll: synced = index
            default: break
            }
        }
        var history: [[UInt8]] = [], current: [UInt8] = []
        for (index, change) in trace.changes[..<cut].enumerated() {
            switch change {
            case .write(let one, let offset, let bytes) where one == file:
                if index > synced { history.append(current) }
                if current.count < offset + bytes.count {
                    current += [UInt8](repeating: 0, count: offset + bytes.count - current.count)
                }
                current.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            case .truncate(let one, let length) where one == file:
                if index > synced { history.append(current) }
                current =
                    current.prefix(length) + [UInt8](repeating: 0, count: max(0, length - current.count))
            default: break
            }
        }
        history.append(current)
        let last = history.count - 1
        if last == 0 { return current }
        let style = choices.below(10)
        if style < 3 { return history[last] }
        if style < 5 { return history[choices.below(last + 1)] }
        let page = 4096
        var out = [UInt8](repeating: 0, count: history[choices.below(last + 1)].count)
        for start in stride(from: 0, to: out.count, by: page) {
            let one = history[choices.below(last + 1)]
            let other = choices.chance(20) ? history[choices.below(last + 1)] : one
            let tear = 512 * (1 + choices.below(7))
            let end = min(start + page, out.count), middle = min(start + tear, end)
            fill(&out, start..<middle, from: one)
            fill(&out, middle..<end, from: other)
        }
        return out
    }
    private static func fill(_ out: inout [UInt8], _ range: Range<Int>, from source: [UInt8]) {
        let there = range.clamped(to: 0..<source.count)
        if !there.isEmpty { out.replaceSubrange(there, with: source[there]) }
    }
}
