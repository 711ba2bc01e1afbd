// What this is: the step `sql`: a question to, or a change of, an SQLite file or a PostgreSQL database.
// Owns: its table entry; the hand-over to psql; the form of rows.
// Never: puts a value into the text of a statement unquoted; changes anything unless `write: true`.
// On failure: E-SQL with the database's own words.
import JobModel
import LinuxSystem

struct SqlStep: StepAction {
    let query: @Sendable (SQLiteQuery) throws(Failure) -> SQLiteAnswer
    static let table = StepType(
        "sql", "Asks or changes a database: an SQLite file, or PostgreSQL through psql.",
        parameters: [
            Parameter("database", .text, required: true, "an SQLite file, or postgres://user@host/name"),
            Parameter("query", .text, required: true, "SQL; values stand in it as $1, $2 or (SQLite) :name"),
            Parameter("params", .any, default: .list([]), "the values: a list, or for :name a map")
                .takingSecrets,
            Parameter(
                "write", .flag, default: .bool(false),
                "may change data; without it the connection is read-only, against mistakes"
            ),
            Parameter(
                "create", .flag, default: .bool(false), "SQLite with write: make the file where it is missing"
            ),
            Parameter("limit", .integer, default: .int(1000), range: 0...100_000, "more rows are an error"),
            Parameter("password", .text, "for PostgreSQL; take it from a secret").takingSecrets,
            Parameter("timeout", .span, default: .string("5m"), "for one question"),
        ],
        retryClass: .atMostOnce,
        // A change that is not known yet (a template) counts as one.
        repeatableWhen: { ($0["write"] ?? .bool(false)) == .bool(false) },
        outputs: [
            ("rows", "a list of maps by column; from PostgreSQL all values are texts or null"),
            ("columns", "their names"), ("count", "how many rows"),
            ("changes", "SQLite: how many rows were changed"),
        ],
        example:
            "sql: {database: data/ledger.db, query: \"SELECT * FROM entries WHERE day = $1\", params: [2026-11-21]}",
        effect: .changesDatabase)
    var type: StepType { SqlStep.table }

    func target(_ arguments: ValueMap) -> String? {
        TargetName.find(inURL: arguments.text("database"), ports: ["postgres": 5432, "postgresql": 5432])
    }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let name = arguments.text("database")
        let isPostgres = name.hasPrefix("postgres://") || name.hasPrefix("postgresql://")
        let values: SQLiteQuery.Values
        switch arguments["params"] ?? .null {
        case .list(let items): values = .list(items)
        case .map(let map): values = .map(map)
        default: throw .parameter("`params` is a list or a map")
        }
        let limit = arguments.integer("limit")
        let answer: SQLiteAnswer
        if isPostgres {
            guard case .list(let items) = values else {
                throw .parameter("PostgreSQL takes `params` as a list", whatToDo: "write $1, $2 in the query")
            }
            answer = try Postgres(arguments, context).perform(items, limit: limit)
        } else {
            answer = try file(name, values, arguments, context)
        }
        guard !answer.isCut else {
            throw Failure(
                "E-SQL-LIMIT", "more than \(limit) rows",
                whatToDo: "narrow the query, end it with LIMIT, or raise `limit`", retry: .never)
        }
        let outputs: ValueMap = [
            "rows": .list(answer.rows.map(Value.map)), "columns": .texts(answer.columns),
            "count": .int(answer.rows.count), "changes": .int(answer.changes),
        ]
        return try outputs.withinLimit(instead: "ask for less, or let a program write a file")
    }

    private func file(
        _ name: String, _ values: SQLiteQuery.Values, _ arguments: ValueMap, _ context: any StepContext
    ) throws(Failure) -> SQLiteAnswer {
        let path = try SitePath(name, context).named()
        let (mayWrite, mayCreate) = (arguments.flag("write"), arguments.flag("create"))
        if mayWrite {
            // SQLite writes beside the file, too.
            let directory = try OpenDirectories(context).writable(path)
            let status = try onDisk("look at \(path.absolute)") { () throws(SystemError) in
                try directory.statusIfPresent(path.name)
            }
            guard status == nil || status?.kind == .regular else {
                throw Failure(
                    "E-FILE-KIND", "\(path.absolute) is a \(status?.kindName ?? ""), not a file",
                    whatToDo: "name the file itself; links are not followed where something is written",
                    retry: .never)
            }
        }
        if !(mayWrite && mayCreate) { _ = try SourceFile(reading: path) }
        let end = Clocks.monotonic + arguments.span("timeout").nanoseconds
        let span = arguments.span("timeout")
        return try query(
            SQLiteQuery(
                path: path.absolute, sql: arguments.text("query"), values: values, mayWrite: mayWrite,
                mayCreate: mayCreate, mostRows: arguments.integer("limit"),
                checkpoint: { () throws(Failure) in
                    try context.checkpoint()
                    guard Clocks.monotonic < end else { throw SqlStep.late(span) }
                }))
    }

    static func late(_ span: Span) -> Failure {
        Failure(
            "E-SQL", "the statement took longer than \(span.text)",
            whatToDo: "raise `timeout`, or look for a missing index or a lock", retry: .transient)
    }
}

