// What this is: cron next, cron explain: what an expression means, without a site.
// Owns: the layout of its answers; the batch form, one JSON object a line in, one answer a line out.
// Never: reads ops/schedules.yaml (`schedule` does).
// On failure: 65 with the column of what is wrong in the expression; a bad line of a batch is answered, and the exit code
//   is 1 at the end.
import ArgumentParser
import BobbinDaemon
import JobModel
import LinuxSystem
import Triggers

struct CronVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cron", abstract: "When a cron expression comes true.",
        subcommands: [CronNextVerb.self, CronExplainVerb.self])
}

struct CronNextVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "next", abstract: "Print the next instants of an expression, in UTC, one a line.",
        discussion: """
              bobbin cron next '30 2 * * *' --tz Europe/Berlin --from 2026-03-28T12:00:00Z --count 3
            Five fields, or six with seconds first. Where clocks are changed, Debian cron's rule holds (docs/TRIGGERS.md).
            With --batch, standard input has one {"expr","tz","from","count"} a line, and each gets one line: an array of
            instants, or {"error":{"code","message","column"}}; then the exit code is 1 at the end.
            """)
    @Argument(help: "The expression, such as '0 9 * * 1-5'.") var expression: String?
    @Option(
        name: .customLong("tz"),
        help: ArgumentHelp("An IANA zone; without it, this machine's.", valueName: "zone")) var zone: String?
    @Option(
        help: ArgumentHelp("Only instants after this one (RFC 3339); without it, now.", valueName: "time"))
    var from: String?
    @Option(help: "How many.") var count = 5
    @Flag(help: "Answer questions from standard input.") var batch = false

    func validate() throws {
        if batch != (expression == nil) {
            throw ValidationError(batch ? "--batch takes no expression" : "give an expression, or --batch")
        }
    }

    func run() throws {
        if batch { return try CronBatch.run() }
        let question: CronQuestion
        do throws(CronQuestion.Problem) {
            question = try CronQuestion(expression ?? "", zone: zone, from: from, count: count)
        } catch {
            throw CronQuestion.complain(error, expression)
        }
        for occurrence in question.answer { print(question.text(occurrence)) }
    }
}

struct CronExplainVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Show the next times of an expression on the clock of a zone.",
        discussion: "  bobbin cron explain '30 2 * * *' --tz Europe/Berlin")
    @Argument(help: "The expression, such as '0 9 * * 1-5'.") var expression: String
    @Option(
        name: .customLong("tz"),
        help: ArgumentHelp("An IANA zone; without it, this machine's.", valueName: "zone")) var zone: String?
    @Option(
        help: ArgumentHelp("Only instants after this one (RFC 3339); without it, now.", valueName: "time"))
    var from: String?
    @Option(help: "How many.") var count = 5

    func run() throws {
        let question: CronQuestion
        do throws(CronQuestion.Problem) {
            question = try CronQuestion(expression, zone: zone, from: from, count: count)
        } catch {
            throw CronQuestion.complain(error, expression)
        }
        print("in \(question.zone.name):")
        let now = Timestamp(nanoseconds: Clocks.wall)
        for occurrence in question.answer {
            print("  " + OccurrenceText.line(occurrence.time, occurrence.note, question.zone, now: now))
        }
    }
}

/// One question, judged.
struct CronQuestion {
    struct Problem: Error {
        var code: String
        var message: String
        var hint: String
        var column: Int?
    }
    static let most = 100_000
    let zone: Zone
    let answer: [Occurrence]

    init(_ expression: String, zone: String?, from: String?, count: Int) throws(Problem) {
        guard (1...CronQuestion.most).contains(count) else {
            throw Problem(code: "E-CRON", message: "a count is 1 to \(CronQuestion.most)", hint: "")
        }
        let cron: CronExpression
        do throws(CronExpression.Problem) { cron = try CronExpression(expression) } catch {
            throw Problem(code: "E-CRON", message: error.message, hint: error.hint, column: error.column)
        }
        do throws(ZoneProblem) {
            if let zone { self.zone = try ZoneFiles.named(zone) } else { self.zone = try ZoneFiles.ofSite() }
        } catch {
            throw Problem(code: "E-ZONE", message: error.message, hint: error.whatToDo)
        }
        var after = Clocks.wall / 1_000_000_000
        if let from {
            guard let time = Timestamp(rfc3339: from) else {
                throw Problem(
                    code: "E-TIME", message: "`\(from)` is no time", hint: "write 2026-03-28T12:00:00Z")
            }
            after = time.seconds
        }
        let search = CronSearch(cron, in: self.zone)
        var found: [Occurrence] = []
        while found.count < count, let next = search.next(after: found.last?.instant ?? after) {
            found.append(next)
        }
        guard !found.isEmpty else {
            throw Problem(
                code: "E-CRON", message: "no day fits: this expression never comes true",
                hint: "the days of the month, the months and the days of the week must fit together",
                column: 1)
        }
        answer = found
    }

