// What this is: a mail as RFC 5322 text with MIME parts (RFC 2045, 2047, 2183, 2231).
// Owns: addresses, header lines and their encoding, attachments in base64.
// Never: lets a value begin a header of its own; writes Bcc into the message.
// On failure: E-MAIL-ADDRESS, E-MAIL-HEADER: mistakes in the job; E-FILE-… for an attachment.
import FoundationEssentials
import JobModel
import LinuxSystem

struct MailMessage {
    var from: MailAddress?
    var to: [MailAddress]
    var cc: [MailAddress]
    var bcc: [MailAddress]
    var subject: String
    var body: String
    /// Absolute paths.
    var attachments: [String]
    var date: Timestamp
    /// Without its angle brackets.
    var id: String
    static let mostAttached = 64 << 20

    init(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) {
        from = try arguments.optionalText("from").map { (text) throws(Failure) in try MailAddress(text) }
        to = try MailMessage.addresses(arguments, "to")
        cc = try MailMessage.addresses(arguments, "cc")
        bcc = try MailMessage.addresses(arguments, "bcc")
        subject = arguments.text("subject")
        body = arguments["body"]?.content ?? ""
        date = Timestamp(nanoseconds: Clocks.wall)
        // The same for every start of this step: who gets a mail twice can tell.
        id = RunningSum.sha256(Array(context.idempotencyKey.utf8)).prefix(24) + "@" + MailMessage.host
        attachments = []
        guard !subject.utf8.contains(where: { $0 == 10 || $0 == 13 || $0 == 0 }) else {
            throw Failure(
                "E-MAIL-HEADER", "the subject holds a line end",
                whatToDo: "remove it (filter `trim` or `replace`)",
                retry: .never)
        }
        try attach(arguments.texts("attachments"), context)
    }

    private static var host: String {
        let name = Host.name.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-") }
        return name.isEmpty ? "localhost" : name
    }
    private static func addresses(_ arguments: ValueMap, _ key: String) throws(Failure) -> [MailAddress] {
        var found: [MailAddress] = []
        for text in arguments.texts(key) { found.append(try MailAddress(text)) }
        return found
    }

    var recipients: [String] { (to + cc + bcc).map(\.address) }

    /// Adds files, each once; they must be there now.
    mutating func attach(_ paths: [String], _ context: any StepContext) throws(Failure) {
        for text in paths {
            let path = try SitePath(text, context)
            _ = try SourceFile(reading: path)
            if !attachments.contains(path.absolute) { attachments.append(path.absolute) }
        }
    }

    // MARK: as text

    /// The whole message with lines ended by CR LF.
    func text(_ context: any StepContext) throws(Failure) -> [UInt8] {
        var lines = [
            "Date: \(MailMessage.date(date))", "Message-ID: <\(id)>", "MIME-Version: 1.0",
        ]
        if let from { lines.append("From: \(from.header)") }
        for (name, list) in [("To", to), ("Cc", cc)] where !list.isEmpty {
            lines.append("\(name): \(list.map(\.header).joined(separator: ",\r\n "))")
        }
        // RFC 5322 wants one recipient field at least in what is sent.
        if to.isEmpty, cc.isEmpty { lines.append("To: undisclosed-recipients:;") }
        lines.append("Subject: \(MailMessage.encoded(subject, after: 9))")
        let plain = [
            "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", "",
            MailMessage.base64(Array(MailMessage.withCRLF(body).utf8)),
        ]
        guard !attachments.isEmpty else {
            return Array((lines + plain).joined(separator: "\r\n").utf8)
        }
        // No line of base64 begins with `=_`, so the boundary cannot stand in a part.
        let boundary = "=_\(id.prefix(24))"
        lines += ["Content-Type: multipart/mixed; boundary=\"\(boundary)\"", "", "--\(boundary)"] + plain
        var total = 0
        for path in attachments {
            let bytes = try ReadFileStep.bytes(
                of: SitePath(path, context), limit: MailMessage.mostAttached - total,
                advice: "attach less than 64 MiB together, or send where it can be fetched", context)
            total += bytes.count
            let name = path.parts(at: "/").last ?? "file"
            lines += [
                "--\(boundary)", "Content-Type: application/octet-stream",
                "Content-Disposition: attachment;\r\n \(MailMessage.fileName(name))",
                "Content-Transfer-Encoding: base64", "", MailMessage.base64(bytes),
            ]
        }
        lines.append("--\(boundary)--\r\n")
        return Array(lines.joined(separator: "\r\n").utf8)
    }

