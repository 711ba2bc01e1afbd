// What this is: end-to-end tests of `bobbin cluster`: any text in, one object a line out.
// Owns: files in a folder of its own.
// Never: needs a site.
// On failure: shows what was printed.
import Foundation
import JobModel
import LinuxSystem
import Testing

@Suite("cluster") struct ClusterTests {
    private static func rows(_ text: String) throws -> [ValueMap] {
        try text.split(separator: "\n").map { line in
            guard case .map(let map) = try JSONReader.read(Array(line.utf8)) else {
                throw CancellationError()
            }
            return map
        }
    }

    @Test("one object a line, in the order of the input; what came before a template was known belongs to it")
    func lines() throws {
        let people = ["anna", "bert", "carla", "dora"]
        let text =
            people.map { "login of \($0) refused by host-1\n\n" }.joined() + "disk /dev/sda1 is \"full\""
        let answer = try Program.call(["cluster", "-", "--json"], input: text)
        let rows = try ClusterTests.rows(answer.out)
        #expect(answer.code == 0 && answer.err.isEmpty)
        #expect(rows.map { $0["line"] } == (1...9).map { .int($0) })
        #expect(
            rows.map { $0["cluster"] }
                == ["c1", "c2", "c1", "c2", "c1", "c2", "c1", "c2", "c3"].map(Value.string))
        #expect(rows[0]["template"] == .string("login of <*> refused by <*>"))
        #expect(rows[1]["template"] == .string("") && rows[8]["template"] == .string("disk <*> is <*>"))
        #expect(
            answer.out.hasPrefix(
                "{\"line\":1,\"cluster\":\"c1\",\"template\":\"login of <*> refused by <*>\"}\n"))
    }

    @Test("several files, bytes that are no text, lines without end, a file that is not there") func files()
        throws
    {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("bobbin-cluster-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        let odd = folder.appendingPathComponent("odd").path, long = folder.appendingPathComponent("long").path
        try Data([0xFF, 0x00, 0x41, 0x0A, 0x0D, 0x0A, 0xC3]).write(to: URL(fileURLWithPath: odd))
        try Data(repeating: 0x78, count: 3 << 20).write(to: URL(fileURLWithPath: long))
        let answer = try Program.call(["cluster", odd, long, odd])
        let rows = try ClusterTests.rows(answer.out)
        #expect(answer.code == 0 && rows.count == 7)
        #expect(rows.map { $0["file"] } == [odd, odd, odd, long, odd, odd, odd].map(Value.string))
        #expect(rows.map { $0["line"] } == [1, 2, 3, 1, 1, 2, 3].map(Value.int))
        #expect(rows[0]["cluster"] == rows[4]["cluster"])

        let missing = try Program.call(["cluster", odd, folder.path + "/none"])
        #expect(missing.code == 74 && missing.out.isEmpty && missing.err.contains("/none"))
        let empty = try Program.call(["cluster", "/dev/null"])
        #expect(empty.code == 0 && empty.out.isEmpty)
        let full = try Program.call(["cluster", "--summary", odd, long])
        #expect(
            full.code == 0 && full.out.split(separator: "\n", omittingEmptySubsequences: false).count >= 4)
    }

    @Test("the summary has the largest first") func summary() throws {
        let text = (1...12).map { "took \($0) ms\n" }.joined() + "no such file\nno such file\n"
        let answer = try Program.call(["cluster", "-", "--summary"], input: text)
        #expect(answer.out == "12  took <*>\n 2  no such file\n")
        #expect(try Program.call(["cluster", "-", "--summary", "--json"]).code == 2)
    }
}
