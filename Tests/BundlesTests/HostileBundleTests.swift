// What this is: bundles that somebody made to do harm, or that a disk has spoiled: none of them gets beyond its own directory.
// Owns: the kinds of harm; each in four places of the archive and in three packings.
// Never: asserts more than the promise: it is refused, and what lies beside the stage is as it was.
// On failure: names the kind, the place and the packing.
import Foundation
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import Archives
@testable import Bundles

@Suite struct HostileBundleTests {
    typealias Entry = TarForge.Entry

    /// An archive that can be wrong, with the manifest that goes with it.
    struct Forged {
        var files: [(path: String, content: [UInt8])] = (0..<4).map {
            ("ops/file\($0)", Array("content of \($0)\n".utf8))
        }
        /// By the place of a file: what stands there instead of its entry.
        var instead: [Int: [Entry]] = [:]
        /// Lines of the manifest that stand there instead.
        var lines: [Int: String] = [:]
        var manifestName = BundleManifest.name
        var manifestPlace = 0
        var end: [Entry] = []
        /// Cut off at this part of its bytes.
        var cut: Double?

        func bytes(_ packing: Packing) throws -> [UInt8] {
            var manifest = BundleManifest(
                id: "x", takenAt: Timestamp(seconds: 1), spool: "s", host: "h", epoch: 0, program: "0")
            manifest.rows = files.map {
                .init(
                    path: $0.path, kind: .config, mode: 0o644, size: $0.content.count, modified: 0,
                    hash: ContentHash(of: $0.content))
            }
            var text = String(decoding: manifest.text, as: UTF8.self).split(
                separator: "\n", omittingEmptySubsequences: false
            ).map(String.init)
            for (place, line) in lines { text[1 + place] = line }
            var entries = files.enumerated().flatMap { place, file in
                instead[place] ?? [Entry(name: file.path, content: file.content)]
            }
            entries.insert(
                Entry(name: manifestName, content: Array(text.joined(separator: "\n").utf8)),
                at: manifestPlace)
            let bytes = try TarForge.archive(entries + end, packing)
            return cut.map { Array(bytes.prefix(Int(Double(bytes.count) * $0))) } ?? bytes
        }
    }

