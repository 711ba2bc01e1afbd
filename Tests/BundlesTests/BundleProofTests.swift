// What this is: bundles that are signed, encrypted, or stand on another: what is changed, missing or somebody else's is refused.
// Owns: a signer and an identity of its own for each test.
// Never: looks at a site.
// On failure: names the byte, or what was done to the bundle.
import AccessControl
import Archives
import Foundation
import JobModel
import LinuxSystem
import SecretStore
import TestKit
import Testing

@testable import Bundles

@Suite struct BundleProofTests {
    private final class World {
        let folder: Folder
        let key: SigningKey
        let identity = AgeIdentity.generate()
        var verifier: NoteVerifier { NoteVerifier(name: "me", key.publicBytes) }
        init() throws {
            folder = try Folder(in: "/dev/shm")
            key = try SigningKey("key", in: folder.directory)
        }
        var directory: Directory { folder.directory }

        func form(_ packing: Packing = .none, isSigned: Bool = true, isEncrypted: Bool = false) throws
            -> BundleForm
        {
            var form = BundleForm(packing)
            if isSigned { form.signer = (key, "me") }
            if isEncrypted { form.recipients = [try #require(identity.recipient)] }
            return form
        }
        func keys(takesUnproved: Bool = false, knows: Bool = true) -> BundleKeys {
            let identity = identity
            return BundleKeys(trusted: knows ? [verifier] : [], takesUnproved: takesUnproved) { [identity] }
        }
        @discardableResult
        func make(
            _ name: String, _ form: BundleForm,
            _ files: [(String, String)] = [("ops/a", "one"), ("spool/b", "two")],
            on base: BundleBase? = nil, at seconds: Int64 = 1_795_000_000,
            progress: @escaping BundleWriter.Progress = { _, _ in }
        ) throws -> BundleManifest {
            let head = BundleManifest(
                id: name, takenAt: Timestamp(seconds: seconds), spool: "S", host: "h", epoch: 0, program: "0")
            let writer = try BundleWriter(in: directory, form, on: base, threads: 1, progress: progress)
            for (path, text) in files {
                try writer.add(
                    path, path.hasPrefix("ops") ? .config : .results, bytes: Array(text.utf8), mode: 0o644,
                    modified: 7)
            }
            return try writer.finish(head, as: name, checking: {})
        }
        func reader(_ name: String, _ keys: BundleKeys) throws -> BundleReader {
            try BundleReader(directory.openForReading(name), keys)
        }
        func bytes(_ name: String) throws -> [UInt8] {
            try directory.openForReading(name).read(upTo: 1 << 22)
        }
        func put(_ name: String, _ bytes: [UInt8]) throws {
            try AtomicFile.write(bytes, to: name, in: directory, existing: .replace, durable: false)
        }
    }
    private func code(_ body: () throws -> Void) -> String? {
        do { try body() } catch let problem as BundleProblem { return problem.code } catch {
            return "\(error)"
        }
        return nil
    }

    @Test("whose it is: known, unknown, nobody's; and what of it is taken") func signed() throws {
        let world = try World()
        #expect(try world.make("b", world.form()).proof == .known(world.verifier))
        #expect(try world.reader("b", world.keys()).verify().proof == .known(world.verifier))
        #expect(code { _ = try world.reader("b", world.keys(knows: false)).manifest() } == "E-SIGNED")
        #expect(
            try world.reader("b", world.keys(takesUnproved: true, knows: false)).manifest().proof
                == .unknown(world.verifier))
        try world.make("u", world.form(isSigned: false))
        #expect(code { _ = try world.reader("u", world.keys()).verify() } == "E-SIGNED")
        #expect(try world.reader("u", world.keys(takesUnproved: true)).verify().proof == .unsigned)
    }