    func text(_ occurrence: Occurrence) -> String {
        occurrence.time.civil(offsetSeconds: 0, withMilliseconds: false)
    }

    static func complain(_ problem: Problem, _ expression: String?) -> ExitCode {
        Terminal.complain("bobbin: \(Terminal.escape(problem.message)) [\(problem.code)]")
        if let column = problem.column, let expression,
            expression.utf8.allSatisfy({ (0x20..<0x7F).contains($0) })
        {
            Terminal.complain("  \(expression)\n  \(String(repeating: " ", count: column - 1))^")
        }
        if !problem.hint.isEmpty { Terminal.complain("  \(Terminal.escape(problem.hint))") }
        return ExitCode(Exit.malformed)
    }
}

/// The batch form.
private enum CronBatch {
    static func run() throws {
        var hasBad = false
        while let line = readLine(strippingNewline: true) {
            if line.allSatisfy(\.isWhitespace) { continue }
            do throws(CronQuestion.Problem) {
                let question = try read(line)
                print(
                    JSONText.write(.list(question.answer.map { .string(question.text($0)) })))
            } catch {
                hasBad = true
                var parts: ValueMap = ["code": .string(error.code)]
                let hint = error.hint.isEmpty ? "" : ": \(error.hint)"
                parts["message"] = .string(error.message + hint)
                parts["column"] = error.column.map(Value.int) ?? .null
                print(JSONText.write(.map(["error": .map(parts)])))
            }
        }
        if hasBad { throw ExitCode(Exit.failed) }
    }

    private static func read(_ line: String) throws(CronQuestion.Problem) -> CronQuestion {
        let value: Value
        do throws(JSONProblem) { value = try JSONReader.read(Array(line.utf8)) } catch {
            throw bad("this line is no JSON: \(error.what)", column: error.column)
        }
        guard case .map(let map) = value else { throw bad("a line is an object", column: 1) }
        let keys = ["expr", "tz", "from", "count"]
        if let odd = map.keys.first(where: { !keys.contains($0) }) {
            throw bad("a question has no key `\(odd)`", column: nil)
        }
        guard case .string(let expression)? = map["expr"] else {
            throw bad("`expr` must be a text", column: nil)
        }
        return try CronQuestion(
            expression, zone: try text(map, "tz"), from: try text(map, "from"), count: try count(map))
    }
    private static func text(_ map: ValueMap, _ key: String) throws(CronQuestion.Problem) -> String? {
        switch map[key] {
        case nil, .null?: return nil
        case .string(let text)?: return text
        default: throw bad("`\(key)` must be a text", column: nil)
        }
    }
    private static func count(_ map: ValueMap) throws(CronQuestion.Problem) -> Int {
        switch map["count"] {
        case nil, .null?: return 5
        case .int(let number)?: return number
        default: throw bad("`count` must be a whole number", column: nil)
        }
    }
    private static func bad(_ message: String, column: Int?) -> CronQuestion.Problem {
        CronQuestion.Problem(code: "E-BATCH", message: message, hint: "", column: column)
    }
}

/// How an occurrence is shown to people.
enum OccurrenceText {
    static func line(_ time: Timestamp, _ note: Occurrence.Note?, _ zone: Zone, now: Timestamp) -> String {
        let stretch = zone.stretch(at: time.seconds)
        let local = time.civil(offsetSeconds: Int(stretch.offset), withMilliseconds: false)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let day = Timestamp.floorDivide(time.seconds + stretch.offset, 86_400).quotient
        let weekday = days[Int(Timestamp.floorDivide(day + 4, 7).remainder)]
        let wait = time > now ? "in \(rough(time.since(now)))" : "\(rough(now.since(time))) ago"
        let utc = stretch.offset == 0 ? "" : "  \(time.civil(offsetSeconds: 0, withMilliseconds: false))"
        let why = note.map { "  (\(text($0)))" } ?? ""
        return "\(weekday) \(local)\(utc)  \(wait)\(why)"
    }
    static func text(_ note: Occurrence.Note) -> String {
        switch note {
        case .skipped(let local):
            let clock = Timestamp(seconds: local).civil(offsetSeconds: 0, withMilliseconds: false)
            return "the clocks go forward and skip \(clock.dropFirst(11).prefix(5)): it runs right after"
        case .firstOfTwo: return "the clocks go back and show this time twice: this is the first"
        case .secondOfTwo:
            return "the clocks go back and show this time twice: this is the second"
        }
    }
    /// `3d4h`, `12m`, `40s`: two units are enough for people.
    static func rough(_ span: Span) -> String {
        let seconds = max(0, span.nanoseconds / 1_000_000_000)
        let unit: Int64 = seconds >= 86_400 ? 3600 : seconds >= 3600 ? 60 : 1
        return Span.seconds(seconds / unit * unit).text
    }
}
