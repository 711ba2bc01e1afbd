// What this is: mails that a run has begun and not sent: one JSON file each in the run's own directory.
// Owns: their names, and which one is meant where a step names none (the one begun last).
// Never: leaves the run's directory; a saved draft is an .eml file elsewhere.
// On failure: E-MAIL-DRAFT where there is no such draft.
import JobModel
import LinuxSystem

struct MailDraft {
    static let parameter = Parameter("draft", .text, "its draft_id; the one composed last when absent")
    private static let last = "draft"
    let id: String
    var message: MailMessage

    /// A new one of this step; a second start of the step makes the same anew.
    init(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) {
        message = try MailMessage(arguments, context)
        id = RunFile.label(context)
    }

    init(named given: String?, _ context: any StepContext) throws(Failure) {
        let last = try RunFile.read(MailDraft.last, context)
        guard let id = given ?? last else { throw MailDraft.missing(given) }
        let isName = id.hasPrefix("step-") && !id.has("/") && id.utf8.count < 100
        guard isName, let text = try RunFile.read("\(id).draft.json", context),
            let map = MailDraft.map(text), let message = try MailMessage(kept: map, context)
        else { throw MailDraft.missing(id) }
        self.id = id
        self.message = message
    }

    private static func map(_ text: String) -> ValueMap? {
        // What is no JSON was not written by us: there is no such draft.
        try? JSONReader.read(Array(text.utf8)).mapValue
    }
    private static func missing(_ id: String?) -> Failure {
        Failure(
            "E-MAIL-DRAFT", id.map { "there is no draft `\($0.prefix(80))`" } ?? "no mail has been composed",
            whatToDo: "compose_mail comes first; name its draft: `draft: \"{{ steps.mail.draft_id }}\"`",
            retry: .never)
    }

    func keep(_ context: any StepContext) throws(Failure) {
        try RunFile.write("\(id).draft.json", JSONText.write(.map(message.kept)), context)
        try RunFile.write(MailDraft.last, id, context)
    }
}

extension MailMessage {
    var kept: ValueMap {
        [
            "from": from.map { .string($0.kept) } ?? .null, "to": .texts(to.map(\.kept)),
            "cc": .texts(cc.map(\.kept)), "bcc": .texts(bcc.map(\.kept)), "subject": .string(subject),
            "body": .string(body), "attachments": .texts(attachments), "date": .string(date.rfc3339),
            "id": .string(id),
        ]
    }
    init?(kept map: ValueMap, _ context: any StepContext) throws(Failure) {
        var map = map
        guard let id = map["id"]?.stringValue, let date = Timestamp(rfc3339: map.text("date")) else {
            return nil
        }
        if map["from"]?.isNull == true { map["from"] = nil }
        let attachments = map.texts("attachments")
        map["attachments"] = nil
        try self.init(map, context)
        self.id = id
        self.date = date
        // A file that is gone since is told when the message is made.
        self.attachments = attachments
    }
}

extension MailAddress {
    fileprivate var kept: String { name.isEmpty ? address : "\(name) <\(address)>" }
}
