// What this is: the first entry of a bundle, which says all that is in it.
// Owns: its text: a line of JSON (id, instant, spool, epoch, what was in flight …), then a line for each file, in the
//   archive's order: SHA-256, class, mode, size, time in nanoseconds, path with `%XX` for odd bytes; `=` before it for one
//   that is in the bundle on which this one stands, and not here.
// Never: trusts a text that it reads: each line must be one that it would have written.
// On failure: BundleProblem E-ARCH with the line.
import JobModel

/// What kind of a thing a file is: what is restored alone, and how often it is backed up.
public enum BundleClass: String, CaseIterable, Sendable {
    /// ops/ and templates/.
    case config
    /// secrets/, as the age files they are.
    case secrets
    /// Drops that wait, events, what control/ holds back.
    case work
    /// Runs in flight, and what runners and triggers remember.
    case journal
    /// done/, failed/, rejected/.
    case results
    /// What runs and runners said.
    case logs
    case approvals
    case audit
    case history
    case reports
    /// A drop that became a run while the bundle was made: the run is in it as well, and this is not brought back.
    case taken
}

public struct BundleManifest: Sendable {
    public static let name = "MANIFEST"
    /// 1: it stands alone; 2: on another.
    static let versions = 1...2
    /// No manifest of ours is longer; about five million files.
    static let longest = 1 << 30

    public struct Row: Hashable, Sendable {
        public var path: String
        public var kind: BundleClass
        public var mode: UInt32
        public var size: Int
        /// Nanoseconds since 1970.
        public var modified: Int64
        public var hash: ContentHash
        /// Its content is in the bundle on which this one stands.
        public var isInBase = false

        public init(
            path: String, kind: BundleClass, mode: UInt32, size: Int, modified: Int64, hash: ContentHash
        ) {
            self.path = path
            self.kind = kind
            self.mode = mode
            self.size = size
            self.modified = modified
            self.hash = hash
        }
    }
    /// The bundle on which this one stands.
    public struct Base: Hashable, Sendable {
        public var id: String
        /// As it was called; it lies beside this one.
        public var name: String
        public var takenAt: Timestamp
        /// Of its manifest: no other bundle will do.
        public var hash: ContentHash
        public init(id: String, name: String, takenAt: Timestamp, hash: ContentHash) {
            self.id = id
            self.name = name
            self.takenAt = takenAt
            self.hash = hash
        }
    }
    public struct Flight: Hashable, Sendable {
        public var run: String, job: String, state: String
        public init(run: String, job: String, state: String) {
            self.run = run
            self.job = job
            self.state = state
        }
    }

    public var id: String
    public var takenAt: Timestamp
    public var spool: String
    public var host: String
    /// How often this site was restored before.
    public var epoch: Int
    public var program: String
    public var inFlight: [Flight] = []
    /// Files that were not taken, and why.
    public var leftOut: [String: String] = [:]
    /// Of directories that are not for everybody to read (0755), by path.
    public var modes: [String: UInt32] = [:]
    public var rows: [Row] = []
    /// Nil: it stands alone.
    public var base: Base?
    /// What it was made of: all of them, or those that were chosen.
    public var classes = Set(BundleClass.allCases)
    /// For whom it is encrypted (`age1…`); nobody: it is not.
    public var recipients: [String] = []
    /// How many files and bytes its first line counts; of one that was read by that line alone all that is known.
    private var counted: (files: Int, bytes: Int)?
    public var fileCount: Int { counted?.files ?? rows.count }
    public var byteCount: Int { counted?.bytes ?? bytes }

    /// Who answers for it, as far as was asked; said of a bundle that was read, and not part of the text.
    public var proof = BundleProof.unsigned
    public var isEncrypted = false
    /// A site can be made of it, if it is what its first line says: a restore looks at the files as well.
    public var isWhole: Bool { classes.isSuperset(of: [.work, .journal, .config, .results]) }
    /// Of the text that was read.
    public internal(set) var textHash: ContentHash?

    public init(id: String, takenAt: Timestamp, spool: String, host: String, epoch: Int, program: String) {
        self.id = id
        self.takenAt = takenAt
        self.spool = spool
        self.host = host
        self.epoch = epoch
        self.program = program
    }