    @Test("each bit of a signed bundle that means anything is noticed, whatever is trusted") func changed()
        throws
    {
        let world = try World()
        let made = try world.make("b", world.form())
        let good = try world.bytes("b")
        var noticed = 0, silent = 0
        for index in good.indices {
            for bit in [0, 3, 7] {
                var wrong = good
                wrong[index] ^= UInt8(1 << bit)
                try world.put("w", wrong)
                do {
                    let read = try world.reader("w", world.keys(takesUnproved: true)).verify()
                    // Padding, owners and checksums that fit: what is read is what was written.
                    #expect(read.rows == made.rows && read.proof == .known(world.verifier), "byte \(index)")
                    silent += 1
                } catch { noticed += 1 }
            }
        }
        #expect(noticed > 3_000, "\(noticed) noticed, \(silent) without meaning")
    }

    @Test("a signature belongs to one manifest: taken away, from another bundle, of another key")
    func swapped()
        throws
    {
        let world = try World(), other = try World()
        let one = try world.make("one", world.form()), text = one.text
        let two = try world.make("two", world.form(), [("ops/a", "evil")])
        func note(_ manifest: [UInt8], _ key: SigningKey, _ name: String) throws -> [UInt8] {
            try BundleSignature.note(manifest, key, as: name)
        }
        func forge(_ notes: [(String, [UInt8])]) throws {
            let entries =
                [TarForge.Entry(name: BundleManifest.name, content: text)]
                + notes.map { TarForge.Entry(name: $0.0, content: $0.1) }
                + [
                    TarForge.Entry(name: "ops/a", content: Array("one".utf8)),
                    TarForge.Entry(name: "spool/b", content: Array("two".utf8)),
                ]
            try world.put("forged", TarForge.archive(entries, .none))
        }
        let right = try note(text, world.key, "me")
        func outcome(_ notes: [(String, [UInt8])]) throws -> String? {
            try forge(notes)
            return code { _ = try world.reader("forged", world.keys()).verify() }
        }
        #expect(try outcome([(BundleSignature.name, right)]) == nil)
        #expect(try outcome([]) == "E-SIGNED")
        #expect(try outcome([(BundleSignature.name, note(two.text, world.key, "me"))]) == "E-ARCH")
        #expect(try outcome([(BundleSignature.name, note(text, other.key, "me"))]) == "E-SIGNED")
        #expect(try outcome([(BundleSignature.name, note(text, world.key, "you"))]) == "E-SIGNED")
        #expect(try outcome([(BundleSignature.name, right), (BundleSignature.name, right)]) == "E-ARCH")
        #expect(try outcome([("ops/x", right)]) == "E-SIGNED")
        #expect(try outcome([(BundleSignature.name, right + right)]) == "E-ARCH")
        #expect(try outcome([(BundleSignature.name, [])]) == "E-ARCH")
        #expect(
            try outcome([(BundleSignature.name, [UInt8](repeating: 0x41, count: 5_000))]) == "E-ARCH")
    }

    @Test(
        "encrypted: read back by whom it is for, and at no time in the clear on that disk",
        arguments: Packing.allCases)
    func encrypted(_ packing: Packing) throws {
        let world = try World()
        let word = "a word that must not be seen "
        let text = String(repeating: word, count: 60_000)
        var seen = 0
        let made = try world.make(
            "b", world.form(packing, isEncrypted: true), [("ops/a", text), ("spool/b", text)]
        ) { _, _ in
            for name in (try? world.folder.listing()) ?? [] where name.hasPrefix(".") {
                for part in ["body", "bundle"] {
                    guard let bytes = try? world.bytes("\(name)/\(part)") else { continue }
                    seen += 1
                    #expect(Data(bytes).range(of: Data(word.utf8)) == nil)
                }
            }
        }
        #expect(seen > 3 && made.isEncrypted && made.proof == .known(world.verifier))
        let read = try world.reader("b", world.keys()).verify()
        #expect(read.rows == made.rows && read.isEncrypted)
        #expect(Data(try world.bytes("b")).range(of: Data("MANIFEST".utf8)) == nil)
        let stranger = BundleKeys(trusted: [world.verifier]) { [AgeIdentity.generate()] }
        #expect(code { _ = try world.reader("b", stranger).manifest() } == "E-BUNDLE-KEY")
        // As the tool `age` would open it, it is the archive that it would have been.
        let opened = try AgeFile.open(world.bytes("b"), [world.identity]).withBytes { Array($0) }
        try world.put("opened", opened)
        #expect(try world.reader("opened", world.keys()).verify().rows == made.rows)
    }