    struct Harm: Sendable, CustomTestStringConvertible {
        var name: String
        var forge: @Sendable (inout Forged, Int) -> Void
        var testDescription: String { name }
    }
    /// The same name in the archive and in its manifest.
    private static func named(_ what: String, _ path: String) -> Harm {
        Harm(name: what) { forged, place in forged.files[place].path = path }
    }
    private static func typed(
        _ what: String, _ type: Character, link: String = "", keepsContent: Bool = false
    ) -> Harm {
        Harm(name: what) { forged, place in
            let file = forged.files[place]
            forged.instead[place] = [
                Entry(
                    name: file.path, content: keepsContent ? file.content : [], type: type.asciiValue ?? 0,
                    link: link)
            ]
        }
    }
    static let harms: [Harm] = [
        named("above", "../evil"), named("above, later", "ops/../../evil"), named("absolute", "/tmp/evil"),
        named("itself", "ops/./evil"), named("an empty part", "ops//evil"), named("no name", ""),
        named("a control character", "ops/\u{1B}[2Jevil"), named("a newline", "ops/a\nb"),
        named("deep", (0..<60).map { "d\($0 % 10)" }.joined(separator: "/")),
        Harm(name: "a name that is not the manifest's") { forged, place in
            forged.instead[place] = [Entry(name: "../evil", content: forged.files[place].content)]
        },
        Harm(name: "a long part, by pax") { forged, place in
            let name = "ops/" + String(repeating: "x", count: 300)
            let content = forged.files[place].content
            forged.files[place].path = name
            forged.instead[place] = [TarForge.pax([("path", name)]), Entry(name: "ops/x", content: content)]
        },
        typed("a symbolic link", "2", link: "/etc/passwd"), typed("a hard link", "1", link: "ops/file0"),
        typed("a hard link with data", "1", link: "../canary", keepsContent: true),
        typed("a character device", "3"), typed("a block device", "4"), typed("a FIFO", "6"),
        typed("a directory", "5"),
        Harm(name: "a link, then a file through it") { forged, place in
            forged.instead[place] = [
                Entry(name: "ops/dir", type: UInt8(ascii: "2"), link: "/tmp"),
                Entry(name: "ops/dir/evil", content: forged.files[place].content),
            ]
        },
        Harm(name: "setuid in the manifest") { forged, place in
            let file = forged.files[place]
            forged.lines[place] =
                "\(ContentHash(of: file.content).text) config 4755 \(file.content.count) 0 \(file.path)"
        },
        Harm(name: "twice in the archive") { forged, place in
            let file = forged.files[place], entry = Entry(name: file.path, content: file.content)
            forged.instead[place] = [entry, entry]
        },
        Harm(name: "twice in the manifest") { forged, place in
            forged.files[place] = forged.files[(place + 1) % 4]
        },
        Harm(name: "a file that is not in the manifest") { forged, place in
            let file = forged.files[place]
            forged.instead[place] = [
                Entry(name: "ops/extra", content: [1]), Entry(name: file.path, content: file.content),
            ]
        },
        Harm(name: "one behind the last") { forged, place in
            forged.end = [Entry(name: "ops/extra\(place)", content: [1])]
        },
        Harm(name: "one is missing") { forged, place in forged.instead[place] = [] },
        Harm(name: "another content") { forged, place in
            var content = forged.files[place].content
            content[place] ^= 1
            forged.instead[place] = [Entry(name: forged.files[place].path, content: content)]
        },
        Harm(name: "longer") { forged, place in
            forged.instead[place] = [
                Entry(name: forged.files[place].path, content: forged.files[place].content + [0])
            ]
        },
        Harm(name: "shorter") { forged, place in
            forged.instead[place] = [
                Entry(name: forged.files[place].path, content: forged.files[place].content.dropLast())
            ]
        },
        Harm(name: "a size that is not there") { forged, place in
            let file = forged.files[place]
            forged.instead[place] = [Entry(name: file.path, content: file.content, size: 1 << 32)]
        },
        Harm(name: "cut off") { forged, place in forged.cut = [0.3, 0.5, 0.6, 0.7][place] },
        Harm(name: "another path, by pax") { forged, place in
            let file = forged.files[place]
            forged.instead[place] = [
                TarForge.pax([("path", "../evil")]), Entry(name: file.path, content: file.content),
            ]
        },
        Harm(name: "another size, by pax") { forged, place in
            let file = forged.files[place]
            forged.instead[place] = [
                TarForge.pax([("size", "99999999999999")]), Entry(name: file.path, content: file.content),
            ]
        },
        Harm(name: "a link, by pax") { forged, place in
            let file = forged.files[place]
            forged.instead[place] = [
                TarForge.pax([("linkpath", "/etc/passwd")]),
                Entry(name: file.path, type: UInt8(ascii: "2"), link: "x"),
            ]
        },
        Harm(name: "ten terabytes of nothing, sparse") { forged, place in
            let file = forged.files[place]
            forged.instead[place] = [
                TarForge.pax([
                    ("GNU.sparse.major", "0"), ("GNU.sparse.minor", "1"), ("GNU.sparse.name", file.path),
                    ("GNU.sparse.size", "10995116277760"), ("GNU.sparse.numblocks", "1"),
                    ("GNU.sparse.map", "10995116277000,10"),
                ]), Entry(name: "GNUSparseFile.0/x", content: Array(file.content.prefix(10))),
            ]
        },
        Harm(name: "in another order") { forged, place in
            let other = (place + 1) % 4
            func entry(_ place: Int) -> Entry {
                Entry(name: forged.files[place].path, content: forged.files[place].content)
            }
            forged.instead = [place: [entry(other)], other: [entry(place)]]
        },
        Harm(name: "a second manifest") { forged, place in
            let file = forged.files[place]
            forged.instead[place] = [
                Entry(name: BundleManifest.name, content: [0x7B, 0x7D, 0x0A]),
                Entry(name: file.path, content: file.content),
            ]
        },
        Harm(name: "no manifest") { forged, place in forged.manifestName = "ops/manifest\(place)" },
        Harm(name: "the manifest is not the first") { forged, place in forged.manifestPlace = place + 1 },
        Harm(name: "a line of the manifest that is none") { forged, place in
            forged.lines[place] =
                ["", "x", String(repeating: "0", count: 64) + " config 644 1 0", "\u{0}"][place]
        },
        Harm(name: "a class that there is not") { forged, place in
            let file = forged.files[place]
            forged.lines[place] =
                "\(ContentHash(of: file.content).text) evil 644 \(file.content.count) 0 \(file.path)"
        },
        Harm(name: "more bytes than there are numbers") { forged, place in
            for other in 0..<4 {
                let file = forged.files[other]
                forged.lines[other] =
                    "\(ContentHash(of: file.content).text) config 644 \(1 << 50) 0 \(file.path)"
            }
            forged.files += (0..<(8_200 + place)).map { ("ops/more\($0)", [1]) }
            for other in 4..<forged.files.count {
                forged.lines[other] =
                    "\(ContentHash(of: [1]).text) config 644 \(1 << 50) 0 \(forged.files[other].path)"
            }
        },
        Harm(name: "a size with a sign") { forged, place in
            let file = forged.files[place]
            forged.lines[place] =
                "\(ContentHash(of: file.content).text) config 644 +\(file.content.count) 0 \(file.path)"
        },
        Harm(name: "a negative size in the manifest") { forged, place in
            let file = forged.files[place]
            forged.lines[place] = "\(ContentHash(of: file.content).text) config 644 -1 0 \(file.path)"
        },
        Harm(name: "a damaged header") { forged, place in
            let file = forged.files[place]
            forged.instead[place] = [Entry(name: file.path, content: file.content, spoiledChecksum: true)]
        },
        Harm(name: "a file as the directory of another") { forged, place in
            let other = place == 0 ? 1 : place - 1
            forged.files[max(place, other)].path = forged.files[min(place, other)].path + "/inner"
        },
    ]