    /// Of all files, unpacked.
    public var bytes: Int {
        var sum = 0
        for row in rows {
            let (next, isTooMuch) = sum.addingReportingOverflow(row.size)
            if isTooMuch { return .max }
            sum = next
        }
        return sum
    }
    /// What is here, and not in the bundle on which it stands.
    public var own: [Row] { base == nil ? rows : rows.filter { !$0.isInBase } }
    public func count(_ kind: BundleClass) -> Int { rows.count { $0.kind == kind } }

    // MARK: text

    public var header: ValueMap {
        var header: ValueMap = [
            "bobbin_bundle": .int(base == nil ? 1 : 2), "id": .string(id),
            "taken_at": .string(takenAt.rfc3339),
            "spool": .string(spool), "host": .string(host), "epoch": .int(epoch), "bobbin": .string(program),
            "files": .int(fileCount), "bytes": .int(byteCount),
            "in_flight": .list(
                inFlight.map {
                    .map(["run": .string($0.run), "job": .string($0.job), "state": .string($0.state)])
                }),
            "modes": .map(
                modes.sorted { $0.key < $1.key }.reduce(into: ValueMap()) {
                    $0[$1.key] = .string(String($1.value, radix: 8))
                }),
            "left_out": .map(
                leftOut.sorted { $0.key < $1.key }.reduce(into: ValueMap()) { $0[$1.key] = .string($1.value) }
            ),
            "classes": .list(classes.map(\.rawValue).sorted().map(Value.string)),
            "encrypted_to": .list(recipients.map(Value.string)),
        ]
        if let base {
            header["base"] = .map([
                "id": .string(base.id), "name": .string(base.name), "taken_at": .string(base.takenAt.rfc3339),
                "manifest": .string(base.hash.text),
            ])
        }
        return header
    }
    public var text: [UInt8] {
        var out = JSONText.bytes(.map(header))
        out.append(0x0A)
        out.reserveCapacity(out.count + rows.count * 200)
        for row in rows { ManifestLine.write(row, &out) }
        return out
    }
    /// Its first line alone: what it is, without its files.
    init(headOf bytes: [UInt8]) throws(BundleProblem) {
        guard let end = bytes.firstIndex(of: 0x0A) else { throw .arch("the manifest is cut off") }
        let head = try BundleManifest.head(Array(bytes[..<end]))
        self = try BundleManifest.fields(head)
        guard let files = head["files"]?.intValue, let bytes = head["bytes"]?.intValue else {
            throw .arch("the first line of the manifest lacks something")
        }
        counted = (files, bytes)
    }
    public init(_ bytes: [UInt8]) throws(BundleProblem) {
        guard let first = bytes.firstIndex(of: 0x0A), bytes.last == 0x0A else {
            throw .arch("the manifest is cut off")
        }
        let head = try BundleManifest.head(Array(bytes[..<first]))
        self = try BundleManifest.fields(head)
        rows = try bytes.withUnsafeBufferPointer { (text) throws(BundleProblem) in
            try BundleManifest.rows(text[(first + 1)...])
        }
        // Whoever adds to the sum must not meet the end of numbers.
        guard self.bytes <= 1 << 60 else { throw .arch("the manifest has more bytes than any disk") }
        guard base != nil || !rows.contains(where: \.isInBase) else {
            throw .arch("the manifest has files of another bundle, and does not say of which")
        }
        guard head["files"]?.intValue == rows.count, head["bytes"]?.intValue == self.bytes else {
            throw .arch("the manifest does not have the files that its first line counts")
        }
    }
    private static func rows(_ text: Slice<UnsafeBufferPointer<UInt8>>) throws(BundleProblem) -> [Row] {
        var rows: [Row] = [], paths: Set<BundlePath.Key> = [], rest = text
        // A line is hardly ever shorter.
        rows.reserveCapacity(text.count / 100)
        while let end = rest.firstIndex(of: 0x0A) {
            guard let row = ManifestLine.read(rest[..<end]) else {
                throw .arch("line \(rows.count + 2) of the manifest is none that bobbin writes")
            }
            let why =
                BundlePath.trouble(row.path)
                ?? (paths.insert(BundlePath.Key(row.path)).inserted ? nil : "it is there twice")
            if let why {
                throw .arch(
                    "line \(rows.count + 2) of the manifest, \(BundleProblem.shown(row.path)): \(why)")
            }
            rows.append(row)
            rest = rest[(end + 1)...]
        }
        try checkFolders(rows, paths)
        return rows
    }

