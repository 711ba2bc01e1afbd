// What this is: packed days: runs in and out, by another program, with each byte changed and each call failing.
// Owns: a folder per test.
// Never: looks at a site.
// On failure: the byte or the call is in the message.
import Foundation
import Glibc
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import Bundles

@Suite struct PackedDayTests {
    private static let day = "2026-11-20"
    private static let nonce = "0123456789abcdef"

    /// Rising ids; some runs have nothing but a result, some are larger than a piece.
    private static func runs(_ count: Int, seed: UInt64 = 1) -> [(RunID, [PackedDay.File])] {
        var random = SeededRandom(seed: seed)
        var maker = RunIDMaker()
        return (0..<count).map { number in
            let run = maker.next(
                now: Timestamp(seconds: 1_795_000_000), random: (0, UInt64(number) << 20))
            let size = number % 97 == 5 ? 700_000 : Int.random(in: 0...3_000, using: &random)
            let bytes = (0..<size).map { _ in UInt8.random(in: 97...105, using: &random) }
            let stem = "done/\(day)/\(run)~a-job-with-a-long-name-\(number)"
            var files = [
                PackedDay.File("\(stem).result.yaml", bytes, mode: 0o644, modified: 1_795_000_000_000_000_000)
            ]
            if number % 3 != 0 {
                files.append(.init("\(stem).yaml", Array("name: \(number)\n".utf8), mode: 0o440, modified: 0))
            }
            return (run, files)
        }
    }
    private static func write(_ runs: [(RunID, [PackedDay.File])], in folder: Directory) throws -> PackedDay {
        let writer = try PackedDayWriter(day, in: folder, nonce: nonce)
        do {
            for (run, files) in runs { try writer.add(run, files) }
            return try writer.finish(modified: 0)
        } catch {
            // As who packs does; what stays is a leftover.
            try? writer.abandon()
            throw error
        }
    }

