// What this is: a time zone: which offset from UTC holds when, read from the bytes of a TZif file.
// Owns: the file format (RFC 9636) and the stretches of time between two changes of the clock.
// Never: opens a file (ZoneFiles does), reads a clock, knows what a schedule is.
// On failure: bytes that are no TZif file give nil.
import JobModel

public struct Zone: Hashable, Sendable {
    /// As it was asked for: `Europe/Berlin`.
    public let name: String

    /// A stretch of time in which the clock is not changed.
    public struct Stretch: Hashable, Sendable {
        /// Seconds since 1970; `.min` where the zone's first stretch begins.
        public var start: Int64
        /// The first second of the next one; `.max` for the last.
        public var end: Int64
        /// Seconds east of UTC.
        public var offset: Int64
        /// What held before; the same as `offset` for the first one.
        public var before: Int64
        /// What people call it: CET, CEST, `+1245`.
        public var abbreviation: String
    }

    private struct Kind: Hashable, Sendable {
        var offset: Int64
        var abbreviation: String
    }
    /// Rising; from `changes[i]` on `kinds[i]` holds. Neighbours differ in offset.
    private let changes: [Int64]
    private let kinds: [Kind]
    private let first: Kind
    /// What holds after the last change of the table, year by year.
    private let rule: ZoneRule?

    public static let utc = Zone(name: "UTC", offset: 0, abbreviation: "UTC")
    public init(name: String, offset: Int64, abbreviation: String) {
        self.name = name
        changes = []
        kinds = []
        first = Kind(offset: offset, abbreviation: abbreviation)
        rule = nil
    }

    /// A zone that is a rule alone, as POSIX writes it in TZ: `CET-1CEST,M3.5.0,M10.5.0/3`.
    public init?(rule text: String) {
        guard let rule = ZoneRule(text) else { return nil }
        name = text
        changes = []
        kinds = []
        first = Kind(offset: rule.standard.offset, abbreviation: rule.standard.abbreviation)
        self.rule = rule
    }

    public init?(tzif bytes: [UInt8], name: String) {
        var reader = TZifReader(bytes)
        guard let header = reader.header() else { return nil }
        // The first block has times of 32 bits; from version 2 on a second one has the same in 64, and a rule behind it.
        guard header.version >= 2 else {
            guard let block = reader.block(header, width: 4) else { return nil }
            self.init(name: name, block: block, footer: "")
            return
        }
        reader.skip(header, width: 4)
        guard let second = reader.header(), let block = reader.block(second, width: 8) else { return nil }
        self.init(name: name, block: block, footer: reader.footer())
    }

    private init?(name: String, block: TZifReader.Block, footer: String) {
        guard !block.kinds.isEmpty, block.indices.allSatisfy({ $0 < block.kinds.count }) else { return nil }
        let all = block.kinds.map { Kind(offset: $0.offset, abbreviation: $0.abbreviation) }
        self.name = name
        first = all[0]
        var changes: [Int64] = [], kinds: [Kind] = []
        var last = all[0]
        for (time, index) in zip(block.times, block.indices) {
            // A change of the name alone changes no clock; times that do not rise are not a TZif file's.
            if let known = changes.last, time <= known { return nil }
            if all[index].offset != last.offset {
                changes.append(time)
                kinds.append(all[index])
            } else if !kinds.isEmpty {
                kinds[kinds.count - 1] = all[index]
            }
            last = all[index]
        }
        self.changes = changes
        self.kinds = kinds
        rule = footer.isEmpty ? nil : ZoneRule(footer)
        if !footer.isEmpty, rule == nil { return nil }
    }

    /// The stretch that holds at an instant (seconds since 1970).
    public func stretch(at instant: Int64) -> Stretch {
        if let last = changes.last, instant < last { return tableStretch(at: instant) }
        guard let rule, rule.summer != nil else {
            guard let last = changes.last, let kind = kinds.last else { return only }
            return Stretch(
                start: last, end: .max, offset: kind.offset, before: offset(before: changes.count - 1),
                abbreviation: kind.abbreviation)
        }
        return ruleStretch(at: instant, rule)
    }
    public func offset(at instant: Int64) -> Int64 { stretch(at: instant).offset }

    private var only: Stretch {
        Stretch(
            start: .min, end: .max, offset: first.offset, before: first.offset,
            abbreviation: first.abbreviation)
    }
    private func offset(before index: Int) -> Int64 { index > 0 ? kinds[index - 1].offset : first.offset }

