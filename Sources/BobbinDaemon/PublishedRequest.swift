// What this is: an open question as its file in approvals/requests/ tells it: all that a member of a shared site can see of it.
// Owns: the reading of that file.
// Never: writes; asks a journal.
// On failure: a file that is no request is left out.
import JobModel
import LinuxSystem
import SpoolQueue
import YamlText

public struct PublishedRequest: Sendable {
    public var id: String
    public var fields: ValueMap
    public var text: [UInt8]

    /// As the service wrote them, by name.
    public static func all(_ spool: Spool) throws -> [PublishedRequest] {
        try spool.requests.names().sorted().compactMap { name in
            guard name.hasSuffix(ApprovalForm.ending), !name.hasPrefix(".") else { return nil }
            // Closed in this moment, or none of ours.
            guard let bytes = try? spool.requests.openForReading(name).read(upTo: ApprovalForm.longest + 1),
                let tree = try? YamlReader.parse(bytes), let fields = Value(tree).mapValue,
                let id = fields["request"]?.stringValue
            else { return nil }
            return PublishedRequest(id: id, fields: fields, text: bytes)
        }
    }

    /// By its id or the beginning of it, or its file.
    public static func find(_ text: String, _ spool: Spool) throws -> [PublishedRequest] {
        var key = text.split(separator: "/").last.map(String.init) ?? text
        if key.hasSuffix(ApprovalForm.ending) { key = String(key.dropLast(ApprovalForm.ending.count)) }
        let all = try all(spool)
        if let exact = all.first(where: { $0.id == key }) { return [exact] }
        return all.filter { $0.id.hasPrefix(key.uppercased()) }
    }

    public func answer(_ verdict: Decision.Verdict, comment: String, inputs: ValueMap) -> [UInt8] {
        ApprovalForm.answer(
            id, nonce: fields["nonce"]?.text ?? "", digest: fields["digest"]?.text ?? "", verdict,
            comment: comment,
            inputs: inputs)
    }
}
