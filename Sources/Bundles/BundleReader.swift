// What this is: a bundle, read: whose it is first, then the manifest, then every file, each held against its line.
// Owns: the order: nothing of a manifest is read before its signature was checked, nothing of a file is given to anybody before
//   its name, kind and size are those of its line; the bundle on which one stands, read before it.
// Never: skips what is odd, goes on behind it, writes to disk.
// On failure: BundleProblem E-ARCH with number and name of the entry; what was given so far is worthless.
import Archives
import JobModel
import LinuxSystem
import SecretStore

public struct BundleReader {
    /// Opens the bundle on which another stands.
    public typealias Finder = (BundleManifest.Base) throws -> OpenFile
    private let file: OpenFile
    private let keys: BundleKeys
    /// Of one that was just written.
    private var fileKey: AgeFileKey?
    public var progress: BundleWriter.Progress = { _, _ in }
    /// The code of a bundle that nobody here can open.
    public static let locked = "E-BUNDLE-KEY"

    public init(_ file: OpenFile, _ keys: BundleKeys = .onlyLooking) {
        self.file = file
        self.keys = keys
    }
    init(_ file: OpenFile, _ keys: BundleKeys, _ key: AgeFileKey?) {
        self.init(file, keys)
        fileKey = key
    }

    public func isEncrypted() throws -> Bool { try AgeOpener.isAge(file) }

    /// What its manifest says in its first line: without its files.
    public func head() throws -> BundleManifest {
        let walk = Walk(keys, onlyManifest: true)
        walk.onlyHead = true
        try read(walk)
        return try walk.whole()
    }
    /// Only the manifest.
    public func manifest() throws -> BundleManifest {
        let walk = Walk(keys, onlyManifest: true)
        try read(walk)
        return try walk.whole()
    }
    /// Reads every byte of every file that is in it and compares it. One that stands on another: what is here.
    public func verify() throws -> BundleManifest { try verify(wanted: nil) }
    /// The same for one that was just written, with what it stands on: its manifest must be this text.
    func verify(wanted: [UInt8], base: BundleBase?) throws -> BundleManifest {
        guard let base else { return try verify(wanted: wanted) }
        guard try head().textHash == ContentHash(of: wanted) else {
            throw BundleProblem.arch("the manifest was read back otherwise than it was written")
        }
        return try read(base: { _ in base.file }, to: Nobody())
    }
    private func verify(wanted: [UInt8]?) throws -> BundleManifest {
        let walk = Walk(keys, onlyManifest: false)
        walk.progress = progress
        walk.wanted = wanted.map(ContentHash.init(of:))
        try read(walk)
        return try walk.end()
    }
    /// The same, with the bundle on which it stands, and gives the files of both to somebody: those of the older one first.
    public func read(base find: Finder, to taker: any BundleTaker) throws -> BundleManifest {
        let head = try head()
        let walk = Walk(keys, onlyManifest: false)
        walk.progress = progress
        walk.wanted = head.textHash
        walk.taker = taker
        if let base = head.base {
            // Its files by name are wanted before they come.
            let whole = try manifest()
            guard whole.textHash == head.textHash else {
                throw BundleProblem.arch("the bundle changed while it was read")
            }
            try taker.open(whole)
            walk.isOpened = true
            try readBase(base, whole, find, taker)
        }
        try read(walk)
        return try walk.end()
    }
    /// The same, and gives them to nobody.
    public func verify(base find: Finder) throws -> BundleManifest { try read(base: find, to: Nobody()) }

    private func readBase(
        _ base: BundleManifest.Base, _ head: BundleManifest, _ find: Finder, _ taker: any BundleTaker
    ) throws {
        // Its manifest is named by the hash in this one: whose it is needs no other proof.
        var keys = keys
        keys.takesUnproved = true
        let older = Walk(keys, onlyManifest: false)
        older.progress = progress
        older.wanted = base.hash
        let part = BasePart(head, taker)
        older.taker = part
        let file = try find(base)
        do {
            try BundleReader(file, keys).read(older)
            _ = try older.end()
        } catch let problem as BundleProblem {
            throw BundleProblem(
                problem.code,
                "the bundle on which this one stands, \(BundleProblem.shown(base.name)): \(problem.message)",
                whatToDo: problem.whatToDo)
        }
        if let missing = part.missing {
            throw BundleProblem.arch(
                "the bundle \(BundleProblem.shown(base.name)), on which this one stands, does not have \(BundleProblem.shown(missing)) as it should be"
            )
        }
    }

