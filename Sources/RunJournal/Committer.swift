// What this is: the writing half of the journal, used by one thread at a time: segments, frames, syncs.
// Owns: the open segment file, its fill, record sequence numbers, the recycling of old segment files.
// Never: writes into a segment of a former life: each start and each rotation begins a new one.
// On failure: throws; the journal stops the process.
import JobModel
import LinuxSystem

struct Committer {
    let directory: Directory
    let segmentBytes: Int
    let salt: @Sendable () -> UInt64
    /// Makes the renames of retired runs durable, so that segments which knew of them may go.
    let settle: @Sendable () throws -> Void
    var number: UInt64 = 0
    var sequence: UInt64 = 0
    /// The last record that a sync has covered.
    private var durable: UInt64 = 0
    /// Segments that are superseded once the current one is durable.
    var old: [String] = []
    private var file: OpenFile?
    private var capacity = 0
    private var fill = 0
    private var currentSalt: UInt64 = 0
    private var spare: String?

    init(
        directory: Directory, segmentBytes: Int, salt: @escaping @Sendable () -> UInt64,
        settle: @escaping @Sendable () throws -> Void
    ) {
        self.directory = directory
        self.segmentBytes = segmentBytes
        self.salt = salt
        self.settle = settle
    }

    /// Past three quarters: large batches still fit before the next rotation.
    var isFull: Bool { fill > capacity / 4 * 3 }

    mutating func write(_ records: [(kind: UInt8, payload: [UInt8])], sync: Bool) throws {
        if !records.isEmpty { try append(frames(records)) }
        if sync {
            try file?.syncData()
            durable = sequence
        }
    }

    private mutating func frames(_ records: [(kind: UInt8, payload: [UInt8])]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(records.reduce(0) { $0 + $1.payload.count + 32 })
        for record in records {
            sequence += 1
            Frame.write(
                kind: record.kind, sequence: sequence, durable: durable, payload: record.payload,
                salt: currentSalt,
                into: &bytes)
        }
        return bytes
    }
    private mutating func append(_ bytes: [UInt8]) throws {
        // Past the preallocated part the file simply grows: slower, never wrong.
        try file?.write(bytes, at: fill)
        fill += bytes.count
    }

    /// Opens the next segment with `records` in it, makes it durable, and retires the segments before it.
    mutating func rotate(carrying records: [RunRecord]) throws {
        let coded = records.map { EventCoding.encode(.carried($0), of: $0.id) }
        let needed = coded.reduce(0) { $0 + $1.payload.count + 64 }
        // First of all: once the next segment is whole, it counts alone, and knows nothing of runs that were retired.
        try settle()
        number += 1
        let name = Committer.name(number)
        currentSalt = salt()
        capacity = max(segmentBytes, needed * 4)
        let next = try openSegment(name)
        let header = SegmentHeader(
            number: number, firstSequence: sequence + 1, salt: currentSalt, carried: coded.count)
        try next.write(header.bytes, at: 0)
        file = next
        fill = SegmentHeader.size
        if !coded.isEmpty { try append(frames(coded)) }
        try next.sync()
        durable = sequence
        try directory.sync()
        try retire()
        old = [name]
    }

    /// A recycled file where there is one: overwriting allocated blocks is faster than growing and works on a full disk.
    private mutating func openSegment(_ name: String) throws -> OpenFile {
        if let spare, capacity == segmentBytes {
            self.spare = nil
            // The header of the former life goes before the name comes: a segment is itself or nothing.
            let file = try directory.openForUpdate(spare, mode: 0o600)
            try file.write([UInt8](repeating: 0, count: SegmentHeader.size), at: 0)
            try file.syncData()
            try directory.rename(spare, to: directory, name)
            return file
        }
        return try Committer.fill(try directory.create(name, mode: 0o600), capacity)
    }

    private static let spareName = ".spare"

    /// A spare of a former life is as good as a new one, unless a rename that a power cut split in two left its name on
    /// a segment: the one that counts would be wiped before there is another. `prepareSpare` makes a new one then.
    mutating func adoptSpare() throws {
        guard let found = try directory.statusIfPresent(Committer.spareName), found.size == segmentBytes
        else {
            return
        }
        for segment in old where try directory.statusIfPresent(segment)?.inode == found.inode { return }
        spare = Committer.spareName
    }
    /// From here on a rotation needs no room on the disk.
    mutating func prepareSpare() throws {
        guard spare == nil else { return }
        try directory.removeIfPresent(Committer.spareName)
        try Committer.fill(try directory.create(Committer.spareName, mode: 0o600), segmentBytes).syncData()
        spare = Committer.spareName
    }
    private static func fill(_ file: OpenFile, _ size: Int) throws -> OpenFile {
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        for start in stride(from: 0, to: size, by: zeros.count) {
            try file.write(start + zeros.count <= size ? zeros : Array(zeros.prefix(size - start)), at: start)
        }
        return file
    }

    private mutating func retire() throws {
        for name in old {
            let size = try directory.status(name).size
            if spare == nil, size >= segmentBytes {
                // One that was made larger for a run of great size gives back what is too much.
                if size > segmentBytes {
                    try directory.openForUpdate(name, mode: 0o600).truncate(to: segmentBytes)
                }
                try directory.removeIfPresent(Committer.spareName)
                try directory.rename(name, to: directory, Committer.spareName)
                spare = Committer.spareName
            } else {
                try directory.remove(name)
            }
        }
    }

    static func name(_ number: UInt64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 12 - digits.count)) + digits + ".seg"
    }
}
