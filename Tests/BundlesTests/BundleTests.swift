// What this is: bundles written and read back: whole, with each call failing, and by another program.
// Owns: a folder per test.
// Never: looks at a site.
// On failure: the call and the blow are in the message.
import Archives
import Foundation
import Glibc
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import Bundles

@Suite struct BundleTests {
    private static let head = BundleManifest(
        id: "id", takenAt: Timestamp(seconds: 1_795_000_000), spool: "SPOOL", host: "host", epoch: 2,
        program: "0.1")

    /// Contents of every size at which something changes, and names that have to be escaped.
    private static let files: [(String, [UInt8])] = {
        var random = SeededRandom(seed: 7)
        func noise(_ count: Int) -> [UInt8] {
            (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        }
        return [
            ("ops/empty", []), ("ops/one", [1]), ("ops/a name with % and spaces", noise(511)),
            ("ops/Größe ✓.yaml", noise(512)), ("spool/deep/er/and/deeper/x", noise(513)),
            ("spool/" + String(repeating: "long/", count: 38) + "x", noise(10)),
            ("spool/exact", noise(1 << 20)), ("spool/above", noise((1 << 20) + 1)),
            ("spool/large", noise(3_500_000)),
        ]
    }()

    private func make(_ folder: Directory, _ packing: Packing = .zstd, files: [(String, [UInt8])] = files)
        throws
        -> BundleManifest
    {
        let writer = try BundleWriter(in: folder, BundleForm(packing), threads: 2) { _, _ in }
        for (index, file) in files.enumerated() {
            if index % 2 == 0 {
                try writer.add(file.0, .config, bytes: file.1, mode: 0o600, modified: Int64(index))
            } else {
                let source = try folder.openForUpdate("source", mode: 0o666)
                try source.truncate(to: 0)
                try source.write(file.1, at: 0)
                try writer.add(file.0, .results, source)
            }
        }
        return try writer.finish(BundleTests.head, as: "bundle", checking: {})
    }

    @Test("what goes in comes out", arguments: Packing.allCases) func roundTrip(_ packing: Packing) throws {
        let folder = try Folder(in: "/dev/shm"), stage = try folder.folder("stage")
        let made = try make(folder.directory, packing)
        let bundle = try folder.directory.openForReading("bundle")
        #expect(try folder.listing() == ["bundle", "source", "stage"])
        #expect(try BundleReader(bundle).manifest().text == made.text)
        #expect(made.rows.map(\.mode) == [0o600, 0o644, 0o600, 0o644, 0o600, 0o644, 0o600, 0o644, 0o600])
        let read = try BundleReader(bundle).read(
            base: noBase, to: BundleStage(stage, wanted: { $0.path != "ops/one" }, check: { _ in }))
        #expect(read.epoch == 2 && read.spool == "SPOOL" && read.rows == made.rows)
        for (path, content) in BundleTests.files {
            let found = FileManager.default.contents(atPath: folder.path + "/stage/" + path)
            #expect(found.map(Array.init) == (path == "ops/one" ? nil : content), "\(path)")
        }
    }

    @Test("the same bytes stream through tar", arguments: [Packing.gzip, .none]) func otherProgram(
        _ packing: Packing
    ) throws {
        let folder = try Folder(in: "/dev/shm"), stage = try folder.folder("stage")
        let made = try make(folder.directory, packing)
        let answer = try BriefProcess.ask(
            ["tar", packing == .gzip ? "-xzf" : "-xf", folder.path + "/bundle", "-C", stage.path],
            patience: 60)
        #expect(answer?.isGood == true)
        for (path, content) in BundleTests.files {
            #expect(
                FileManager.default.contents(atPath: folder.path + "/stage/" + path).map(Array.init)
                    == content)
        }
        #expect(
            try Array(Data(contentsOf: URL(fileURLWithPath: folder.path + "/stage/MANIFEST"))) == made.text)
    }

    @Test("a file that becomes shorter is filled up, and told; two names that look the same are two")
    func odd() throws {
        let folder = try Folder(in: "/dev/shm")
        let file = try folder.directory.create("log")
        try file.append([UInt8](repeating: 7, count: 3 << 20))
        let source = try folder.directory.openForReading("log")
        var isCut = false
        let writer = try BundleWriter(in: folder.directory, BundleForm(.none), threads: 1) { _, _ in
            if !isCut { ftruncate(file.fd, 1 << 21) }
            isCut = true
        }
        try writer.add("spool/log/x", .logs, source)
        for name in ["ops/cafe\u{301}", "ops/caf\u{e9}"] {
            try writer.add(name, .config, bytes: [1], mode: 0o644, modified: 0)
        }
        #expect(throws: BundleProblem.self) {
            try writer.add("ops/caf\u{e9}", .config, bytes: [1], mode: 0o644, modified: 0)
        }
        let made = try writer.finish(BundleTests.head, as: "bundle", checking: {})
        #expect(made.rows.map(\.size) == [3 << 20, 1, 1])
        #expect(made.leftOut["spool/log/x"]?.contains("from byte 2097152 on there are zeros") == true)
        #expect(try BundleReader(folder.directory.openForReading("bundle")).verify().rows.count == 3)
    }

    @Test("a bundle without files is one") func empty() throws {
        let folder = try Folder(in: "/dev/shm")
        for packing in Packing.allCases {
            let writer = try BundleWriter(in: folder.directory, BundleForm(packing), threads: 1) { _, _ in }
            _ = try writer.finish(BundleTests.head, as: "b\(packing)", checking: {})
            let bundle = try folder.directory.openForReading("b\(packing)")
            #expect(try BundleReader(bundle).manifest().rows.isEmpty)
            #expect(try BundleReader(bundle).verify().rows.isEmpty)
        }
    }

    @Test("only whole lines of what is being written") func wholeLines() throws {
        let folder = try Folder(in: "/dev/shm")
        let writer = try BundleWriter(in: folder.directory, BundleForm(.none), threads: 1) { _, _ in }
        for (name, text, size) in [("a", "one\ntwo", 4), ("b", "half", 0), ("c", "x\n", 2), ("d", "", 0)] {
            try folder.put(name, text)
            let row = try writer.add(
                "spool/\(name)", .history, folder.directory.openForReading(name), wholeLines: true)
            #expect(writer.rows[row].size == size)
        }
        let long = String(repeating: "x", count: 3 << 20)
        try folder.put("e", "first\n" + long)
        let row = try writer.add(
            "spool/e", .history, folder.directory.openForReading("e"), wholeLines: true)
        #expect(writer.rows[row].size == 6)
        try writer.abandon()
        #expect(try folder.listing() == ["a", "b", "c", "d", "e"])
    }

    @Test("each call of making a bundle fails: it is there whole, or not at all") func faults() throws {
        final class World {
            let folder: Folder
            init() throws { folder = try Folder(in: "/dev/shm") }
        }
        let files = Array(BundleTests.files.prefix(4))
        let points = try FaultLoop.run(make: { try World() }) { world in
            _ = try make(world.folder.directory, .none, files: files)
        } check: { world, outcome in
            let names = try world.folder.listing()
            // What is left over is hidden, and named after its maker.
            for name in names where !["bundle", "source"].contains(name) {
                guard name.hasPrefix(".\(Host.processID)-"), name.hasSuffix(".tmp") else {
                    throw Wrong("left: \(name)")
                }
            }
            if outcome.error == nil, !names.contains("bundle") { throw Wrong("told, but not there") }
            guard names.contains("bundle") else { return }
            let manifest = try BundleReader(world.folder.directory.openForReading("bundle")).verify()
            guard manifest.rows.map(\.path) == files.map(\.0) else { throw Wrong("not all of it") }
        }
        #expect(points > 300)
    }
    private struct Wrong: Error, CustomStringConvertible {
        var description: String
        init(_ description: String) { self.description = description }
    }

    @Test("what dead makers left is removed, what living ones have is not") func leftovers() throws {
        let folder = try Folder(in: "/dev/shm")
        let nonce = Clocks.nonce()
        let others = [
            ".999999999-photos.tmp", ".\(Host.processID)-\(nonce).tmp", ".x-\(nonce).tmp", "bobbin_1.tar",
        ]
        for name in others + [".999999999-\(nonce).tmp"] {
            let made = try folder.folder(name)
            _ = try made.create("body")
            try made.setMode(0o700)
        }
        // Others may look into it: so it is none of ours.
        try folder.folder(".999999998-\(nonce).tmp").setMode(0o755)
        try folder.put(".999999997-\(nonce).tmp", "a file")
        #expect(try BundleWriter.removeLeftovers(in: folder.directory) == 1)
        #expect(
            try folder.listing()
                == (others + [".999999998-\(nonce).tmp", ".999999997-\(nonce).tmp"]).sorted())
    }

    @Test("a manifest is read as it was written, and each byte of it counts") func manifests() throws {
        var manifest = BundleTests.head
        manifest.inFlight = [.init(run: "r", job: "a \"job\"\n", state: "waiting (approval)")]
        manifest.leftOut = ["ops/key": "it holds a private key"]
        manifest.rows = [
            .init(
                path: "ops/ü %41", kind: .config, mode: 0o755, size: 0, modified: -5,
                hash: ContentHash(of: [])),
            .init(
                path: "spool/x", kind: .taken, mode: 0, size: 1 << 40, modified: .max,
                hash: ContentHash(of: [1])),
        ]
        let text = manifest.text
        let read = try BundleManifest(text)
        #expect(read.text == text && read.rows == manifest.rows && read.inFlight == manifest.inFlight)
        for length in 0..<text.count {
            #expect(throws: BundleProblem.self) { _ = try BundleManifest(Array(text.prefix(length))) }
        }
        // Reading is total, and what is accepted is what would be written.
        for index in text.indices {
            for bit in 0..<8 {
                var other = text
                other[index] ^= UInt8(1 << bit)
                guard let read = try? BundleManifest(other) else { continue }
                // The first line may be written otherwise; each other is what we would have written.
                #expect(
                    read.text.split(separator: 0x0A).dropFirst().elementsEqual(
                        other.split(separator: 0x0A).dropFirst()),
                    "byte \(index), bit \(bit)")
            }
        }
    }
}