    private func read(_ walk: Walk) throws {
        do throws(ArchiveError) {
            if try isAge() {
                try readAge(walk)
            } else {
                try ArchiveReader.read(file, .tar) {
                    walk.entry($0)
                } piece: {
                    walk.piece($0)
                }
            }
        } catch {
            if let problem = walk.problem { throw problem }
            switch error {
            case .stopped: return
            case .file(let error): throw error
            case .library(let text, _):
                throw BundleProblem.arch(
                    "the archive cannot be read on: \(text)", entry: (walk.number + 1, walk.name))
            case .changed, .name: throw BundleProblem.arch("\(error)")
            }
        }
        if let problem = walk.problem { throw problem }
    }
    private func isAge() throws(ArchiveError) -> Bool {
        do throws(SystemError) { return try AgeOpener.isAge(file) } catch { throw .file(error) }
    }
    private func readAge(_ walk: Walk) throws(ArchiveError) {
        walk.isEncrypted = true
        let opener: AgeOpener
        do {
            opener = try fileKey.map { try AgeOpener(file, $0) } ?? AgeOpener(file, keys.identities())
        } catch {
            walk.problem = BundleReader.named(error)
            throw .stopped
        }
        try ArchiveReader.read(
            from: { buffer in
                do { return try opener.read(into: buffer) } catch {
                    walk.problem = BundleReader.named(error)
                    return -1
                }
            }, .tar
        ) {
            walk.entry($0)
        } piece: {
            walk.piece($0)
        }
        // The archive ends before the file does; that nothing of the file is missing is known at its end.
        let rest = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        defer { rest.deallocate() }
        do { while try opener.read(into: rest) > 0 {} } catch { walk.problem = BundleReader.named(error) }
    }
    private static func named(_ error: any Error) -> any Error {
        guard let age = error as? AgeProblem else { return error }
        guard age.kind == .noMatch else {
            return BundleProblem.arch("it cannot be decrypted: \(age.message) [\(age.kind.rawValue)]")
        }
        return BundleProblem(
            locked, "this bundle is encrypted, and none of the identities here opens it",
            whatToDo: "Name a key file: --identity FILE (the recovery key, on another machine).")
    }
    private struct Nobody: BundleTaker {
        func open(_ manifest: BundleManifest) {}
        func begin(_ row: BundleManifest.Row) {}
        func take(_ bytes: UnsafeRawBufferPointer) {}
        func end(_ row: BundleManifest.Row) {}
    }
    /// Of the bundle below, what the one above has of it, as it has it.
    private final class BasePart: BundleTaker {
        private var wanted: [BundlePath.Key: BundleManifest.Row] = [:]
        private let taker: any BundleTaker
        private var isTaking = false
        var missing: String? { wanted.values.first?.path }

        init(_ head: BundleManifest, _ taker: any BundleTaker) {
            for row in head.rows where row.isInBase { wanted[BundlePath.Key(row.path)] = row }
            self.taker = taker
        }
        func open(_ manifest: BundleManifest) throws {
            guard manifest.base == nil else {
                throw BundleProblem.arch("the bundle on which this one stands does not stand alone")
            }
        }
        func begin(_ row: BundleManifest.Row) throws {
            guard var known = wanted[BundlePath.Key(row.path)] else { return }
            known.isInBase = false
            guard known == row else { return }
            isTaking = true
            try taker.begin(row)
        }
        func take(_ bytes: UnsafeRawBufferPointer) throws { if isTaking { try taker.take(bytes) } }
        func end(_ row: BundleManifest.Row) throws {
            guard isTaking else { return }
            isTaking = false
            wanted[BundlePath.Key(row.path)] = nil
            try taker.end(row)
        }
    }

    /// What is between the entries; libarchive calls back for each of them.
    private final class Walk {
        private enum Place { case nothing, manifest, note, files }
        var manifest: BundleManifest?
        var problem: (any Error)?
        var taker: any BundleTaker = Nobody()
        var progress: BundleWriter.Progress = { _, _ in }
        /// The entry at which it is, from 1.
        var number = 0, name = ""
        /// What the manifest must be.
        var wanted: ContentHash?
        var isEncrypted = false
        /// The taker knows the manifest.
        var isOpened = false
        var onlyHead = false
        private let keys: BundleKeys
        private let onlyManifest: Bool
        private var place = Place.nothing
        private var text: [UInt8] = [], note: [UInt8] = []
        private var hash = ContentHash.Running()
        private var left = 0, bytes = 0
        /// Lines of the manifest whose files are here, and at which of them it is.
        private var own: [BundleManifest.Row] = [], index = -1

        init(_ keys: BundleKeys, onlyManifest: Bool) {
            self.keys = keys
            self.onlyManifest = onlyManifest
        }

