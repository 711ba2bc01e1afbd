// What this is: one line of the audit log: who did what to what, what was decided, and why; chained to the line before.
// Owns: the form of a line (docs/AUDIT.md), its hash, the reading of it.
// Never: holds a secret: whoever writes one passes only what may be shown.
// On failure: a line that is not exactly what this writes is no record.
import Crypto
import JobModel

public struct AuditEntry: Hashable, Sendable {
    public enum Severity: String, Sendable, CaseIterable { case info, notice, high }
    /// Nil: the site itself did it.
    public var who: Submitter?
    /// A word with a dot: `approval.decided`.
    public var action: String
    /// What it was done to: a request, a run, a secret's name.
    public var subject: String
    /// sha256 of the file by which it was done.
    public var file: String?
    /// What came of it: `approve`, `deny`, `refused`, …
    public var outcome: String
    public var why: String
    public var severity: Severity

    public init(
        _ action: String, _ subject: String, by who: Submitter?, file: String? = nil, outcome: String,
        why: String = "", severity: Severity = .info
    ) {
        self.who = who
        self.action = action
        self.subject = subject
        self.file = file
        self.outcome = outcome
        self.why = why
        self.severity = severity
    }
}

/// A line: `{"seq":…,…,"prev":"<hash of the line before>","hash":"<sha256 of all before this key, and `}`>"}`.
public struct AuditRecord: Hashable, Sendable {
    public var sequence: Int
    public var at: Timestamp
    public var entry: AuditEntry
    public var previous: String
    public var hash: String

    /// What the first record has as its previous.
    public static let noHash = String(repeating: "0", count: 64)
    /// Longer texts are cut: a log that anybody can fill with one answer helps nobody.
    static let longestText = 2_000
    private static let hashKey = ",\"hash\":\""

    static func line(_ sequence: Int, _ at: Timestamp, _ entry: AuditEntry, after previous: String) -> (
        text: String, hash: String
    ) {
        let cut: (String) -> Value = { .string(String($0.prefix(longestText))) }
        var map: ValueMap = [
            "seq": .int(sequence), "at": .string(at.rfc3339), "severity": .string(entry.severity.rawValue),
        ]
        map["by"] = entry.who.map { cut($0.name) } ?? .null
        map["uid"] = entry.who.map { .int(Int($0.uid)) } ?? .null
        map["action"] = cut(entry.action)
        map["subject"] = cut(entry.subject)
        map["file"] = entry.file.map(cut) ?? .null
        map["outcome"] = cut(entry.outcome)
        map["why"] = cut(entry.why)
        map["prev"] = .string(previous)
        let body = JSONText.write(.map(map))
        let hash = digest(body)
        return (body.dropLast() + hashKey + hash + "\"}", hash)
    }

    /// Of a line without its line end; nil where it is not what `line` writes.
    public init?(line: some Collection<UInt8>) {
        let bytes = Array(line)
        let tail = AuditRecord.hashKey.utf8.count + 64 + 2
        guard bytes.count > tail else { return nil }
        let body = bytes.dropLast(tail) + [UInt8(ascii: "}")]
        let hash = AuditRecord.digest(body)
        guard bytes.suffix(tail).elementsEqual("\(AuditRecord.hashKey)\(hash)\"}".utf8),
            // What has the right hash and is no record was written by something else.
            let map = (try? JSONReader.read(Array(body)))?.mapValue,
            let sequence = map["seq"]?.intValue,
            let at = map["at"]?.stringValue.flatMap(Timestamp.init(rfc3339:)),
            let severity = map["severity"]?.stringValue.flatMap(AuditEntry.Severity.init(rawValue:)),
            let action = map["action"]?.stringValue, let subject = map["subject"]?.stringValue,
            let outcome = map["outcome"]?.stringValue, let previous = map["prev"]?.stringValue
        else { return nil }
        var who: Submitter?
        if let name = map["by"]?.stringValue, let uid = map["uid"]?.intValue.flatMap({ UInt32(exactly: $0) })
        {
            who = Submitter(uid: uid, name: name)
        }
        self.sequence = sequence
        self.at = at
        self.previous = previous
        self.hash = hash
        entry = AuditEntry(
            action, subject, by: who, file: map["file"]?.stringValue, outcome: outcome,
            why: map["why"]?.text ?? "", severity: severity)
    }

    private static func digest(_ text: String) -> String { digest(Array(text.utf8)) }
    private static func digest(_ bytes: some Collection<UInt8>) -> String {
        Hexadecimal.encode(Array(SHA256.hash(data: Array(bytes))))
    }

    public var fields: ValueMap {
        [
            "seq": .int(sequence), "at": .string(at.rfc3339), "severity": .string(entry.severity.rawValue),
            "by": entry.who.map { .string($0.name) } ?? .null,
            "uid": entry.who.map { .int(Int($0.uid)) } ?? .null, "action": .string(entry.action),
            "subject": .string(entry.subject), "file": entry.file.map(Value.string) ?? .null,
            "outcome": .string(entry.outcome), "why": .string(entry.why),
        ]
    }
}
