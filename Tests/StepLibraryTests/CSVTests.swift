// What this is: CSV both ways: typed columns, and rows written so that every reader gets them back.
// Owns: nothing.
// Never: trusts our own reader alone: Python's csv module reads what we write where there is one.
// On failure: the rows are in the message.
import JobModel
import LinuxSystem
import Testing

@testable import StepLibrary

@Suite struct CSVTests {
    @Test func columnsGetTheirTypes() throws {
        let site = try TestSite()
        try site.file("t.csv", "id,name,sum,paid,day\n7,Ada,1.5e1,yes,2026-11-21\n,\"\",,,\n")
        let types: ValueMap = [
            "id": .string("integer"), "sum": .string("number"), "paid": .string("flag"),
            "day": .string("date"),
        ]
        let outputs = try site.perform(
            "read_file", ["path": .string("t.csv"), "parse": .string("csv"), "types": .map(types)])
        let rows = outputs["rows"]?.listValue ?? []
        #expect(
            rows.first
                == .map([
                    "id": .int(7), "name": .string("Ada"), "sum": .double(15), "paid": .bool(true),
                    "day": .string("2026-11-21"),
                ]))
        #expect(
            rows.last
                == .map(["id": .null, "name": .string(""), "sum": .null, "paid": .null, "day": .null]))
    }

    @Test(arguments: [
        ("integer", "1.5"), ("integer", "9223372036854775808"), ("number", "nan"), ("number", "1,5"),
        ("number", "1e999"), ("flag", "maybe"), ("date", "2026-02-30"), ("date", "21.11.2026"),
    ]) func whatDoesNotFitIsNamed(kind: String, cell: String) throws {
        let site = try TestSite()
        try site.file("t.csv", "a;x\n1;\"two\nlines\"\n\n2;\"\(cell)\"\n")
        let failure = try site.failure(
            "read_file",
            [
                "path": .string("t.csv"), "parse": .string("csv"), "separator": .string(";"),
                "types": .map(["x": .string(kind)]),
            ])
        #expect(failure.code == "E-CSV", "\(failure)")
    }

    @Test func aRowIsNamedByItsNumber() throws {
        let site = try TestSite()
        try site.file("t.csv", "a,x\n1,1\n\n2,oops\n")
        let arguments: ValueMap = [
            "path": .string("t.csv"), "parse": .string("csv"), "types": .map(["x": .string("integer")]),
        ]
        #expect(
            try site.failure("read_file", arguments).message
                == "row 4, column `x`: `oops` is no whole number".replacing("whole number", with: "integer"))
        let unknown: ValueMap = [
            "path": .string("t.csv"), "parse": .string("csv"), "types": .map(["y": .string("integer")]),
        ]
        #expect(try site.failure("read_file", unknown).code == "E-STEP-PARAM")
        let kind: ValueMap = [
            "path": .string("t.csv"), "parse": .string("csv"), "types": .map(["x": .string("int")]),
        ]
        #expect(try site.failure("read_file", kind).whatToDo.contains("integer"))
    }

    private static let cells = [
        "", " ", "a", "a b", " lead", "trail ", "\"", "\"\"", "a,b", "a;b", "line\nend", "cr\rlf\r\n", "é",
        "'", "\t", "\"\u{301}", "x\"\u{200D}y",
    ]

    @Test func whatIsWrittenIsReadBack() throws {
        let site = try TestSite()
        var state: UInt64 = 17
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for round in 0..<60 {
            let columns = (0...next(4)).map { "c\($0)" }
            let rows: [Value] = (0..<next(6)).map { _ in
                .map(
                    ValueMap(
                        distinct: columns.map { ($0, .string(CSVTests.cells[next(CSVTests.cells.count)])) }))
            }
            let separator = [",", ";", "tab"][next(3)]
            let file = "t\(round).csv"
            _ = try site.perform(
                "write_file",
                [
                    "path": .string(file), "content": .list(rows), "format": .string("csv"),
                    "columns": .texts(columns), "separator": .string(separator),
                ])
            let read = try site.perform(
                "read_file",
                ["path": .string(file), "parse": .string("csv"), "separator": .string(separator)])
            #expect(read["rows"] == .list(rows), "round \(round): \(rows)")
            #expect(read["columns"] == .texts(columns))
            guard Host.program("python3", path: "/usr/bin:/bin:/usr/local/bin") != nil else { continue }
            let script = """
                import csv, json, sys
                with open(sys.argv[1], newline="") as f:
                    rows = list(csv.reader(f, delimiter="\\t" if sys.argv[2] == "tab" else sys.argv[2], strict=True))
                print(json.dumps(rows[1:]))
                """
            let other = try site.perform(
                "run",
                [
                    "argv": .texts(["python3", "-c", script, file, separator]), "parse": .string("json"),
                    "cwd": .string(site.path),
                ])
            let wanted = rows.map { row in Value.list((row.mapValue ?? [:]).entries.map(\.value)) }
            #expect(other["json"] == .list(wanted), "round \(round)")
        }
    }

    @Test func formsOfWriting() throws {
        let site = try TestSite()
        func write(_ content: Value, _ format: String, _ more: ValueMap = [:]) throws -> String? {
            var arguments: ValueMap = ["path": .string("f"), "content": content, "format": .string(format)]
            arguments.merge(more)
            _ = try site.perform("write_file", arguments)
            return site.text("f")
        }
        #expect(try write(.texts(["a", "b"]), "lines") == "a\nb\n")
        #expect(try write(.string("a"), "json") == "\"a\"\n")
        #expect(try write(.list([.map(["x": .int(1), "y": .null])]), "csv") == "x,y\n1,\n")
        #expect(
            try write(.list([.list([.int(1), .string("b")])]), "csv", ["columns": .texts(["n", "t"])])
                == "n,t\n1,b\n")
        #expect(try write(.list([.map(["x": .int(1)])]), "csv", ["header": .bool(false)]) == "1\n")
        let stray = try site.failure(
            "write_file",
            [
                "path": .string("f"), "format": .string("csv"),
                "content": .list([.map(["x": .int(1)]), .map(["z": .int(1)])]),
            ])
        #expect(stray.message.contains("`z`"))
        #expect(
            try site.failure(
                "write_file", ["path": .string("f"), "format": .string("csv"), "content": .string("x")]
            ).code == "E-STEP-PARAM")
    }
}