        func entry(_ entry: ArchiveReader.Entry) -> Bool {
            attempt {
                try finishEntry()
                number += 1
                name = entry.name
                guard number > 1 || entry.name == BundleManifest.name else {
                    throw trouble(
                        "this is no bundle of bobbin: it does not begin with \(BundleManifest.name)")
                }
                guard case .file = entry.kind else {
                    throw trouble("it is \(BundleReader.word(entry.kind)); a bundle holds files only")
                }
                if number == 1 { return try begin(entry, .manifest, longest: BundleManifest.longest) }
                if number == 2, entry.name == BundleSignature.name {
                    return try begin(entry, .note, longest: BundleSignature.longest)
                }
                if place != .files { try accept() }
                if onlyManifest { throw ArchiveError.stopped }
                index += 1
                guard index < own.count else { throw trouble("it is not in the manifest") }
                let row = own[index]
                guard row.path.utf8.elementsEqual(entry.name.utf8) else {
                    throw trouble("the manifest has \(BundleProblem.shown(row.path)) here")
                }
                guard entry.size == row.size else {
                    throw trouble(
                        "it says that it has \(entry.size.map(String.init) ?? "an unknown number of") bytes, the manifest \(row.size)"
                    )
                }
                (hash, left) = (ContentHash.Running(), row.size)
                try taker.begin(row)
            }
        }
        private func begin(_ entry: ArchiveReader.Entry, _ place: Place, longest: Int) throws {
            guard let size = entry.size, size <= longest else {
                throw trouble("it is too long, or says nothing of its length")
            }
            self.place = place
            left = size
            if place == .manifest { text.reserveCapacity(min(size, 16 << 20)) }
        }
        func piece(_ bytes: UnsafeRawBufferPointer) -> Bool {
            attempt {
                guard bytes.count <= left else { throw trouble("it has more bytes than it says") }
                left -= bytes.count
                switch place {
                case .nothing: return
                case .manifest: return text += bytes
                case .note: return note += bytes
                case .files: break
                }
                hash.update(bytes)
                try taker.take(bytes)
                self.bytes += bytes.count
                progress(index + 1, self.bytes)
            }
        }
        private func finishEntry() throws {
            guard left == 0 else { throw trouble("it ends \(left) bytes too early") }
            guard place == .files else { return }
            let row = own[index]
            guard hash.end() == row.hash else { throw trouble("its content is not the one that was packed") }
            try taker.end(row)
        }
        /// All of manifest and note is there: whose is it, and what does it say.
        private func accept() throws {
            if let wanted, ContentHash(of: text) != wanted {
                throw trouble("the manifest is not the one that it should be")
            }
            let proof = try BundleSignature.judge(place == .note ? note : nil, text, keys)
            var manifest = try onlyHead ? BundleManifest(headOf: text) : BundleManifest(text)
            manifest.proof = proof
            manifest.isEncrypted = isEncrypted
            manifest.textHash = ContentHash(of: text)
            text = []
            self.manifest = manifest
            own = manifest.own
            place = .files
            if !onlyManifest, !isOpened { try taker.open(manifest) }
        }
        /// The manifest; one without files ends behind it.
        func whole() throws -> BundleManifest {
            guard number > 0 else { throw BundleProblem.arch("the archive is empty") }
            if place != .files {
                guard left == 0 else { throw trouble("it ends \(left) bytes too early") }
                try accept()
            }
            guard let manifest else { throw BundleProblem.arch("the archive is empty") }
            return manifest
        }
        func end() throws -> BundleManifest {
            if place == .files { try finishEntry() }
            let manifest = try whole()
            guard index + 1 == own.count else {
                throw BundleProblem.arch(
                    "the archive ends behind \(index + 1) of \(own.count) files")
            }
            return manifest
        }
        private func attempt(_ body: () throws -> Void) -> Bool {
            do { try body() } catch ArchiveError.stopped { return false } catch {
                problem = error
                return false
            }
            return true
        }
        private func trouble(_ message: String) -> BundleProblem { .arch(message, entry: (number, name)) }
    }
    private static func word(_ kind: ArchiveReader.Kind) -> String {
        switch kind {
        case .file: "a file"
        case .directory: "a directory"
        case .other(let word): "a \(word)"
        }
    }
}

/// Who takes the files of a bundle, one after the other. Nothing is true before `read` has returned.
public protocol BundleTaker {
    /// The manifest, before any file.
    func open(_ manifest: BundleManifest) throws
    func begin(_ row: BundleManifest.Row) throws
    func take(_ bytes: UnsafeRawBufferPointer) throws
    /// Its content is right.
    func end(_ row: BundleManifest.Row) throws
}
