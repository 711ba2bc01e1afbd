// What this is: the making of a bundle: files are packed as they come, the manifest is written and signed when all of them are
//   known, and stands before them all the same.
// Owns: a working directory of its own, hidden, beside the bundles; the order: packed, synced, read back whole, renamed, synced.
// Never: gives a bundle its name before every byte of it was read back; replaces one; has in the clear on that disk, at any
//   time, what is to be encrypted.
// On failure: BundleProblem or SystemError; `abandon` (and the next bundle's beginning) removes what was begun.
import AccessControl
import Archives
import JobModel
import LinuxSystem
import SecretStore

/// How a bundle is made.
public struct BundleForm: Sendable {
    public var packing: Packing
    /// For whom it is encrypted; nobody: it is not.
    public var recipients: [AgeRecipient] = []
    /// Who signs it, and as whom.
    public var signer: (key: SigningKey, name: String)?
    public init(_ packing: Packing) { self.packing = packing }

    /// Its own reading back takes its own signature and no other, and opens what it stands on as whoever chose that.
    fileprivate func keys(_ base: BundleBase?) -> BundleKeys {
        var keys = base?.keys ?? .onlyLooking
        guard let signer else { return keys }
        keys.trusted = [NoteVerifier(name: signer.name, signer.key.publicBytes)]
        keys.takesUnproved = false
        return keys
    }
    public var ending: String { packing.ending + (recipients.isEmpty ? "" : ".age") }
}

public final class BundleWriter {
    /// What is to be known while it goes on: files and bytes so far.
    public typealias Progress = (Int, Int) -> Void
    static let ending = ".tmp"
    /// More than this is packed as it is read; the rest is read whole first.
    private static let atOnce = 1 << 20