    private static func withCRLF(_ text: String) -> String {
        TextLines.split(text).map { $0 + "\r\n" }.joined()
    }
    private static func base64(_ bytes: [UInt8]) -> String {
        let text = Array(Data(bytes).base64EncodedString().utf8)
        return stride(from: 0, to: text.count, by: 76).map {
            String(decoding: text[$0..<min($0 + 76, text.count)], as: UTF8.self) + "\r\n"
        }.joined()
    }

    /// Plain ASCII as it is; the rest as encoded words of whole characters, each at most 75 bytes.
    static func encoded(_ text: String, after column: Int) -> String {
        let isPlain = text.utf8.allSatisfy { (0x20...0x7E).contains($0) } && !text.contains("=?")
        if isPlain, text.utf8.count + column <= 900 { return text }
        var words: [String] = []
        var piece = ""
        for character in text {
            if (piece + String(character)).utf8.count > 42, !piece.isEmpty {
                words.append(piece)
                piece = ""
            }
            piece.append(character)
        }
        words.append(piece)
        return words.map { "=?utf-8?B?\(Data($0.utf8).base64EncodedString())?=" }.joined(separator: "\r\n ")
    }
    private static func fileName(_ name: String) -> String {
        let isPlain = name.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C }
        if isPlain, name.utf8.count <= 60 { return "filename=\"\(name)\"" }
        let letters = name.utf8.map { byte -> String in
            let isPlain =
                (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == 0x2E
                || byte == 0x2D || byte == 0x5F
            return isPlain
                ? String(decoding: [byte], as: UTF8.self)
                : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
        return "filename*=utf-8''" + letters.joined()
    }
    private static func date(_ instant: Timestamp) -> String {
        let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let (day, second) = Timestamp.floorDivide(instant.seconds, 86_400)
        let date = Timestamp.civilDate(daysSince1970: day)
        let two: (Int64) -> String = { ($0 < 10 ? "0" : "") + String($0) }
        return "\(days[Int(day % 7)]), \(date.day) \(months[Int(date.month) - 1]) \(date.year) "
            + "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60)) +0000"
    }
}

/// `ops@example.com` or `Night shift <ops@example.com>`.
struct MailAddress: Hashable {
    var name: String
    var address: String

    init(_ text: String) throws(Failure) {
        var address = text.trimmed
        name = ""
        if address.hasSuffix(">"), let open = address.lastIndex(of: "<") {
            name = address[..<open].trimmed
            if name.count >= 2, name.hasPrefix("\""), name.hasSuffix("\"") {
                name = String(name.dropFirst().dropLast())
            }
            address = String(address[address.index(after: open)...].dropLast())
        }
        self.address = address
        let parts = address.parts(at: "@", keepingEmpty: true)
        let isPlain = address.utf8.allSatisfy {
            (0x21...0x7E).contains($0) && !"<>()[]\\,;:\"".utf8.contains($0)
        }
        // An account of this machine has no domain.
        guard isPlain, (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }), address.first != "-",
            address.utf8.count <= 254, !name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
        else {
            throw Failure(
                "E-MAIL-ADDRESS", "`\(text.prefix(100))` is no mail address",
                whatToDo: "write name@example.com or Name <name@example.com>", retry: .never)
        }
    }

    var header: String {
        if name.isEmpty { return address }
        let isAtoms = name.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) || $0 == 0x20
        }
        if isAtoms { return "\(name) <\(address)>" }
        if name.utf8.allSatisfy({ (0x20...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C }) {
            return "\"\(name)\" <\(address)>"
        }
        return "\(MailMessage.encoded(name, after: 6))\r\n <\(address)>"
    }
}
