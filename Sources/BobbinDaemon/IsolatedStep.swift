// What this is: a step that takes files apart by a library of C (SQLite, libarchive), done by a process of its own where it acts for
//   somebody else: a file that he changes meanwhile, or made to break the library, must not end or own the service.
// Owns: the conversation with that process, both ends of it.
// Never: stands in the way where a step acts as the service itself.
// On failure: the step's own Failure, as the other side tells it; E-ISOLATED where it died without a word.
import JobModel
import LinuxSystem

struct IsolatedStep: StepAction {
    let inner: any StepAction
    var type: StepType { inner.type }
    func target(_ arguments: ValueMap) -> String? { inner.target(arguments) }

    /// Those of `actions` that need it are wrapped.
    static func wrapping(_ actions: [any StepAction]) -> [any StepAction] {
        actions.map { names.contains($0.type.name) ? IsolatedStep(inner: $0) : $0 }
    }
    private static let names: Set<String> = ["sql", "extract", "zip_folder", "archive"]

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        // A database server is asked by psql, which is a process of its own already.
        let isLocal = inner.target(arguments) == nil
        guard context.actsForAnother, isLocal, let program = Host.realPath("/proc/self/exe") else {
            return try inner.perform(arguments, context)
        }
        var request = ProcessRequest(
            [program, StepProcess.verb], captureLimit: 2 * Limits.outputBytes, outputIsData: true)
        request.workingDirectory = context.baseDirectory
        let message: ValueMap = [
            "type": .string(type.name), "arguments": .map(arguments), "run": .string(context.runID.text),
            "key": .string(context.idempotencyKey), "attempt": .int(context.attempt),
            "rerun": .bool(context.isRerun),
            "site": .string(context.baseDirectory), "effort": .string(context.effort),
            "files": .string(try context.runFile("")),
        ]
        request.input = Array((JSONText.write(.map(message)) + "\n").utf8)
        let ending = try context.run(request)
        // What is no JSON was not written by the other side as it should.
        guard let answer = (try? JSONReader.read(ending.stdout))?.mapValue else {
            throw Failure(
                "E-ISOLATED", "the process that did the step ended without an answer",
                whatToDo: "A file may be damaged, or have changed while it was read; see the step's log.",
                retry: .permanent)
        }
        if let outputs = answer["outputs"]?.mapValue { return outputs }
        let told = answer["failure"]?.mapValue ?? [:]
        throw Failure(
            told["code"]?.text ?? "E-ISOLATED", told["message"]?.text ?? "the step failed",
            whatToDo: told["what_to_do"]?.text ?? "",
            kind: told["kind"]?.stringValue.flatMap(Failure.Kind.init) ?? .failed,
            retry: told["retry"]?.stringValue.flatMap(Failure.Retry.init) ?? .permanent)
    }
}

/// The other side: the program itself, started with this word.
public enum StepProcess {
    public static let verb = "step-process"

    /// One message in, one answer out.
    public static func answer(_ input: [UInt8]) -> String {
        guard let message = (try? JSONReader.read(input))?.mapValue,
            let action = Site.allActions.first(where: { $0.type.name == message["type"]?.stringValue }),
            let run = RunID(message["run"]?.text ?? "")
        else { return JSONText.write(.map(["failure": .map(["message": "this is no step"])])) }
        let inner = (action as? IsolatedStep)?.inner ?? action
        do throws(Failure) {
            let outputs = try inner.perform(message["arguments"]?.mapValue ?? [:], Context(run, message))
            return JSONText.write(.map(["outputs": .map(outputs)]))
        } catch {
            return JSONText.write(
                .map([
                    "failure": .map([
                        "code": .string(error.code), "message": .string(error.message),
                        "what_to_do": .string(error.whatToDo), "kind": .string(error.kind.rawValue),
                        "retry": .string(error.retry.rawValue),
                    ])
                ]))
        }
    }

    /// What such a step may ask for; its time is kept by whoever started the process.
    private final class Context: StepContext {
        let runID: RunID
        private let message: ValueMap
        init(_ run: RunID, _ message: ValueMap) {
            runID = run
            self.message = message
        }
        var idempotencyKey: String { message["key"]?.text ?? "" }
        var attempt: Int { message["attempt"]?.intValue ?? 1 }
        var isRerun: Bool { message["rerun"]?.boolValue ?? false }
        var baseDirectory: String { message["site"]?.text ?? "/" }
        var effort: String { message["effort"]?.text ?? "" }
        let before: ValueMap? = nil
        let began = Timestamp(nanoseconds: Clocks.wall)
        let terms = Terms()
        let submitter = Submitter(uid: ProcessSetup.uid, name: Host.userName(ProcessSetup.uid))
        func log(_ line: String) throws(Failure) { StandardError.write(line + "\n") }
        func checkpoint() throws(Failure) {}
        func pause(_ span: Span) throws(Failure) {
            // Cut short, the step looks again and waits once more.
            _ = try? Waker.sleep([], until: Clocks.monotonic + span.nanoseconds)
        }
        func suspend(_ reason: Wait.Reason, until: Timestamp?) {}
        func approval(_ nonce: String) -> Approval? { nil }
        func upcoming() -> [Value] { [] }
        func runFile(_ name: String) throws(Failure) -> String {
            (message["files"]?.text ?? "/nowhere/") + name
        }
        func run(_ request: ProcessRequest) throws(Failure) -> ProcessEnding { throw Context.notHere }
        private static let notHere = Failure(
            "E-ISOLATED", "a step of this type asks for nothing else: a mistake in Bobbin", retry: .never)
    }
}
