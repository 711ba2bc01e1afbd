// What this is: the step `make_request`: HTTP by the program curl.
// Owns: its table entry, the accepted answers, what happens with the body.
// Never: puts URL, headers or body on a command line, where every account of the machine could read them.
// On failure: E-HTTP-…; `save_to` keeps its old content.
import JobModel
import LinuxSystem

struct MakeRequestStep: StepAction {
    static let repeatable = ["GET", "HEAD", "OPTIONS"]
    static let table = StepType(
        "make_request", "Sends an HTTP request and checks the answer.",
        parameters: [
            Parameter("url", .text, required: true, "http:// or https://").takingSecrets,
            Parameter(
                "method", .choice(repeatable + ["POST", "PUT", "PATCH", "DELETE"]), default: .string("GET"),
                "the method"),
            Parameter("headers", .map, default: .map([:]), "names and values").takingSecrets,
            Parameter("body", .any, "text as it is; a list or map is sent as JSON").takingSecrets,
            Parameter(
                "expect_status", .texts, default: .list([.string("2xx")]),
                "accepted answers, such as 200 or 2xx"),
            Parameter("timeout", .span, default: .string("30s"), "for the whole exchange"),
            Parameter("size_limit", .size, default: .string("1MiB"), "a larger body is an error"),
            Parameter(
                "json", .choice(["auto", "always", "never"]), default: .string("auto"),
                "read the body as JSON: when its type says so, always, never"),
            Parameter(
                "save_to", .text, "write the body to this file instead of `body`; an old one is replaced"),
            Parameter("follow_redirects", .flag, default: .bool(true), "at most 5"),
            Parameter("insecure", .flag, default: .bool(false), "accept any certificate"),
        ],
        shorthand: "url", retryClass: .atMostOnce,
        // A method that is not known yet (a template) counts as one that changes something.
        repeatableWhen: { repeatable.contains(($0["method"] ?? .string("GET")).text) },
        outputs: [
            ("status", "the status code"), ("headers", "a map with lower-case names"),
            ("body", "the body as text"),
            ("json", "the body as a value, where it is JSON"), ("bytes", "size of the body"),
            ("seconds", "how long it took"), ("url", "the last URL, after redirects"),
            ("path", "the file of save_to"),
        ],
        example: "make_request: {url: \"https://api.example.com/intake\", method: POST, body: {id: 7}}",
        effect: .sendsData)
    var type: StepType { MakeRequestStep.table }

    func target(_ arguments: ValueMap) -> String? {
        TargetName.find(inURL: arguments.text("url"), ports: ["http": 80, "https": 443])
    }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let accepted = try AcceptedStatus(arguments.texts("expect_status"))
        let exchange = try CurlExchange(CurlRequest(arguments), arguments, context)
        defer { exchange.removeFiles() }
        let answer = try exchange.perform()
        guard accepted.holds(answer.status) else { throw answer.refusal(exchange.request) }
        do throws(Failure) { return try outputs(answer, exchange, arguments, context) } catch {
            // Whatever is wrong with the answer: there was one.
            var failure = error
            failure.target = .answered
            throw failure
        }
    }

    private func outputs(
        _ answer: HttpAnswer, _ exchange: CurlExchange, _ arguments: ValueMap, _ context: any StepContext
    ) throws(Failure) -> ValueMap {
        var outputs: ValueMap = [
            "status": .int(answer.status), "headers": .map(answer.headers), "bytes": .int(answer.bytes),
            "seconds": .double(answer.seconds), "url": .string(answer.url),
        ]
        if let saved = try exchange.keepBody() {
            outputs["path"] = .string(saved)
        } else {
            outputs.merge(try body(answer, arguments.text("json"), context))
        }
        return try outputs.withinLimit(instead: "keep the body in a file: `save_to`")
    }

    private func body(_ answer: HttpAnswer, _ json: String, _ context: any StepContext) throws(Failure)
        -> ValueMap
    {
        guard let text = String(validating: answer.body, as: UTF8.self) else {
            try context.log("the body is no UTF-8 text and is left out; `save_to` keeps it")
            return ["body": .null]
        }
        guard json == "always" || json == "auto" && answer.saysJSON && !answer.body.isEmpty else {
            return ["body": .string(text)]
        }
        do { return ["body": .string(text), "json": try JSONReader.read(answer.body)] } catch {
            guard json == "always" else {
                try context.log("the body calls itself JSON but is not: \(error)")
                return ["body": .string(text)]
            }
            throw Failure(
                "E-HTTP-JSON", "the body is not JSON: \(error)", whatToDo: "look at `body` with json: never")
        }
    }
}

/// `200`, `2xx`, `20x`.
struct AcceptedStatus {
    private let patterns: [[Character]]

    init(_ texts: [String]) throws(Failure) {
        patterns = texts.map { Array($0.lowercased()) }
        for (text, pattern) in zip(texts, patterns) {
            let isLegal = pattern.count == 3 && pattern.allSatisfy { $0 == "x" || $0.isASCII && $0.isNumber }
            guard isLegal else {
                throw .parameter("`expect_status` holds codes such as 200 or 2xx, not \(text)")
            }
        }
    }
    func holds(_ status: Int) -> Bool {
        let digits = Array(String(status))
        return digits.count == 3
            && patterns.contains {
                zip($0, digits).allSatisfy { wanted, digit in wanted == "x" || wanted == digit }
            }
    }
}