    @Test("an encrypted bundle that is cut off or changed anywhere is refused") func encryptedHarm() throws {
        let world = try World()
        try world.make(
            "b", world.form(.zstd, isEncrypted: true), [("ops/a", String(repeating: "x", count: 9))])
        let good = try world.bytes("b")
        for index in good.indices {
            var wrong = good
            wrong[index] ^= 1
            try world.put("w", wrong)
            #expect(
                code { _ = try world.reader("w", world.keys(takesUnproved: true)).verify() } != nil,
                "\(index)")
            try world.put("w", Array(good.prefix(index)))
            #expect(
                code { _ = try world.reader("w", world.keys(takesUnproved: true)).verify() } != nil,
                "\(index)")
        }
    }

    // MARK: increments

    private final class Contents: BundleTaker {
        var files: [String: String] = [:]
        private var bytes: [UInt8] = []
        func open(_ manifest: BundleManifest) {}
        func begin(_ row: BundleManifest.Row) { bytes = [] }
        func take(_ piece: UnsafeRawBufferPointer) { bytes += piece }
        func end(_ row: BundleManifest.Row) { files[row.path] = String(decoding: bytes, as: UTF8.self) }
    }
    private static let before = [
        ("ops/a", "one"), ("ops/gone", "x"), ("ops/new", "old"), ("spool/b", "two"),
    ]
    private static let after = [("ops/a", "one"), ("ops/new", "new"), ("ops/more", "m"), ("spool/b", "two")]

    @Test("an increment has what is new, and is read with what it stands on", arguments: [false, true])
    func increment(_ isEncrypted: Bool) throws {
        let world = try World()
        let form = try world.form(.zstd, isEncrypted: isEncrypted)
        try world.make("full", form, BundleProofTests.before)
        let full = try world.reader("full", world.keys()).manifest()
        let base = try #require(
            BundleBase(
                full, name: "full", world.directory.openForReading("full"), world.keys()))
        let made = try world.make("inc", form, BundleProofTests.after, on: base)
        #expect(made.own.map(\.path) == ["ops/new", "ops/more"] && made.rows.count == 4)
        let shown = try world.reader("inc", world.keys()).manifest()
        #expect(shown.text == made.text && shown.base?.name == "full")
        // Nothing stands on what does not stand alone.
        let stacked = try BundleBase(
            shown, name: "inc", world.directory.openForReading("inc"), world.keys())
        #expect(stacked.map(\.reference) == nil)
        let taker = Contents()
        let read = try world.reader("inc", world.keys()).read(
            base: { try world.directory.openForReading($0.name) }, to: taker)
        #expect(read.rows == made.rows)
        #expect(taker.files == Dictionary(uniqueKeysWithValues: BundleProofTests.after))

        // Another one of the same name, one that is damaged, none.
        func refused(_ name: String) -> String? {
            code {
                _ = try world.reader("inc", world.keys()).read(
                    base: { _ in try world.directory.openForReading(name) }, to: Contents())
            }
        }
        try world.make("other", form, BundleProofTests.before, at: 1_795_000_001)
        #expect(refused("other") == "E-ARCH" && refused("inc") == "E-ARCH")
        let whole = try world.bytes("full")
        for cut in stride(from: 0, to: whole.count, by: 7) {
            try world.put("cut", Array(whole.prefix(cut)))
            #expect(refused("cut") == "E-ARCH", "\(cut)")
        }
    }

    @Test("what a forged increment says of its base is held against the base") func forgedIncrement() throws {
        let world = try World()
        try world.make("full", world.form(), BundleProofTests.before)
        let base = try #require(
            BundleBase(
                world.reader("full", world.keys()).manifest(), name: "full",
                world.directory.openForReading("full"), world.keys()))
        let made = try world.make("inc", world.form(), [("ops/a", "one")], on: base)
        func outcome(_ change: (inout BundleManifest) -> Void) throws -> String? {
            var manifest = made
            change(&manifest)
            let text = manifest.text
            let entries = [
                TarForge.Entry(name: BundleManifest.name, content: text),
                TarForge.Entry(
                    name: BundleSignature.name,
                    content: try BundleSignature.note(text, world.key, as: "me")),
            ]
            try world.put("forged", TarForge.archive(entries, .none))
            return code {
                _ = try world.reader("forged", world.keys()).verify {
                    try world.directory.openForReading($0.name)
                }
            }
        }
        #expect(try outcome { _ in } == nil)
        #expect(try outcome { $0.rows[0].path = "ops/none" } == "E-ARCH")
        #expect(try outcome { $0.rows[0].hash = ContentHash(of: [1]) } == "E-ARCH")
        #expect(try outcome { $0.rows[0].mode = 0o755 } == "E-ARCH")
        #expect(try outcome { $0.rows[0].kind = .secrets } == "E-ARCH")
        #expect(try outcome { $0.rows[0].size = 2 } == "E-ARCH")
        #expect(try outcome { $0.rows[0].isInBase = false } == "E-ARCH")
        #expect(try outcome { $0.base = nil } == "E-ARCH")
        #expect(try outcome { $0.base?.name = "../full" } == "E-ARCH")
        #expect(try outcome { $0.base?.hash = ContentHash(of: [1]) } == "E-ARCH")
    }

    @Test("a file counts as unchanged by the kernel's own time, never by what anybody can set")
    func unchanged()
        throws
    {
        let world = try World()
        try world.folder.put("f", "12345")
        let file = try world.directory.openForReading("f"), status = try file.status()
        let row = BundleManifest.Row(
            path: "spool/done/f", kind: .results, mode: 0o644, size: 5, modified: status.modified,
            hash: ContentHash(of: Array("12345".utf8)))
        func base(takenAt: Int64, _ change: (inout BundleManifest.Row) -> Void = { _ in }) throws
            -> BundleBase
        {
            var manifest = BundleManifest(
                id: "i", takenAt: Timestamp(nanoseconds: takenAt), spool: "s", host: "h", epoch: 0,
                program: "0")
            var row = row
            change(&row)
            manifest.rows = [row]
            manifest.textHash = ContentHash(of: [])
            return try #require(BundleBase(manifest, name: "b", file, world.keys()))
        }
        let later = status.changed + 2_000_000_000
        #expect(try base(takenAt: later).row("spool/done/f", .results, status)?.isInBase == true)
        // Begun before the file was touched, or in the same moment.
        #expect(try base(takenAt: status.changed).row("spool/done/f", .results, status) == nil)
        #expect(try base(takenAt: status.changed + 900_000_000).row("spool/done/f", .results, status) == nil)
        for change: (inout BundleManifest.Row) -> Void in [
            { $0.size = 4 }, { $0.modified += 1 }, { $0.mode = 0o600 }, { $0.path = "spool/done/g" },
            { $0.kind = .logs },
        ] { #expect(try base(takenAt: later, change).row("spool/done/f", .results, status) == nil) }
        // In flight, or what people write: never by its times.
        for kind in [BundleClass.work, .journal, .config, .secrets, .reports] {
            #expect(try base(takenAt: later) { $0.kind = kind }.row("spool/done/f", kind, status) == nil)
        }
    }

    @Test("each call of making an encrypted increment fails: it is there whole, or not at all") func faults()
        throws
    {
        final class Begun {
            let world: World
            let base: BundleBase
            init() throws {
                world = try World()
                try world.make("full", world.form(), BundleProofTests.before)
                base = try #require(
                    BundleBase(
                        world.reader("full", world.keys()).manifest(), name: "full",
                        world.directory.openForReading("full"), world.keys()))
            }
        }
        let points = try FaultLoop.run(make: { try Begun() }) { begun in
            try begun.world.make(
                "inc", begun.world.form(isEncrypted: true), BundleProofTests.after, on: begun.base)
        } check: { begun, outcome in
            let names = try begun.world.folder.listing()
            #expect(names.contains("full"))
            if outcome.error == nil { #expect(names.contains("inc")) }
            guard names.contains("inc") else { return }
            _ = try begun.world.reader("inc", begun.world.keys()).verify {
                try begun.world.directory.openForReading($0.name)
            }
        }
        #expect(points > 100)
    }
}