    private func tableStretch(at instant: Int64) -> Stretch {
        // The number of changes at or before the instant.
        var low = 0, high = changes.count
        while low < high {
            let middle = (low + high) / 2
            if changes[middle] <= instant { low = middle + 1 } else { high = middle }
        }
        let end = low < changes.count ? changes[low] : .max
        guard low > 0 else {
            return Stretch(
                start: .min, end: end, offset: first.offset, before: first.offset,
                abbreviation: first.abbreviation)
        }
        let kind = kinds[low - 1]
        return Stretch(
            start: changes[low - 1], end: end, offset: kind.offset, before: offset(before: low - 1),
            abbreviation: kind.abbreviation)
    }

    private func ruleStretch(at instant: Int64, _ rule: ZoneRule) -> Stretch {
        let year = Timestamp.civilDate(
            daysSince1970: Timestamp.floorDivide(instant, 86_400).quotient
        ).year
        // In a year that begins in summer time the last change is the one of the year before.
        let table = changes.last ?? .min
        var offset = kinds.last?.offset ?? first.offset
        var found = Stretch(
            start: table, end: .max, offset: offset,
            before: changes.isEmpty ? offset : self.offset(before: changes.count - 1),
            abbreviation: kinds.last?.abbreviation ?? first.abbreviation)
        let near = (year - 1...year + 2).flatMap(rule.changes).filter { $0.at > table }
        // What holds before the first of them: the rule says it, unless the table's last change is nearer.
        if let earliest = near.first, earliest.at <= instant || table == .min {
            offset = earliest.before.offset
            found.offset = offset
            found.abbreviation = earliest.before.abbreviation
        }
        for change in near {
            guard change.at <= instant else {
                found.end = change.at
                break
            }
            if change.kind.offset == offset { continue }
            found = Stretch(
                start: change.at, end: .max, offset: change.kind.offset, before: offset,
                abbreviation: change.kind.abbreviation)
            offset = change.kind.offset
        }
        return found
    }
}

/// One pass over the bytes of a TZif file.
private struct TZifReader {
    struct Header {
        var version: UInt8
        var utcCount, standardCount, leapCount, timeCount, kindCount, letterCount: Int
    }
    struct Block {
        var times: [Int64]
        var indices: [Int]
        var kinds: [(offset: Int64, abbreviation: String)]
    }
    private let bytes: [UInt8]
    private var place = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, bytes.count - place >= count else { return nil }
        defer { place += count }
        return bytes[place..<place + count]
    }
    private mutating func number(_ width: Int) -> Int64? {
        guard let part = take(width) else { return nil }
        let raw = part.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return width == 4 ? Int64(Int32(truncatingIfNeeded: raw)) : Int64(bitPattern: raw)
    }

    mutating func header() -> Header? {
        guard let magic = take(4), Array(magic) == Array("TZif".utf8), let version = take(1)?.first,
            take(15) != nil
        else { return nil }
        var counts: [Int] = []
        for _ in 0..<6 {
            guard let count = number(4), (0...100_000).contains(count) else { return nil }
            counts.append(Int(count))
        }
        return Header(
            version: version == 0 ? 1 : version &- 0x30, utcCount: counts[0], standardCount: counts[1],
            leapCount: counts[2], timeCount: counts[3], kindCount: counts[4], letterCount: counts[5])
    }
    mutating func skip(_ header: Header, width: Int) {
        place +=
            header.timeCount * (width + 1) + header.kindCount * 6 + header.letterCount
            + header.leapCount * (width + 4) + header.standardCount + header.utcCount
    }
    mutating func block(_ header: Header, width: Int) -> Block? {
        // A file that counts leap seconds (the `right/` zones) counts another time than the machine does.
        guard header.leapCount == 0 else { return nil }
        var block = Block(times: [], indices: [], kinds: [])
        for _ in 0..<header.timeCount {
            guard let time = number(width) else { return nil }
            block.times.append(time)
        }
        guard let indices = take(header.timeCount) else { return nil }
        block.indices = indices.map(Int.init)
        var raw: [(offset: Int64, letter: Int)] = []
        for _ in 0..<header.kindCount {
            guard let offset = number(4), let rest = take(2), abs(offset) < 100_000 else { return nil }
            raw.append((offset, Int(rest.last ?? 0)))
        }
        guard let letters = take(header.letterCount).map(Array.init) else { return nil }
        for kind in raw {
            guard kind.letter < letters.count else { return nil }
            let name = letters[kind.letter...].prefix { $0 != 0 }
            block.kinds.append((kind.offset, String(decoding: name, as: UTF8.self)))
        }
        place += header.standardCount + header.utcCount
        return block
    }
    func footer() -> String {
        guard place < bytes.count, bytes[place] == 0x0A else { return "" }
        return String(decoding: bytes[(place + 1)...].prefix { $0 != 0x0A }, as: UTF8.self)
    }
}
