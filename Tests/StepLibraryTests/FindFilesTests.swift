// What this is: queries as pure judgements, and the walk on a real tree.
// Owns: nothing.
// Never: depends on today's date: the calendar is given.
// On failure: the query is in the message.
import JobModel
import LinuxSystem
import Testing

@testable import StepLibrary

@Suite struct FindFilesTests {
    // Saturday 2026-11-21, 07:41 UTC, 08:41 in the zone.
    static let calendar = QueryCalendar(
        now: Timestamp(rfc3339: "2026-11-21T07:41:00Z") ?? Timestamp(seconds: 0), zoneOffset: { _ in 3600 })

    private func facts(
        _ name: String, _ modified: String = "2026-11-21T07:00:00Z", size: Int = 100,
        in folders: [String] = []
    )
        -> FileFacts
    {
        let time = Timestamp(rfc3339: modified)?.nanoseconds ?? 0
        return FileFacts(name: name, folders: folders, size: size, modified: time)
    }
    private func matches(_ query: String, _ facts: FileFacts) throws -> Bool {
        try FileQuery(query, calendar: FindFilesTests.calendar).matches(facts)
    }

    @Test(arguments: [
        ("", true), ("kind:pdf", true), ("kind:image", false), ("ext:pdf", true), ("ext:.PDF", true),
        ("ext:csv", false),
        ("name:*inv*", true), ("name:inv*", true), ("name:*inv", false), ("name:INVOICE_?.pdf", true),
        ("voice", true),
        ("-voice", false), ("-kind:image", true), ("kind:pdf size:>1KiB", false),
        ("kind:image OR voice", true),
        ("kind:image OR csv", false), ("kind:image pdf OR name:*1* ext:pdf", true), ("size:<1KiB", true),
        ("size:>99", true),
        ("size:>100", false), ("size:<101", true), ("size:<100", false), ("in:2026", true),
        ("in:a/2026", true),
        ("in:2026/a", false), ("in:20", false), ("-in:b", true), ("\"Invoice_1\"", true),
        ("kind:document", true),
    ])
    func termsMean(query: String, expected: Bool) throws {
        #expect(try matches(query, facts("Invoice_1.pdf", in: ["a", "2026"])) == expected)
    }

    @Test(arguments: [
        ("modified:today", "2026-11-20T22:59:59Z", false), ("modified:today", "2026-11-20T23:00:00Z", true),
        ("modified:yesterday", "2026-11-20T22:59:59Z", true),
        ("modified:yesterday", "2026-11-19T22:59:59Z", false),
        ("modified:this week", "2026-11-15T23:00:00Z", true),
        ("modified:this week", "2026-11-15T22:59:00Z", false),
        ("modified:last week", "2026-11-15T22:59:00Z", true),
        ("modified:last week", "2026-11-08T23:00:00Z", true),
        ("modified:last week", "2026-11-08T22:59:00Z", false), ("modified:>7d", "2026-11-14T07:40:59Z", true),
        ("modified:>7d", "2026-11-14T07:41:01Z", false), ("modified:<2h", "2026-11-21T05:42:00Z", true),
        ("modified:<2h", "2026-11-21T05:40:00Z", false),
        ("-modified:last week", "2026-11-21T05:40:00Z", true),
    ])
    func timesMean(query: String, time: String, expected: Bool) throws {
        #expect(try matches(query, facts("x", time)) == expected)
    }

    @Test func midnightFollowsTheZoneThroughItsChange() throws {
        // Central Europe leaves summer time on 2026-10-25 at 01:00 UTC: that day begins at +2 and ends at +1.
        let change: Int64 = 1_792_890_000
        let calendar = QueryCalendar(
            now: Timestamp(seconds: change + 36_000), zoneOffset: { $0 < change ? 7200 : 3600 })
        let range = try #require(calendar.range("today"))
        #expect(Timestamp(nanoseconds: range.lowerBound).rfc3339 == "2026-10-24T22:00:00.000Z")
        #expect(Timestamp(nanoseconds: range.upperBound).rfc3339 == "2026-10-25T23:00:00.000Z")
    }

