// What this is: what came back: status, headers, body; or what curl's exit code means.
// Owns: the codes E-HTTP-… and which of them another try may cure.
// Never: shows a URL's query in a message: it may hold keys.
// On failure: it makes the failures.
import JobModel
import LinuxSystem

struct HttpAnswer {
    var status = 0
    var seconds = 0.0
    var url = ""
    var headers: ValueMap = [:]
    var body: [UInt8]
    var bytes: Int

    init(_ ending: ProcessEnding, headers: SourceFile, _ context: any StepContext) throws(Failure) {
        body = ending.stdout
        bytes = ending.stdoutBytes
        let lines = TextLines.split(ending.stderrText)
        guard let line = lines.last(where: { $0.hasPrefix(CurlExchange.mark) }) else {
            throw HttpAnswer.tool("curl said nothing about the answer")
        }
        let parts = line.dropFirst(CurlExchange.mark.count).split(separator: " ", maxSplits: 2).map(
            String.init)
        status = parts.first.flatMap { Int($0) } ?? 0
        seconds = parts.count > 1 ? Double(parts[1]) ?? 0 : 0
        url = parts.count > 2 ? parts[2] : ""
        var text: [UInt8] = []
        // No honest server sends a megabyte of headers.
        try headers.forEachPiece(context) { (piece) throws(Failure) in if text.isEmpty { text += piece } }
        self.headers = HttpAnswer.headers(String(decoding: text, as: UTF8.self))
    }

    /// The headers of the last answer: before it stand those of redirects and of `100 Continue`.
    static func headers(_ text: String) -> ValueMap {
        var block: ValueMap = [:]
        for line in TextLines.split(text) {
            if line.hasPrefix("HTTP/") { block = [:] }
            guard let colon = line.firstIndex(of: ":"), !line.hasPrefix("HTTP/") else { continue }
            let name = line[..<colon].lowercased(), value = String(line[line.index(after: colon)...]).trimmed
            let earlier = block[name].map { $0.text + (name == "set-cookie" ? "\n" : ", ") } ?? ""
            block[name] = .string(earlier + value)
        }
        return block
    }

    var saysJSON: Bool {
        let type = (headers["content-type"]?.text ?? "").prefix { $0 != ";" }.trimmed.lowercased()
        return type == "application/json" || type.hasSuffix("+json") || type == "text/json"
    }

    /// The failure for a status the job does not accept.
    func refusal(_ request: CurlRequest) -> Failure {
        let mayPass = [408, 425, 429].contains(status) || (500...599).contains(status)
        let excerpt = String(decoding: body.prefix(200), as: UTF8.self).trimmed
        var failure = Failure(
            "E-HTTP-STATUS", "\(request.title) answered \(status)" + (excerpt.isEmpty ? "" : ": \(excerpt)"),
            whatToDo: mayPass
                ? "the server may recover; `retry:` tries again"
                : "check the request; accept the answer with `expect_status`",
            retry: mayPass ? .transient : .permanent)
        // A 500 may be this request's own fault; these speak for the whole service (RFC 9110, section 15).
        let isDown = [429, 502, 503, 504].contains(status)
        failure.target = isDown ? retryAfter.map(TargetOutcome.rest) ?? .down("HTTP \(status)") : .answered
        return failure
    }

    /// RFC 9110, section 10.2.3: seconds, or a date, of which the server's own clock is taken off.
    private var retryAfter: Span? {
        guard let text = headers["retry-after"]?.text.trimmed else { return nil }
        if let seconds = Int64(text) { return seconds > 0 ? .seconds(min(seconds, 1 << 31)) : nil }
        guard let until = HttpAnswer.date(text),
            let now = headers["date"].flatMap({ HttpAnswer.date($0.text) }),
            until > now
        else { return nil }
        return until.since(now)
    }
    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    static func date(_ text: String) -> Timestamp? {
        let parts = text.trimmed.split(separator: " ").map(String.init)
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard parts.count == 6, let month = months.firstIndex(of: parts[2]), parts[1].utf8.count == 2 else {
            return nil
        }
        let number = (month < 9 ? "0" : "") + String(month + 1)
        return Timestamp(rfc3339: "\(parts[3])-\(number)-\(parts[1])T\(parts[4])Z")
    }

    // What the numbers mean: the section EXIT CODES of curl(1).
    static func failure(_ ending: ProcessEnding, _ request: CurlRequest, _ limit: Int) -> Failure? {
        let lines = TextLines.split(ending.stderrText).filter {
            !$0.hasPrefix(CurlExchange.mark) && !$0.trimmed.isEmpty
        }
        let reason = lines.last.map { ": " + String($0.prefix(300)) } ?? ""
        switch ending.exit {
        case .code(0), .running: return nil
        case .signal(_, "SIGXFSZ"), .code(63): return tooLarge(request, limit)
        case .signal(_, let name): return tool("curl was killed by \(name)\(reason)")
        case .code(let code) where [126, 127].contains(code): return toolMissing
        case .code(let code): return failure(code, request.title + reason)
        }
    }

    private static func failure(_ code: Int, _ what: String) -> Failure {
        switch code {
        case 1, 3: Failure("E-HTTP-URL", what, whatToDo: "check the URL", retry: .never)
        case 5:
            Failure("E-HTTP-DNS", what, whatToDo: "check the name of the proxy", retry: .transient)
        case 6:
            Failure("E-HTTP-DNS", what, whatToDo: "check the host name and the resolver", retry: .transient)
                .blamingTarget
        case 28:
            Failure(
                "E-HTTP-TIMEOUT", what, whatToDo: "raise `timeout` or look at the server", retry: .transient
            ).blamingTarget
        case 47: Failure("E-HTTP-REDIRECT", what, whatToDo: "more than 5 redirects: use the final URL")
        case 35, 51, 53, 54, 58, 59, 60, 64, 66, 77, 80, 82, 83, 90, 91, 98:
            Failure("E-HTTP-TLS", what, whatToDo: "check the certificate, its name and its authority")
        case 7, 8, 16, 18, 52, 55, 56, 92, 95, 96, 97:
            Failure(
                "E-HTTP-CONNECT", what, whatToDo: "check that the server runs and can be reached",
                retry: .transient
            ).blamingTarget
        case 23:
            Failure("E-HTTP-SAVE", what, whatToDo: "check the room and the rights where `save_to` writes")
        default: tool("\(what) (curl exit code \(code))")
        }
    }

    static func tooLarge(_ request: CurlRequest, _ limit: Int) -> Failure {
        Failure(
            "E-HTTP-SIZE", "\(request.title) answered with more than \(limit) bytes",
            whatToDo: "raise `size_limit`; a large body belongs into a file (`save_to`)", retry: .never)
    }
    static func tool(_ message: String) -> Failure {
        Failure("E-HTTP-TOOL", message, whatToDo: "see curl(1), section EXIT CODES")
    }
    static let toolMissing = Failure(
        "E-HTTP-TOOL", "make_request needs the program curl, which is not there",
        whatToDo: "apt-get install curl")
}

extension CurlRequest {
    /// Method and URL for messages, without what may be secret.
    var title: String {
        let parts = url.prefix { $0 != "?" && $0 != "#" }.split(
            separator: "/", omittingEmptySubsequences: false)
        guard parts.count > 2, let at = parts[2].lastIndex(of: "@") else {
            return method + " " + parts.joined(separator: "/")
        }
        let host = parts[2][parts[2].index(after: at)...]
        return method + " " + (parts[..<2] + [host] + parts[3...]).joined(separator: "/")
    }
}
