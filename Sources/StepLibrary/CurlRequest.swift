// What this is: an HTTP request as a curl configuration, which curl reads from its standard input.
// Owns: the quoting of that format, and the refusal of what could become a second header or option.
// Never: relies on a .curlrc (-q), reads a file because a value begins with `@`, speaks other than http(s).
// On failure: E-HTTP-HEADER, E-HTTP-URL: mistakes in the job, never retried.
import JobModel

struct CurlRequest {
    var url: String
    var method: String
    var headers: [(name: String, value: String)]
    var body: [UInt8]?
    /// Quoted longer than this, a body travels in a private file: curl bounds the lines of a configuration.
    static let longestInline = 32 << 10

    init(_ arguments: ValueMap) throws(Failure) {
        url = arguments.text("url")
        method = arguments.text("method")
        headers = (arguments["headers"]?.mapValue ?? [:]).entries.map { ($0.key, $0.value.text) }
        try CurlRequest.check(url: url)
        for header in headers { try CurlRequest.check(header: header) }
        guard let value = arguments["body"], !value.isNull else { return }
        let isJSON = value.listValue != nil || value.mapValue != nil
        body = Array((isJSON ? JSONText.write(value) : value.text).utf8)
        guard !headers.contains(where: { $0.name.lowercased() == "content-type" }) else { return }
        headers.append(("Content-Type", isJSON ? "application/json" : "text/plain; charset=utf-8"))
    }

    private static func check(url: String) throws(Failure) {
        try checkLine(url, "the URL")
        let lower = url.lowercased()
        guard lower.hasPrefix("http://") || lower.hasPrefix("https://"), !url.utf8.contains(0x20) else {
            throw Failure(
                "E-HTTP-URL", "\(url.prefix(100)) is no http:// or https:// URL without blanks",
                whatToDo: "write a blank in a URL as %20", retry: .never)
        }
    }

    private static func check(header: (name: String, value: String)) throws(Failure) {
        // RFC 9110 token: with it, no name can be `@file` or hold a colon.
        let marks = Array("!#$%&'*+-.^_`|~".utf8)
        let isToken =
            !header.name.isEmpty
            && header.name.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                    || marks.contains($0)
            }
        guard isToken else {
            throw Failure(
                "E-HTTP-HEADER", "`\(header.name.prefix(80))` cannot be the name of a header",
                whatToDo: "use letters, digits and -", retry: .never)
        }
        try checkLine(header.value, "the header \(header.name)")
    }

    private static func checkLine(_ text: String, _ what: String) throws(Failure) {
        guard !text.utf8.contains(where: { $0 == 0 || $0 == 10 || $0 == 13 }) else {
            throw Failure(
                "E-HTTP-HEADER", "\(what) holds a line end or a NUL byte",
                whatToDo: "remove it (filter `trim`)", retry: .never)
        }
        guard text.utf8.count <= longestInline else {
            throw Failure("E-HTTP-HEADER", "\(what) is longer than \(longestInline) bytes", retry: .never)
        }
    }

    /// Whether the body must travel in a file.
    var needsBodyFile: Bool {
        guard let body else { return false }
        return body.count > CurlRequest.longestInline || body.contains(0)
    }

    /// The configuration but for what depends on files and limits.
    func configuration(bodyFile: String?) -> String {
        var lines = ["url = \(CurlRequest.quoted(url))"]
        for header in headers {
            // `Name;` is curl's word for a header without a value; `Name:` would remove it.
            let line = header.value.isEmpty ? header.name + ";" : "\(header.name): \(header.value)"
            lines.append("header = \(CurlRequest.quoted(line))")
        }
        if let bodyFile {
            lines.append("data-binary = \(CurlRequest.quoted("@" + bodyFile))")
        } else if let body {
            lines.append("data-raw = \(CurlRequest.quoted(String(decoding: body, as: UTF8.self)))")
        } else if method == "POST" {
            lines.append("data-raw = \"\"")
        }
        switch method {
        // With `head`, curl writes the headers where the body would go.
        case "HEAD": lines += ["head", "output = \"/dev/null\""]
        case "GET" where body == nil: break
        // Without `request`, a redirect of a POST behaves as browsers have it.
        case "POST": break
        default: lines.append("request = \(CurlRequest.quoted(method))")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Inside quotes, curl's configuration knows \\ \" \t \n \r \v and takes every other byte as it is.
    static func quoted(_ text: String) -> String {
        var out: [UInt8] = [0x22]
        for byte in text.utf8 {
            switch byte {
            case 0x22, 0x5C: out += [0x5C, byte]
            case 9: out += [0x5C, 0x74]
            case 10: out += [0x5C, 0x6E]
            case 13: out += [0x5C, 0x72]
            case 11: out += [0x5C, 0x76]
            default: out.append(byte)
            }
        }
        return String(decoding: out + [0x22], as: UTF8.self)
    }
}
