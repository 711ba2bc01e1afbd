// What this is: one run of curl: its files, its limits, and what it left behind.
// Owns: the private files of the exchange (headers, a large body, a download that is not complete).
// Never: leaves those files behind; lets an endless answer fill the disk.
// On failure: E-HTTP-… by curl's exit code (HttpAnswer), E-HTTP-TOOL where curl is missing.
import JobModel
import LinuxSystem

final class CurlExchange {
    let request: CurlRequest
    private let arguments: ValueMap
    private let context: any StepContext
    private let sizeLimit: Int
    private var files: [SitePath] = []
    private var download: PartFile?
    /// Before the line curl adds to its standard error.
    static let mark = "bobbin-http "
    /// A silence as long as this speaks against the service.
    static let fairTime = Span.seconds(5)

    init(_ request: CurlRequest, _ arguments: ValueMap, _ context: any StepContext) throws(Failure) {
        self.request = request
        self.arguments = arguments
        self.context = context
        sizeLimit = arguments.bytes("size_limit")
        guard let text = arguments.optionalText("save_to") else { return }
        guard request.method != "HEAD" else {
            throw .parameter("the answer to HEAD has no body for `save_to`")
        }
        download = try PartFile(SitePath(text, context), context)
    }

    func perform() throws(Failure) -> HttpAnswer {
        let headers = try privateFile("headers", [])
        let body = try request.needsBodyFile ? privateFile("body", request.body ?? []) : nil
        var call = ProcessRequest(argv, captureLimit: sizeLimit + 1, outputIsData: true)
        call.input = Array((request.configuration(bodyFile: body?.absolute) + limits(headers)).utf8)
        let ending: ProcessEnding
        do { ending = try context.run(call) } catch {
            guard error.code == "E-EXEC" else { throw error }
            throw HttpAnswer.toolMissing
        }
        if var failure = HttpAnswer.failure(ending, request, sizeLimit) {
            // Whoever gives a service no time to answer learns nothing of it.
            if failure.code == "E-HTTP-TIMEOUT", arguments.span("timeout") < CurlExchange.fairTime {
                failure.target = .unknown
            }
            // Too much of an answer is one.
            if failure.code == "E-HTTP-SIZE" { failure.target = .answered }
            throw failure
        }
        var answer = try HttpAnswer(ending, headers: SourceFile(reading: headers), context)
        if let download {
            answer.bytes = try download.size()
        }
        guard answer.bytes <= sizeLimit else { throw HttpAnswer.tooLarge(request, sizeLimit) }
        return answer
    }

    /// A download goes through `ulimit -f`: curl before 8.4 ends an answer of unknown length at no size.
    private var argv: [String] {
        let curl = ["curl", "-q", "--config", "-"]
        guard download != nil else { return curl }
        let blocks = String(max(sizeLimit, 1 << 20) / 512 + 1)
        return ["/bin/sh", "-c", "ulimit -f \"$1\" && shift && exec \"$@\"", "sh", blocks] + curl
    }

    private func limits(_ headers: SitePath) -> String {
        let seconds = String(max(arguments.span("timeout").inSeconds, 0.001))
        var lines = [
            "silent", "show-error", "globoff", "max-time = \(seconds)", "connect-timeout = \(seconds)",
            "max-filesize = \(sizeLimit)", "proto = \"=http,https\"", "proto-redir = \"=http,https\"",
            "dump-header = \(CurlRequest.quoted(headers.absolute))",
            "write-out = \"%{stderr}\(CurlExchange.mark)%{http_code} %{time_total} %{url_effective}\\n\"",
        ]
        if let download { lines.append("output = \(CurlRequest.quoted(download.part.absolute))") }
        if arguments.flag("follow_redirects") { lines += ["location", "max-redirs = 5"] }
        if arguments.flag("insecure") { lines.append("insecure") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// A file of the run that only the service's account can read.
    private func privateFile(_ purpose: String, _ bytes: [UInt8]) throws(Failure) -> SitePath {
        let path = try SitePath(context.runFile("\(RunFile.label(context)).\(purpose)"), context)
        try onDisk("write \(path.absolute)") { () throws(SystemError) in
            let directory = try Directory.open(path.parent.absolute)
            try AtomicFile.write(
                bytes, to: path.name, in: directory, mode: 0o600, existing: .replace, durable: false)
        }
        files.append(path)
        return path
    }

    /// Gives the download its name; nil where the body is not saved.
    func keepBody() throws(Failure) -> String? {
        guard let download else { return nil }
        try download.commit()
        return download.final.absolute
    }

    func removeFiles() {
        // What is already gone, or cannot be removed, is no reason to fail a request that was made.
        for file in files { try? Directory.open(file.parent.absolute).remove(file.name) }
        download?.discard()
    }
}
