// What this is: what copy_to, move_to and rename will do, written down before a file is touched.
// Owns: the plan file of a step (one JSON line a pair) and its name.
// Never: changes once it is written: a rerun follows it, whatever the directories look like by then.
// On failure: E-PLAN when a plan cannot be read back; nothing is touched then.
import JobModel
import LinuxSystem

/// One file and where it goes, with what it looked like when the plan was made.
struct TransferPair: Hashable {
    var source: SitePath
    var target: SitePath
    var size: Int
    var modified: Int64

    /// Whether this is the planned file: some file systems keep times in steps of two seconds.
    func isLike(_ status: FileStatus) -> Bool {
        status.kind == .regular && status.size == size && abs(status.modified - modified) <= 2_000_000_000
    }
}

struct TransferPlan {
    var pairs: [TransferPair]
    private static let header = "bobbin plan 1"

    /// The plan of this very step from an earlier start, if it got that far.
    static func earlier(_ step: String, _ context: any StepContext) throws(Failure) -> TransferPlan? {
        guard context.isRerun, let text = try RunFile.read("\(RunFile.label(context)).plan", context) else {
            return nil
        }
        var lines = TextLines.split(text)
        guard lines.first == header + " " + step else {
            throw unreadable("its first line is not `\(header) \(step)`")
        }
        lines.removeFirst()
        var pairs: [TransferPair] = []
        for line in lines { pairs.append(try pair(line, context)) }
        return TransferPlan(pairs: pairs)
    }

    /// Writes the plan so that it survives a crash.
    func keep(_ step: String, _ context: any StepContext) throws(Failure) {
        var text = TransferPlan.header + " " + step + "\n"
        for pair in pairs {
            let line = [pair.source.absolute, pair.target.absolute, String(pair.size), String(pair.modified)]
            text += JSONText.write(.texts(line)) + "\n"
        }
        try RunFile.write("\(RunFile.label(context)).plan", text, context)
    }

    private static func pair(_ line: String, _ context: any StepContext) throws(Failure) -> TransferPair {
        let value: Value
        do { value = try JSONReader.read(Array(line.utf8)) } catch { throw unreadable("\(error)") }
        let parts = (value.listValue ?? []).map(\.text)
        guard parts.count == 4, let size = Int(parts[2]), let modified = Int64(parts[3]) else {
            throw unreadable("a line has not the four parts it should have")
        }
        return try TransferPair(
            source: SitePath(parts[0], context), target: SitePath(parts[1], context), size: size,
            modified: modified)
    }

    static func unreadable(_ reason: String) -> Failure {
        Failure(
            "E-PLAN", "the plan of the interrupted step cannot be read: \(reason)",
            whatToDo: "see which files are already done, then submit a job for the rest", retry: .never)
    }
}

/// Small files of the run that survive a crash.
enum RunFile {
    /// The step's own part of the idempotency key, as a file name; keys that are no plain names get a hash.
    static func label(_ context: any StepContext) -> String {
        let key = context.idempotencyKey
        let prefix = "\(context.runID)/"
        let own = key.hasPrefix(prefix) ? String(key.dropFirst(prefix.count)) : key
        let plain = String(
            own.map { $0.isASCII && ($0.isLetter || $0.isNumber) || $0 == "." || $0 == "_" ? $0 : "-" })
        let isWhole = plain == own && own.utf8.count <= 60
        return isWhole
            ? "step-" + plain : "step-\(plain.prefix(40))-\(RunningSum.sha256(Array(key.utf8)).prefix(12))"
    }

    static func read(_ name: String, _ context: any StepContext) throws(Failure) -> String? {
        let path = try SitePath(context.runFile(name), context)
        do {
            let file = try OpenFile.open(path.absolute)
            return String(decoding: try file.read(upTo: file.status().size), as: UTF8.self)
        } catch {
            guard error.isMissing else { throw Failure(cannot: "read \(path.absolute)", error) }
            return nil
        }
    }

    static func write(_ name: String, _ text: String, _ context: any StepContext) throws(Failure) {
        let path = try SitePath(context.runFile(name), context)
        try onDisk("write \(path.absolute)") { () throws(SystemError) in
            let directory = try Directory.open(path.parent.absolute)
            try AtomicFile.write(
                Array(text.utf8), to: path.name, in: directory, mode: 0o600, existing: .replace)
        }
    }
}