    @Test("each kind of harm is refused, and nothing beside the stage is touched", arguments: harms)
    func harm(_ harm: Harm) throws {
        for packing in Packing.allCases {
            for place in 0..<4 {
                let what: Comment = "\(harm.name), place \(place), \(packing)"
                let folder = try Folder(in: "/dev/shm")
                try folder.put("canary", "untouched")
                let stage = try folder.folder("stage")
                var forged = Forged()
                harm.forge(&forged, place)
                let file = try folder.directory.create("bundle")
                try file.append(try forged.bytes(packing))
                #expect(
                    try refusal(folder, BundleStage(stage, wanted: { _ in true }, check: { _ in }))?.code
                        == "E-ARCH", what)
                #expect(try folder.listing() == ["bundle", "canary", "stage"], what)
                #expect(try folder.text("canary") == "untouched", what)
                #expect(!FileManager.default.fileExists(atPath: "/tmp/evil"), what)
                // Looking at it without a stage says the same.
                #expect(try refusal(folder, Contents())?.code == "E-ARCH", what)
            }
        }
    }

    private func refusal(_ folder: Folder, _ taker: any BundleTaker) throws -> BundleProblem? {
        do {
            _ = try BundleReader(folder.directory.openForReading("bundle")).read(base: noBase, to: taker)
        } catch let
            problem as BundleProblem
        {
            return problem
        }
        return nil
    }

    @Test("what is right is not refused; names that differ in case are two files") func control() throws {
        for packing in Packing.allCases {
            let folder = try Folder(in: "/dev/shm")
            let stage = try folder.folder("stage")
            var forged = Forged()
            forged.files += [("ops/Twin", [1]), ("ops/twin", [2, 2])]
            // What the archive's own header says of rights counts for nothing.
            forged.instead[2] = [
                Entry(name: forged.files[2].path, content: forged.files[2].content, mode: "0006777")
            ]
            try folder.directory.create("bundle").append(try forged.bytes(packing))
            _ = try BundleReader(folder.directory.openForReading("bundle")).read(
                base: noBase,
                to: BundleStage(stage, wanted: { _ in true }, check: { _ in }))
            for file in forged.files {
                let found = try Directory.open(folder.path + "/stage/ops")
                let name = String(file.path.dropFirst(4))
                #expect(try found.openForReading(name).read(upTo: 1000) == file.content)
                #expect(try found.status(name).mode & 0o7777 == 0o644)
            }
        }
    }

    @Test("each bit of a bundle turned over is noticed, or changes nothing") func bits() throws {
        let good = try Forged().bytes(.none)
        let folder = try Folder(in: "/dev/shm")
        var noticed = 0
        func contents(_ bytes: [UInt8], _ name: String) throws -> [String: [UInt8]] {
            let taker = Contents()
            let file = try folder.directory.create(name)
            try file.append(bytes)
            defer { try? folder.directory.remove(name) }
            _ = try BundleReader(folder.directory.openForReading(name)).read(base: noBase, to: taker)
            return taker.files
        }
        let whole = try contents(good, "good")
        for index in good.indices {
            var bytes = good
            bytes[index] ^= UInt8(1 << (index % 8))
            do { #expect(try contents(bytes, "b\(index)") == whole, "byte \(index)") } catch { noticed += 1 }
        }
        #expect(noticed > 1_000)
    }
    private final class Contents: BundleTaker {
        var files: [String: [UInt8]] = [:]
        private var now: [UInt8] = []
        func open(_ manifest: BundleManifest) {}
        func begin(_ row: BundleManifest.Row) { now = [] }
        func take(_ bytes: UnsafeRawBufferPointer) { now += bytes }
        func end(_ row: BundleManifest.Row) { files[row.path] = now }
    }
}