    private let folder: Directory
    public let workName: String
    private let work: Directory
    private let body: BundleBody
    private let tar: TarWriter
    private let form: BundleForm
    /// The bundle on which this one stands.
    private let base: BundleBase?
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: BundleWriter.atOnce, alignment: 16)
    public private(set) var rows: [BundleManifest.Row] = []
    /// By their bytes: names that only look the same are two names.
    private var paths: Set<BundlePath.Key> = []
    public func has(_ path: String) -> Bool { paths.contains(BundlePath.Key(path)) }
    /// What was not as it should be, by path.
    public private(set) var notes: [String: String] = [:]
    private var bytes = 0
    private let progress: Progress

    /// `folder`: where the bundle will be.
    public init(
        in folder: Directory, _ form: BundleForm, on base: BundleBase? = nil, threads: Int,
        progress: @escaping Progress
    ) throws {
        self.folder = folder
        self.form = form
        self.base = base
        self.progress = progress
        workName = BundleWriter.scratchName()
        work = try folder.makeDirectory(workName, mode: 0o700)
        let body = try BundleBody(in: work, isSealed: !form.recipients.isEmpty)
        self.body = body
        do throws(ArchiveError) {
            tar = try TarWriter(form.packing, threads: threads) { bytes throws(SystemError) in
                try body.append(bytes)
            }
        } catch { throw BundleProblem.failed("the packing cannot begin", error) }
    }
    deinit { buffer.deallocate() }

    /// Of a directory that goes with its maker: `removeLeftovers` knows it.
    public static func scratchName() -> String {
        ".\(Host.processID)-\(Clocks.nonce())\(BundleWriter.ending)"
    }
    /// Removes what dead makers left in a directory, of bundles or not. Returns how many.
    public static func removeLeftovers(in folder: Directory) throws -> Int {
        var count = 0
        for name in try folder.names() where name.hasPrefix(".") && name.hasSuffix(ending) {
            // Nothing but what is surely ours: others keep their files in such a directory as well.
            let parts = name.dropFirst().dropLast(ending.count).split(separator: "-")
            guard parts.count == 2, let maker = Int32(parts[0]), parts[1].utf8.count == 32,
                !Host.exists("/proc/\(maker)"), let status = try folder.statusIfPresent(name),
                status.kind == .directory, status.mode & 0o077 == 0, status.uid == ProcessSetup.uid
            else { continue }
            try folder.removeTree(name)
            count += 1
        }
        return count
    }
    public func abandon() throws { try folder.removeTree(workName) }

    // MARK: packing

    /// Whether a directory was there, by this name, before the bundle was begun on which this one stands.
    public func isSettled(_ directory: FileStatus) -> Bool { base?.isBefore(directory.changed) ?? false }

    /// Packs what a file holds now; what is appended to it meanwhile is not taken. `isSettled`: all directories above it are, so
    /// that it need not be packed if it was not touched itself. `wholeLines`: a last line without an end is not taken.
    @discardableResult
    public func add(
        _ path: String, _ kind: BundleClass, _ file: OpenFile, _ known: FileStatus? = nil,
        isSettled: Bool = false, wholeLines: Bool = false
    ) throws -> Int {
        let status = try known ?? file.status()
        if isSettled, let row = base?.row(path, kind, status) {
            try claim(path)
            return note(row)
        }
        let size = wholeLines ? try lineEnd(file, status.size) : status.size
        if size <= buffer.count {
            let read = try fill(file, size)
            return try add(path, kind, read, mode: status.mode, modified: status.modified)
        }
        return try stream(path, kind, file, size, status)
    }
    @discardableResult
    public func add(_ path: String, _ kind: BundleClass, bytes: [UInt8], mode: UInt32, modified: Int64) throws
        -> Int
    {
        try bytes.withUnsafeBytes { try add(path, kind, $0, mode: mode, modified: modified) }
    }
    /// Says of what was packed that it is something else.
    public func mark(_ row: Int, as kind: BundleClass) { rows[row].kind = kind }

    private func add(
        _ path: String, _ kind: BundleClass, _ content: UnsafeRawBufferPointer, mode: UInt32, modified: Int64
    )
        throws -> Int
    {
        try claim(path)
        var hash = ContentHash.Running()
        hash.update(content)
        let row = BundleManifest.Row(
            path: path, kind: kind, mode: BundleWriter.safe(mode), size: content.count, modified: modified,
            hash: hash.end())
        if let known = base?.row(row) { return note(known) }
        try pack(path) { () throws(ArchiveError) in
            try tar.begin(path, size: row.size, mode: row.mode, modified: modified)
            if !content.isEmpty { try tar.write(content) }
            try tar.end()
        }
        return note(row)
    }
    private func stream(
        _ path: String, _ kind: BundleClass, _ file: OpenFile, _ size: Int, _ status: FileStatus
    )
        throws -> Int
    {
        try claim(path)
        let mode = BundleWriter.safe(status.mode)
        try pack(path) { () throws(ArchiveError) in
            try tar.begin(path, size: size, mode: mode, modified: status.modified)
        }
        var hash = ContentHash.Running(), done = 0
        while done < size {
            var count = min(size - done, try file.read(into: buffer, from: done))
            if count == 0 {
                // Its length is in the archive already. A log may be cut by whoever rotates it.
                notes[path] = "it became shorter while it was packed: from byte \(done) on there are zeros"
                count = min(size - done, buffer.count)
                buffer.initializeMemory(as: UInt8.self, repeating: 0)
            }
            let piece = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            hash.update(piece)
            try pack(path) { () throws(ArchiveError) in try tar.write(piece) }
            done += count
            bytes += count
            progress(rows.count, bytes)
        }
        bytes -= size
        try pack(path) { () throws(ArchiveError) in try tar.end() }
        return note(
            .init(
                path: path, kind: kind, mode: mode, size: size, modified: status.modified, hash: hash.end()))
    }
    private func note(_ row: BundleManifest.Row) -> Int {
        rows.append(row)
        bytes += row.size
        progress(rows.count, bytes)
        return rows.count - 1
    }
    private func claim(_ path: String) throws {
        if let trouble = BundlePath.trouble(path) {
            throw BundleProblem("E-BACKUP", "\(BundleProblem.shown(path)): \(trouble)")
        }
        guard paths.insert(BundlePath.Key(path)).inserted else {
            throw BundleProblem(
                "E-BACKUP", "\(BundleProblem.shown(path)) would be in the bundle twice: a mistake in Bobbin")
        }
    }
    private func pack(_ path: String, _ body: () throws(ArchiveError) -> Void) throws {
        do throws(ArchiveError) { try body() } catch {
            if case .file(let error) = error { throw error }
            throw BundleProblem.failed("\(BundleProblem.shown(path)) cannot be packed", error)
        }
    }
    /// No rights for groups and others to write, and none beyond rights.
    static func safe(_ mode: UInt32) -> UInt32 { mode & 0o755 }

    private func fill(_ file: OpenFile, _ size: Int) throws -> UnsafeRawBufferPointer {
        var count = 0
        while count < size {
            let got = try file.read(
                into: UnsafeMutableRawBufferPointer(rebasing: buffer[count..<size]), from: count)
            // It became shorter: what is there is what it holds.
            guard got > 0 else { break }
            count += got
        }
        return UnsafeRawBufferPointer(rebasing: buffer[..<count])
    }
    private func lineEnd(_ file: OpenFile, _ size: Int) throws -> Int {
        var end = size
        while end > 0 {
            let start = max(0, end - buffer.count)
            let piece = try file.read(upTo: end - start, from: start)
            if let last = piece.lastIndex(of: 0x0A) { return start + last + 1 }
            end = start
        }
        return 0
    }

    // MARK: the end

    /// What would be written.
    public func manifest(_ manifest: BundleManifest) -> BundleManifest {
        var manifest = manifest
        manifest.rows = rows
        manifest.leftOut.merge(notes) { known, _ in known }
        manifest.base = base?.reference
        manifest.recipients = form.recipients.compactMap(\.text).sorted()
        return manifest
    }
    /// Puts the manifest before the rest, reads all of it back, and only then gives it its name.
    public func finish(_ manifest: BundleManifest, as name: String, checking: () -> Void) throws
        -> BundleManifest
    {
        try pack("the end") { () throws(ArchiveError) in try tar.finish() }
        try body.finish()
        var manifest = self.manifest(manifest)
        let text = manifest.text
        let fileKey = try write(text, modified: manifest.takenAt.nanoseconds)
        checking()
        var reader = BundleReader(try work.openForReading("bundle"), form.keys(base), fileKey)
        reader.progress = progress
        // Also what it stands on: without that it brings nothing back.
        let read = try reader.verify(wanted: text, base: base)
        (manifest.proof, manifest.isEncrypted) = (read.proof, read.isEncrypted)
        try work.rename("bundle", to: folder, name)
        try folder.sync()
        try abandon()
        return manifest
    }
    /// Manifest, note and body, one behind the other. Returns what opens it, if it is encrypted.
    private func write(_ text: [UInt8], modified: Int64) throws -> AgeFileKey? {
        var front = [TarWriter.Small(BundleManifest.name, text, mode: 0o600, modified: modified)]
        if let signer = form.signer {
            let note = try BundleSignature.note(text, signer.key, as: signer.name)
            front.append(TarWriter.Small(BundleSignature.name, note, mode: 0o600, modified: modified))
        }
        let piece: [UInt8]
        do throws(ArchiveError) { piece = try TarWriter.piece(front, form.packing) } catch {
            throw BundleProblem.failed("the manifest cannot be packed", error)
        }
        let whole = try work.create("bundle", mode: 0o600)
        var sealer: AgeSealer?
        if !form.recipients.isEmpty { sealer = try AgeSealer(to: form.recipients) { try whole.append($0) } }
        func append(_ bytes: UnsafeRawBufferPointer) throws {
            try sealer.map { try $0.write(bytes) } ?? whole.append(bytes)
        }
        try piece.withUnsafeBytes(append)
        try body.read(by: buffer, append)
        try sealer?.finish()
        try work.remove(BundleBody.name)
        try whole.sync()
        return sealer?.fileKey
    }
}