    @Test(arguments: [
        "colour:red", "kind:invoice", "kind:", "size:10MB", "size:>x", "modified:soon", "modified:7d", "OR a",
        "a OR", "-",
        "\"open", "a OR OR b",
    ])
    func whatMeansNothingIsRefused(query: String) throws {
        let failure = try TestSite().failure("find_files", ["query": .string(query)])
        #expect(failure.code == "E-FIND-QUERY" && failure.retry == .never && !failure.whatToDo.isEmpty)
    }

    @Test func aTreeIsSearched() throws {
        let site = try TestSite()
        for name in ["in/b.pdf", "in/a.pdf", "in/sub/c.pdf", "in/.hidden/d.pdf", "in/.e.pdf", "in/x.txt"] {
            try site.file(name, "1234")
        }
        let roots = Value.texts(["in"])
        let found = try site.perform("find_files", ["query": .string("kind:pdf"), "roots": roots])
        #expect(site.relative(found["files"]) == ["in/a.pdf", "in/b.pdf", "in/sub/c.pdf"])
        #expect(found["count"] == .int(3) && found["total_bytes"] == .int(12))
        #expect(found["first"] == .string(site.path + "/in/a.pdf"))
        let flat = try site.perform("find_files", ["roots": roots, "recursive": .bool(false)])
        #expect(site.relative(flat["files"]) == ["in/a.pdf", "in/b.pdf", "in/x.txt"])
        let hidden = try site.perform(
            "find_files", ["roots": roots, "hidden": .bool(true), "include_dirs": .bool(true)])
        #expect(hidden["count"] == .int(8))
        let twice = try site.perform("find_files", ["roots": .texts(["in", "./in/sub", site.path + "/in"])])
        #expect(twice["count"] == .int(4))
    }

    @Test func nothingFoundIsNoError() throws {
        let found = try TestSite().perform("find_files", ["query": .string("kind:pdf")])
        #expect(found["count"] == .int(0) && found["first"] == .null && found["files"] == .list([]))
    }

    @Test func moreThanTheLimitIsAnErrorUnlessAskedFor() throws {
        let site = try TestSite()
        for number in 1...5 {
            try site.file("in/\(number)", String(repeating: "x", count: 9 - number), age: Int64(number))
        }
        var arguments: ValueMap = ["roots": .texts(["in"]), "limit": .int(2)]
        #expect(try site.failure("find_files", arguments).code == "E-FIND-LIMIT")
        arguments["truncate"] = .bool(true)
        let cut = try site.perform("find_files", arguments)
        #expect(site.relative(cut["files"]) == ["in/1", "in/2"] && cut["truncated"] == .bool(true))
        arguments["sort"] = .string("mtime")
        #expect(site.relative(try site.perform("find_files", arguments)["files"]) == ["in/5", "in/4"])
        arguments["sort"] = .string("size")
        #expect(site.relative(try site.perform("find_files", arguments)["files"]) == ["in/5", "in/4"])
    }

    @Test func linksAndFIFOsAreNoFiles() throws {
        let site = try TestSite()
        try site.file("in/real")
        _ = try site.perform(
            "shell",
            ["script": .string("ln -s . in/loop; ln -s real in/alias; mkfifo in/pipe"), "cwd": .string(".")])
        #expect(
            site.relative(try site.perform("find_files", ["roots": .texts(["in"])])["files"]) == ["in/real"])
    }

    @Test func whatCannotBeReadIsCounted() throws {
        let site = try TestSite()
        let context = FakeContext(site)
        _ = try site.perform(
            "shell",
            ["script": .string("mkdir in && printf x > \"$(printf 'in/caf\\351')\" && echo > in/ok")], context
        )
        let found = try site.perform("find_files", ["roots": .texts(["in"])], context)
        #expect(found["count"] == .int(1) && found["skipped"] == .int(1))
        #expect(context.lines.contains { $0.contains("not UTF-8") })
        // The fixture reads names as text, too, and could not remove this one.
        _ = try site.perform("run", ["argv": .texts(["rm", "-r", "in"])])
        #expect(try site.failure("find_files", ["roots": .texts(["none"])]).code == "E-FILE-MISSING")
    }

    @Test func aStopEndsTheSearch() throws {
        let site = try TestSite()
        let context = FakeContext(site)
        context.checkpointsLeft = 0
        #expect(try site.failure("find_files", [:], context).code == "E-STOPPED")
    }
}