    @Test("each run comes out as it went in, and nothing else does", arguments: [0, 1, 2, 400])
    func roundTrip(_ count: Int) throws {
        let folder = try Folder(in: "/dev/shm"), done = try folder.folder("done")
        let runs = PackedDayTests.runs(count)
        let packed = try PackedDayTests.write(runs, in: done)
        #expect(try done.names() == ["2026-11-20.tar.zst"])
        #expect(packed.path == "done/2026-11-20.tar.zst" && packed.day == PackedDayTests.day)
        let read = try PackedDay("2026-11-20.tar.zst", in: done)
        for (run, files) in runs {
            let found = try read.files(of: run)
            #expect(found.map(\.name) == files.map(\.name) && found.map(\.bytes) == files.map(\.bytes))
            #expect(found.map(\.mode) == files.map(\.mode) && found.map(\.modified) == files.map(\.modified))
        }
        #expect(try read.rows().map(\.path) == runs.flatMap { $0.1.map(\.name) })
        for (run, _) in PackedDayTests.runs(count + 1).suffix(1) { #expect(try read.files(of: run).isEmpty) }
        #expect(try read.files(of: RunID("00000000000000000000000000")!).isEmpty)
        #expect(try read.files(of: RunID("7ZZZZZZZZZZZZZZZZZZZZZZZZZ")!).isEmpty)
        if count == 400 { #expect(read.blocks.count > 5) }
        let all = runs.flatMap { $0.1.map(\.name) }
        for length in [1, 10, 17, 18, 19, 21, 23, 26] {
            for (run, _) in runs.enumerated().filter({ $0.offset % 37 == 0 }).map(\.element) {
                let prefix = String(run.text.prefix(length))
                let found = try read.paths(ofRunsFrom: prefix, most: .max)
                #expect(Set(found) == Set(all.filter { $0.dropFirst(16).hasPrefix(prefix) }), "\(prefix)")
            }
        }
        #expect(try read.paths(ofRunsFrom: "0", most: 3).count >= min(3, count))
        for text in ["-7.", "name-39", ".result", "nothing of the kind"] {
            #expect(try read.paths(with: text) == all.filter { $0.contains(text) })
        }
    }

    @Test("tar unpacks it, and sha256sum finds every file of its list") func otherPrograms() throws {
        let folder = try Folder(in: "/dev/shm"), done = try folder.folder("done")
        let runs = PackedDayTests.runs(120)
        _ = try PackedDayTests.write(runs, in: done)
        let out = try folder.folder("out")
        // As text through zstd, which must pass over the table behind the archive.
        let script =
            "cd \(folder.path) && zstd -dqc done/2026-11-20.tar.zst | tar -x -C out && cd out && sha256sum --quiet -c done/2026-11-20/.list && ls done/2026-11-20 | wc -l"
        let answer = try #require(try BriefProcess.ask(["sh", "-c", script], patience: 60))
        #expect(answer.isGood && answer.error.isEmpty, "\(String(decoding: answer.error, as: UTF8.self))")
        let output = String(decoding: answer.output, as: UTF8.self).trimmed
        #expect(output == "\(runs.reduce(0) { $0 + $1.1.count })", "\(output)")
        #expect(try out.names() == ["done"])
    }

    @Test("a second file of a day has another name") func again() throws {
        let folder = try Folder(in: "/dev/shm"), done = try folder.folder("done")
        for _ in 1...3 { _ = try PackedDayTests.write(PackedDayTests.runs(3), in: done) }
        let names = try done.names().sorted()
        #expect(names == ["2026-11-20.2.tar.zst", "2026-11-20.3.tar.zst", "2026-11-20.tar.zst"])
        #expect(names.allSatisfy { PackedDay.day(of: $0) == PackedDayTests.day })
        for name in [
            "2026-11-20", "2026-11-20.x.tar.zst", "2026-1-20.tar.zst", ".2026-11-20-a.tmp", "x.tar.zst",
        ] {
            #expect(PackedDay.day(of: name) == nil, "\(name)")
        }
    }

    @Test("no byte can be changed, and none left out, without its being noticed") func damage() throws {
        let folder = try Folder(in: "/dev/shm"), done = try folder.folder("done")
        let runs = PackedDayTests.runs(3)
        let packed = try PackedDayTests.write(runs, in: done)
        let bytes = try done.openForReading(packed.name).read(upTo: 1 << 20)
        func isNoticed(_ changed: [UInt8]) throws -> Bool {
            try done.remove(packed.name)
            try done.create(packed.name).append(changed)
            do {
                let read = try PackedDay(packed.name, in: done)
                try read.verify()
                // The length of a frame that everybody skips is nobody's.
                return try runs.allSatisfy { try read.files(of: $0.0).map(\.bytes) != $0.1.map(\.bytes) }
            } catch let problem as BundleProblem { return problem.code == "E-PACKED" }
        }
        let frame = try #require(
            bytes.indices.first { Array(bytes[$0...].prefix(4)) == PackedDay.frameMagic })
        for index in stride(from: 0, to: bytes.count, by: 3) where !(frame..<(frame + 8)).contains(index) {
            var changed = bytes
            changed[index] ^= 1 << UInt8(index % 8)
            #expect(try isNoticed(changed), "byte \(index) of \(bytes.count), frame at \(frame)")
        }
        for length in stride(from: 0, to: bytes.count, by: 31) {
            #expect(try isNoticed(Array(bytes[..<length])), "cut at \(length)")
        }
    }

    @Test("each call of packing fails: it is there whole, or not at all") func faults() throws {
        let runs = PackedDayTests.runs(4)
        let points = try FaultLoop.run(make: { try Folder(in: "/dev/shm") }) { folder in
            let done = try Directory.open(folder.path)
            _ = try PackedDayTests.write(runs, in: done)
        } check: { folder, outcome in
            let names = try folder.listing()
            for name in names where name != "2026-11-20.tar.zst" {
                guard PackedDayWriter.isLeftover(name) else { throw Wrong("left: \(name)") }
            }
            guard names.contains("2026-11-20.tar.zst") else {
                if outcome.error == nil { throw Wrong("told, but not there") }
                return
            }
            let packed = try PackedDay("2026-11-20.tar.zst", in: folder.directory)
            try packed.verify()
            guard try packed.rows().count == runs.reduce(0, { $0 + $1.1.count }) else {
                throw Wrong("not all of it")
            }
        }
        #expect(points > 100)
    }
    private struct Wrong: Error, CustomStringConvertible {
        var description: String
        init(_ description: String) { self.description = description }
    }
}
