// What this is: a bundle, read: the manifest first, then every file, each held against its line.
// Owns: the order: nothing of a file is given to anybody before its name, kind and size are those of its line.
// Never: skips what is odd, goes on behind it, writes to disk.
// On failure: BundleProblem E-ARCH with number and name of the entry; what was given so far is worthless.
import Archives
import JobModel
import LinuxSystem

public enum BundleReader {
    /// Only the manifest.
    public static func manifest(_ file: OpenFile) throws -> BundleManifest {
        let walk = Walk(onlyManifest: true)
        try read(file, walk)
        // One without files ends behind it.
        if walk.manifest == nil { try walk.finishEntry() }
        guard let manifest = walk.manifest else { throw BundleProblem.arch("the archive is empty") }
        return manifest
    }
    /// Reads every byte of every file and compares it.
    public static func verify(_ file: OpenFile, progress: @escaping BundleWriter.Progress = { _, _ in })
        throws
        -> BundleManifest
    {
        try read(file, progress: progress, to: Nobody())
    }
    /// The same for one that was just written: its manifest must be this text.
    static func verify(
        _ file: OpenFile, manifest: [UInt8], progress: @escaping BundleWriter.Progress
    ) throws {
        let walk = Walk(onlyManifest: false)
        walk.progress = progress
        walk.wanted = manifest
        try read(file, walk)
        _ = try walk.end()
    }
    /// The same, and gives the files to somebody.
    public static func read(
        _ file: OpenFile, progress: @escaping BundleWriter.Progress = { _, _ in }, to taker: any BundleTaker
    ) throws -> BundleManifest {
        let walk = Walk(onlyManifest: false)
        walk.taker = taker
        walk.progress = progress
        try read(file, walk)
        return try walk.end()
    }

    private static func read(_ file: OpenFile, _ walk: Walk) throws {
        do throws(ArchiveError) {
            try ArchiveReader.read(file, .tar) {
                walk.entry($0)
            } piece: {
                walk.piece($0)
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
    private struct Nobody: BundleTaker {
        func open(_ manifest: BundleManifest) {}
        func begin(_ row: BundleManifest.Row) {}
        func take(_ bytes: UnsafeRawBufferPointer) {}
        func end(_ row: BundleManifest.Row) {}
    }

    /// What is between the entries; libarchive calls back for each of them.
    private final class Walk {
        var manifest: BundleManifest?
        var problem: (any Error)?
        var taker: any BundleTaker = Nobody()
        var progress: BundleWriter.Progress = { _, _ in }
        /// The entry at which it is, from 1.
        var number = 0, name = ""
        /// What the manifest must be.
        var wanted: [UInt8]?
        private let onlyManifest: Bool
        private var text: [UInt8] = []
        private var hash = ContentHash.Running()
        private var left = 0, bytes = 0

        init(onlyManifest: Bool) { self.onlyManifest = onlyManifest }

        func entry(_ entry: ArchiveReader.Entry) -> Bool {
            attempt {
                try finishEntry()
                number += 1
                name = entry.name
                if onlyManifest, number == 2 { throw ArchiveError.stopped }
                guard number > 1 || entry.name == BundleManifest.name else {
                    throw trouble(
                        "this is no bundle of bobbin: it does not begin with \(BundleManifest.name)")
                }
                guard case .file = entry.kind else {
                    throw trouble("it is \(BundleReader.word(entry.kind)); a bundle holds files only")
                }
                if number == 1 { return try begin(entry) }
                guard let manifest, number - 2 < manifest.rows.count else {
                    throw trouble("it is not in the manifest")
                }
                let row = manifest.rows[number - 2]
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
        private func begin(_ entry: ArchiveReader.Entry) throws {
            guard let size = entry.size, size <= BundleManifest.longest else {
                throw trouble("the manifest is too long, or says nothing of its length")
            }
            left = size
            text.reserveCapacity(min(size, 16 << 20))
        }
        func piece(_ bytes: UnsafeRawBufferPointer) -> Bool {
            attempt {
                guard bytes.count <= left else { throw trouble("it has more bytes than it says") }
                left -= bytes.count
                if number == 1 { return text += bytes }
                hash.update(bytes)
                try taker.take(bytes)
                self.bytes += bytes.count
                progress(number - 2, self.bytes)
            }
        }
        func finishEntry() throws {
            guard number > 0 else { return }
            guard left == 0 else { throw trouble("it ends \(left) bytes too early") }
            if number == 1 {
                guard wanted.map({ $0 == text }) ?? true else {
                    throw trouble("it was read back otherwise than it was written")
                }
                let manifest = try BundleManifest(text)
                text = []
                self.manifest = manifest
                if !onlyManifest { try taker.open(manifest) }
                return
            }
            guard let row = manifest?.rows[number - 2] else { return }
            guard hash.end() == row.hash else { throw trouble("its content is not the one that was packed") }
            try taker.end(row)
        }
        func end() throws -> BundleManifest {
            try finishEntry()
            guard let manifest else { throw BundleProblem.arch("the archive is empty") }
            guard number - 1 == manifest.rows.count else {
                throw BundleProblem.arch(
                    "the archive ends behind \(number - 1) of \(manifest.rows.count) files")
            }
            return manifest
        }
        /// At the end of a look at the manifest alone.
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