    /// Nothing is a file and the directory of another.
    private static func checkFolders(_ rows: [Row], _ paths: Set<BundlePath.Key>) throws(BundleProblem) {
        var seen: Set<BundlePath.Key> = [], last = ""
        for row in rows {
            var folder = BundlePath.split(row.path).folder
            // Most files stand beside the one before them.
            if BundlePath.isSame(folder, last) { continue }
            last = folder
            while !folder.isEmpty, seen.insert(BundlePath.Key(folder)).inserted {
                guard !paths.contains(BundlePath.Key(folder)) else {
                    throw .arch("\(BundleProblem.shown(folder)) is a file and a directory in the manifest")
                }
                folder = BundlePath.split(folder).folder
            }
        }
    }
    private static func head(_ line: [UInt8]) throws(BundleProblem) -> ValueMap {
        // Whatever is wrong with the JSON: it is not what we write.
        guard let map = (try? JSONReader.read(line))?.mapValue, let version = map["bobbin_bundle"]?.intValue
        else {
            throw .arch("this is no bundle of bobbin: its manifest does not begin as one")
        }
        guard versions.contains(version) else {
            throw BundleProblem(
                "E-FORMAT",
                "this bundle has format \(version), this program knows formats up to \(versions.upperBound)",
                whatToDo: "Use the version of bobbin that wrote it, or a newer one.")
        }
        return map
    }
    private static func fields(_ map: ValueMap) throws(BundleProblem) -> BundleManifest {
        guard let id = map["id"]?.stringValue,
            let taken = map["taken_at"]?.stringValue.flatMap(Timestamp.init(rfc3339:)),
            let spool = map["spool"]?.stringValue, let host = map["host"]?.stringValue,
            let epoch = map["epoch"]?.intValue, (0...1_000_000).contains(epoch),
            let program = map["bobbin"]?.stringValue
        else { throw .arch("the first line of the manifest lacks something") }
        var manifest = BundleManifest(
            id: id, takenAt: taken, spool: spool, host: host, epoch: epoch, program: program)
        manifest.inFlight = (map["in_flight"]?.listValue ?? []).compactMap(\.mapValue).map {
            Flight(
                run: $0["run"]?.stringValue ?? "", job: $0["job"]?.stringValue ?? "",
                state: $0["state"]?.stringValue ?? "")
        }
        if let words = map["classes"]?.listValue {
            manifest.classes = Set(words.compactMap { BundleClass(rawValue: $0.text) })
        }
        manifest.recipients = (map["encrypted_to"]?.listValue ?? []).map(\.text)
        let modes: ValueMap = map["modes"]?.mapValue ?? [:]
        for entry in modes.entries {
            guard BundlePath.trouble(entry.key) == nil, let mode = UInt32(entry.value.text, radix: 8),
                mode <= 0o777
            else {
                throw .arch("the first line of the manifest has a mode that is none")
            }
            manifest.modes[entry.key] = mode
        }
        let left: ValueMap = map["left_out"]?.mapValue ?? [:]
        for entry in left.entries { manifest.leftOut[entry.key] = entry.value.text }
        if map["bobbin_bundle"]?.intValue == 2 {
            guard let base = map["base"]?.mapValue, let id = base["id"]?.stringValue,
                let name = base["name"]?.stringValue, BundlePath.trouble(name) == nil, !name.contains("/"),
                let taken = base["taken_at"]?.stringValue.flatMap(Timestamp.init(rfc3339:)),
                let hash = base["manifest"]?.stringValue.flatMap({ ContentHash(Array($0.utf8)[...]) })
            else { throw .arch("the first line of the manifest does not say on which bundle it stands") }
            manifest.base = Base(id: id, name: name, takenAt: taken, hash: hash)
        }
        return manifest
    }
}