/// One question to PostgreSQL. Values go in as literals of an EXECUTE, so the statement itself never holds them.
struct Postgres {
    let arguments: ValueMap
    let context: any StepContext
    private let address: String
    private let password: String?

    init(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) {
        self.arguments = arguments
        self.context = context
        let given = arguments.text("database")
        var password = arguments.optionalText("password")
        // A password in the address would stand on psql's command line, where every account could read it.
        let head = given.hasPrefix("postgres://") ? "postgres://" : "postgresql://"
        let rest = given.dropFirst(head.utf8.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        if let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") {
            password = password ?? Postgres.decoded(String(authority[authority.index(after: colon)..<at]))
            address = head + rest[..<colon] + rest[at...]
        } else {
            address = given
        }
        self.password = password
    }

    func perform(_ values: [Value], limit: Int) throws(Failure) -> SQLiteAnswer {
        let query = address.parts(at: "?").dropFirst().joined(separator: "?").lowercased()
        for word in ["password", "passfile", "options", "sslkey"] where query.contains(word) {
            throw .parameter(
                "the address of the database says `\(word)`, which does not belong there",
                whatToDo: "the password goes into `password`; what is open to others must not hold it")
        }
        guard address.utf8.allSatisfy({ (0x21...0x7E).contains($0) }),
            !arguments.text("query").utf8.contains(0)
        else {
            throw .parameter("the address or the query holds a character that cannot be there")
        }
        var request = ProcessRequest(
            [
                "psql", "--no-psqlrc", "--quiet", "--csv", "--no-password", "--set=ON_ERROR_STOP=1",
                "--set=VERBOSITY=terse", "--pset=null=\(Postgres.null)", "--dbname=\(address)",
            ], captureLimit: Limits.outputBytes, outputIsData: true)
        let wait = String(Int(max(arguments.span("timeout").inSeconds, 0.001) * 1000))
        let mode = arguments.flag("write") ? "off" : "on"
        request.environment = [
            "PGCLIENTENCODING": "UTF8", "PGCONNECT_TIMEOUT": "15", "PGAPPNAME": "bobbin",
            "PGOPTIONS": .string(
                "-c default_transaction_read_only=\(mode) -c statement_timeout=\(wait) -c standard_conforming_strings=on"
            ),
        ]
        if let password { request.environment["PGPASSWORD"] = .string(password) }
        request.input = Array(try script(values).utf8)
        let ending: ProcessEnding
        do { ending = try context.run(request) } catch {
            guard error.code == "E-EXEC" else { throw error }
            throw Failure(
                "E-SQL-TOOL", "PostgreSQL needs the program psql",
                whatToDo: "install it: apt-get install postgresql-client", retry: .never)
        }
        guard ending.exit == .code(0) else { throw refusal(ending) }
        guard !ending.isCut else {
            throw Failure(
                "E-OUTPUT-SIZE", "the answer has more than \(Limits.outputBytes) bytes",
                whatToDo: "ask for less, or let a program write a file", retry: .never)
        }
        return try answer(ending, limit)
    }

