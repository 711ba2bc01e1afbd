// What this is: which runs to list.
// Owns: RunFilter and its translation to SQL; values are always bound, never written into the SQL.
// Never: sees a database.
// On failure: nothing here fails; a filter that fits nothing lists nothing.

import GRDB
import JobModel

/// Every part that is given must fit. The newest run comes first.
public struct RunFilter: Hashable, Sendable {
    /// Empty means all.
    public var states: [FinalState]
    public var queue: String?
    /// The job's name; `*` stands for any characters.
    public var job: String?
    public var user: String?
    /// One of the run's tags.
    public var tag: String?
    /// Ended at or after this instant.
    public var since: Timestamp?
    /// Ended before this instant.
    public var until: Timestamp?
    /// Is part of the job's or the drop's name or of the error; ASCII letters of either case.
    public var text: String?
    public var limit: Int
    /// Only runs that are older than this one: the last of the page before.
    public var before: RunID?

    public init(
        states: [FinalState] = [], queue: String? = nil, job: String? = nil, user: String? = nil,
        tag: String? = nil, since: Timestamp? = nil, until: Timestamp? = nil, text: String? = nil,
        limit: Int = 50,
        before: RunID? = nil
    ) {
        self.states = states
        self.queue = queue
        self.job = job
        self.user = user
        self.tag = tag
        self.since = since
        self.until = until
        self.text = text
        self.limit = limit
        self.before = before
    }

    var query: (sql: String, arguments: StatementArguments) {
        var conditions: [String] = []
        var values: [(any DatabaseValueConvertible)?] = []
        func demand(_ condition: String, _ value: (any DatabaseValueConvertible)?) {
            guard let value else { return }
            conditions.append(condition)
            values.append(value)
        }
        if !states.isEmpty {
            conditions.append("state IN (\(states.map { _ in "?" }.joined(separator: ", ")))")
            values += states.map(\.rawValue)
        }
        // A plus keeps SQLite from an index that would not give the newest first: it would fetch and sort
        // every run that fits, where walking back from the newest stops at the limit.
        demand(states.count == 1 ? "queue = ?" : "+queue = ?", queue)
        let isPattern = job?.contains("*") == true
        demand(isPattern ? "+job GLOB ?" : "job = ?", isPattern ? job.map(RunFilter.pattern) : job)
        demand("user = ?", user)
        demand("id IN (SELECT run FROM tags WHERE tag = ?)", tag)
        demand("ended >= ?", since?.milliseconds)
        demand("ended < ?", until?.milliseconds)
        demand("instr(lower(\(RunFilter.searched)), lower(?)) > 0", text)
        demand("id < ?", before?.text)
        let restriction = conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND ")
        values.append(max(0, limit))
        return ("SELECT * FROM runs\(restriction) ORDER BY id DESC LIMIT ?", StatementArguments(values))
    }

    /// One text, with line ends between so that nothing is found across two of them.
    private static let searched = """
        job || char(10) || drop_name || char(10) || coalesce(error_code || char(10) || error_message, '')
        """

    /// The same for a record, where there is no index: a run in flight, or a result read by somebody else.
    public func fits(_ record: RunRecord) -> Bool {
        let accepted = record.acceptance
        if !states.isEmpty, record.finalState.map(states.contains) != true { return false }
        if let queue, accepted.queue.text != queue { return false }
        if let job, !RunFilter.fits(accepted.jobName, job) { return false }
        if let user, accepted.submitter.name != user { return false }
        if let tag, !accepted.terms.tags.contains(tag) { return false }
        // What is in flight has not ended at any time.
        if since != nil || until != nil {
            guard let ended = record.endedAt else { return false }
            if let since, ended < since { return false }
            if let until, ended >= until { return false }
        }
        if let before, record.id >= before { return false }
        guard let text else { return true }
        let searched =
            [accepted.jobName, accepted.dropName]
            + (record.failure.map { [$0.code + "\n" + $0.message] } ?? [])
        return searched.joined(separator: "\n").lowercased().contains(text.lowercased())
    }

    /// `*` is any text.
    private static func fits(_ name: String, _ pattern: String) -> Bool {
        let parts = pattern.split(separator: "*", omittingEmptySubsequences: false).map(String.init)
        guard parts.count > 1 else { return name == pattern }
        guard name.hasPrefix(parts[0]) else { return false }
        var rest = name.dropFirst(parts[0].count)
        for part in parts.dropFirst().dropLast() where !part.isEmpty {
            guard let found = rest.firstRange(of: part) else { return false }
            rest = rest[found.upperBound...]
        }
        return rest.hasSuffix(parts[parts.count - 1])
    }

    /// Only `*` is special to people; SQLite knows `?` and `[` as well.
    static func pattern(_ job: String) -> String {
        var out = ""
        for character in job {
            out += character == "?" || character == "[" ? "[\(character)]" : String(character)
        }
        return out
    }
}