/// What is packed before the manifest is known: in a file, and, if the bundle will be encrypted, encrypted for this process alone.
private final class BundleBody {
    static let name = "body"
    private let file: OpenFile
    private let sealer: AgeSealer?

    init(in work: Directory, isSealed: Bool) throws {
        let file = try work.create(BundleBody.name, mode: 0o600)
        self.file = file
        guard isSealed else {
            sealer = nil
            return
        }
        guard let nobody = AgeIdentity.generate().recipient else {
            throw BundleProblem("E-BACKUP", "no key could be made for what is not encrypted yet")
        }
        sealer = try AgeSealer(to: [nobody]) { try file.append($0) }
    }
    func append(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        guard let sealer else { return try file.append(bytes) }
        do { try sealer.write(bytes) } catch let error as SystemError { throw error } catch {
            // The cipher refuses nothing that it is given here; what it says stays in the label.
            throw SystemError("encrypt", "\(error)", errno: 5)
        }
    }
    func finish() throws { try sealer?.finish() }
    func read(by buffer: UnsafeMutableRawBufferPointer, _ take: (UnsafeRawBufferPointer) throws -> Void)
        throws
    {
        if let sealer {
            let opener = try AgeOpener(file, sealer.fileKey)
            while true {
                let count = try opener.read(into: buffer)
                if count == 0 { return }
                try take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
        }
        var offset = 0
        while true {
            let count = try file.read(into: buffer, from: offset)
            guard count > 0 else { return }
            try take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            offset += count
        }
    }
}
