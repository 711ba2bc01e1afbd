// What this is: the step `sql` with SQLite files, and what psql would be told.
// Owns: a stand-in for psql.
// Never: needs a server.
// On failure: the rows or the script are in the message.
import JobModel
import LinuxSystem
import Testing

@testable import StepLibrary

@Suite struct SqlTests {
    private func sql(
        _ site: TestSite, _ query: String, _ more: ValueMap = [:], _ context: FakeContext? = nil
    ) throws -> ValueMap {
        var arguments: ValueMap = ["database": .string("data.db"), "query": .string(query)]
        arguments.merge(more)
        return try site.perform("sql", arguments, context)
    }
    private func refusal(_ site: TestSite, _ query: String, _ more: ValueMap = [:]) throws -> Failure {
        var arguments: ValueMap = ["database": .string("data.db"), "query": .string(query)]
        arguments.merge(more)
        return try site.failure("sql", arguments)
    }
    private func site() throws -> TestSite {
        let site = try TestSite()
        _ = try sql(
            site,
            "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, sum REAL, raw BLOB); INSERT INTO t VALUES (1, 'Ada', 1.5, x'00ff')",
            ["write": .bool(true), "create": .bool(true)])
        return site
    }

    @Test func valuesAreBoundAndNeverPasted() throws {
        let site = try site()
        let hostile = "x'); DROP TABLE t; --"
        let added = try sql(
            site, "INSERT INTO t (name, sum) VALUES ($2, $1)",
            ["params": .list([.double(2.5), .string(hostile)]), "write": .bool(true)])
        #expect(added["changes"] == .int(1))
        let row = try sql(
            site, "SELECT id, name, sum, raw FROM t WHERE name = :name",
            ["params": .map(["name": .string(hostile)])])
        #expect(
            row["rows"]
                == .list([.map(["id": .int(2), "name": .string(hostile), "sum": .double(2.5), "raw": .null])])
        )
        #expect(
            try sql(site, "SELECT ?, ?", ["params": .list([.bool(true), .null])])["rows"]?.listValue?.count
                == 1)
        #expect(
            try sql(site, "SELECT $1 AS a, $1 AS b, $2 AS c", ["params": .list([.int(7), .texts(["l"])])])[
                "rows"]
                == .list([.map(["a": .int(7), "b": .int(7), "c": .string("[\"l\"]")])]))
        #expect(
            try sql(site, "SELECT raw FROM t WHERE id = 1")["rows"] == .list([.map(["raw": .string("AP8=")])])
        )
        #expect(try sql(site, "SELECT 1 AS x, 2 AS x")["columns"] == .texts(["x", "x_2"]))
        #expect(try sql(site, "SELECT 1 AS x", ["params": .list([])])["count"] == .int(1))
    }

    @Test func withoutWriteNothingChanges() throws {
        let site = try site()
        let failure = try refusal(site, "DELETE FROM t")
        #expect(failure.code == "E-SQL" && failure.whatToDo.contains("write"), "\(failure)")
        #expect(try sql(site, "SELECT count(*) AS n FROM t")["rows"] == .list([.map(["n": .int(1)])]))
        // Of several statements all or none.
        #expect(try refusal(site, "DELETE FROM t; SELECT nonsense", ["write": .bool(true)]).code == "E-SQL")
        #expect(try sql(site, "SELECT count(*) AS n FROM t")["rows"] == .list([.map(["n": .int(1)])]))
    }

    @Test func whatItRefuses() throws {
        let site = try site()
        #expect(try refusal(site, "SELEC 1").message.contains("syntax"))
        #expect(try refusal(site, "SELECT * FROM t", ["limit": .int(0)]).code == "E-SQL-LIMIT")
        #expect(try refusal(site, "SELECT $1").code == "E-SQL")
        #expect(try refusal(site, "SELECT 1", ["params": .string("x")]).code == "E-STEP-PARAM")
        #expect(try refusal(site, "SELECT 1", ["database": .string("none.db")]).code == "E-FILE-MISSING")
        #expect(
            try refusal(
                site, "SELECT 1",
                ["database": .string("ops/x.db"), "write": .bool(true), "create": .bool(true)]
            ).code == "E-PATH-PROTECTED")
        #expect(try refusal(site, "ATTACH DATABASE 'ops/x.db' AS o", ["write": .bool(true)]).code == "E-SQL")
        #expect(!site.exists("ops/x.db"))
        for query in [
            "INSERT INTO t (id) VALUES (9); COMMIT; BEGIN; SELECT nonsense", "/* x */ -- y\n COMMIT",
        ] {
            let failure = try refusal(site, query, ["write": .bool(true)])
            #expect(failure.message.contains("one change"), "\(failure)")
        }
        #expect(try sql(site, "SELECT count(*) AS n FROM t")["rows"] == .list([.map(["n": .int(1)])]))
        _ = try site.perform(
            "shell",
            ["script": .string("ln -s ops/l.db link.db; cp data.db ops/l.db"), "cwd": .string(site.path)])
        #expect(
            try refusal(site, "DELETE FROM t", ["database": .string("link.db"), "write": .bool(true)]).code
                == "E-FILE-KIND")
        for address in [
            "postgres://h/d?password=x", "postgresql://h/d?options=-cx",
            "postgres://h/d?sslmode=a&PASSFILE=x",
        ] {
            #expect(try refusal(site, "SELECT 1", ["database": .string(address)]).code == "E-STEP-PARAM")
        }
        try site.file("text.db", String(repeating: "no database ", count: 100))
        #expect(try refusal(site, "SELECT * FROM t", ["database": .string("text.db")]).code == "E-SQL")
    }

    @Test func aStatementWithoutEndIsEnded() throws {
        let site = try site()
        let endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
        #expect(try refusal(site, endless, ["timeout": .string("50ms")]).retry == .transient)
        let context = FakeContext(site)
        context.checkpointsLeft = 3
        let failure = try site.failure(
            "sql", ["database": .string("data.db"), "query": .string(endless)], context)
        #expect(failure.code == "E-STOPPED")
    }

    @Test func psqlGetsValuesAsLiterals() throws {
        let site = try TestSite()
        try site.program(
            "psql",
            "cat > script; printf '%s\\n' \"$@\" > args; echo \"$PGPASSWORD|$PGOPTIONS\" > env; printf 'id,name\\n1,Ada\\n2,\\342\\220\\200bobbin-null\\342\\220\\200\\n'"
        )
        let context = FakeContext(site)
        context.searchPath = site.programs
        let outputs = try site.perform(
            "sql",
            [
                "database": .string("postgres://night:p%40ss@db.example.com:5433/ledger?sslmode=require"),
                "query": .string("SELECT * FROM t WHERE a = $1 AND b = $2 AND c = $3;"),
                "params": .list([.string("it's \\ $1"), .int(3), .null]),
            ], context)
        #expect(
            outputs["rows"]
                == .list([
                    .map(["id": .string("1"), "name": .string("Ada")]),
                    .map(["id": .string("2"), "name": .null]),
                ]))
        #expect(
            site.text("script")
                == "PREPARE bobbin AS\nSELECT * FROM t WHERE a = $1 AND b = $2 AND c = $3\n;\nEXECUTE bobbin(E'it''s \\\\ $1', 3, NULL);\n"
        )
        #expect(site.text("env")?.hasPrefix("p@ss|-c default_transaction_read_only=on") == true)
        let arguments = site.text("args") ?? ""
        #expect(arguments.contains("--dbname=postgres://night@db.example.com:5433/ledger?sslmode=require"))
        #expect(!arguments.contains("p%40ss"))
        for query in ["SELECT 1 \\! touch pwned", "\\copy t to 'x'"] {
            let failure = try site.failure(
                "sql", ["database": .string("postgres://h/d"), "query": .string(query)], context)
            #expect(failure.code == "E-STEP-PARAM")
        }
    }
}