    /// What no value is likely to be; a text that is exactly this would be read as null.
    private static let null = "\u{2400}bobbin-null\u{2400}"

    private func script(_ values: [Value]) throws(Failure) -> String {
        let query = arguments.text("query").trimmed
        // psql would obey what follows a backslash, wherever it stands outside of quotes.
        guard !query.has("\\") else {
            throw .parameter(
                "the query holds a backslash",
                whatToDo: "pass the text that holds it as a value: $1 and `params`")
        }
        let statement = query.hasSuffix(";") ? String(query.dropLast()) : query
        guard !values.isEmpty else { return "\(statement)\n;\n" }
        var literals: [String] = []
        for value in values { literals.append(try Postgres.literal(value)) }
        return "PREPARE bobbin AS\n\(statement)\n;\nEXECUTE bobbin(\(literals.joined(separator: ", ")));\n"
    }

    /// A literal that reads the same whatever the server's settings are.
    private static func literal(_ value: Value) throws(Failure) -> String {
        switch value {
        case .null: return "NULL"
        case .bool(let flag): return flag ? "true" : "false"
        case .int(let number): return String(number)
        case .double(let number): return "'\(number)'"
        default:
            let text = value.text
            guard !text.utf8.contains(0) else { throw .parameter("a value of `params` holds a NUL byte") }
            var out = "E'"
            for character in text.unicodeScalars {
                switch character {
                case "'": out += "''"
                case "\\": out += "\\\\"
                default: out.unicodeScalars.append(character)
                }
            }
            return out + "'"
        }
    }

    /// A refusal (no such role, database, password) came from a server that is there; a mistake of ours says nothing.
    static func saysOfServer(_ said: String) -> TargetOutcome {
        let down = [
            "starting up", "shutting down", "recovery mode", "too many", "connection slots",
            "terminating connection",
            "Connection refused", "timeout expired", "could not translate host name", "closed the connection",
            "No route to host", "Network is unreachable", "Connection timed out", "Connection reset",
        ]
        if down.contains(where: { said.contains($0) }) { return .down("E-SQL") }
        return said.contains("FATAL:") ? .answered : .unknown
    }

    private func refusal(_ ending: ProcessEnding) -> Failure {
        let words =
            TextLines.split(ending.stderrText).first { !$0.trimmed.isEmpty } ?? "psql failed without a word"
        // 2: the connection failed or broke.
        let isDown = ending.exit == .code(2)
        var failure = Failure(
            "E-SQL", String(words.trimmed.prefix(300)), whatToDo: "see the step's log",
            retry: isDown ? .transient : .permanent)
        if case .signal = ending.exit {
            failure.target = .unknown
        } else {
            failure.target = isDown ? Postgres.saysOfServer(ending.stderrText) : .answered
        }
        return failure
    }

    private func answer(_ ending: ProcessEnding, _ limit: Int) throws(Failure) -> SQLiteAnswer {
        let table = try CSVTable(
            String(decoding: ending.stdout, as: UTF8.self), separator: 0x2C, ragged: .fail)
        let rows = table.rows.prefix(limit).map { row -> ValueMap in
            var map = row.mapValue ?? [:]
            for entry in map.entries where entry.value.text == Postgres.null { map[entry.key] = .null }
            return map
        }
        return SQLiteAnswer(
            columns: table.columns, rows: rows, changes: 0, isCut: table.rows.count > limit)
    }

    private static func decoded(_ text: String) -> String {
        var out: [UInt8] = []
        var bytes = Array(text.utf8)[...]
        while let byte = bytes.popFirst() {
            if byte == 0x25, bytes.count >= 2,
                let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16)
            {
                out.append(value)
                bytes = bytes.dropFirst(2)
            } else {
                out.append(byte)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
