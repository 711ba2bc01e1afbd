// What this is: whether whoever wrote a file of control/ may command what it says.
// Owns: the looks at the file (whose, whose alone, meant), the right that each command takes.
// Never: carries a command out.
// On failure: a Failure with what it takes; what cannot be looked at is refused.
import AccessControl
import JobModel
import LinuxSystem
import SpoolQueue
import YamlText

struct CommandRights {
    let policy: AccessPolicy
    let audit: AuditLog
    /// Tells the operator what could not be recorded.
    let trouble: (SystemError) -> Void

    /// Nil where it may be obeyed. `owner`: who submitted the run; nil for what is about no run.
    func refusal(_ name: String, in directory: Directory, _ file: ControlFile, runOf owner: Submitter?)
        -> Failure?
    {
        guard policy.isEnforced else { return nil }
        do throws(SystemError) {
            let opened = try directory.openForReading(name)
            let status = try opened.status()
            let who = Submitter(uid: status.uid, name: Host.userName(status.uid))
            var failure = right(file, who, owner)
            if failure == nil, policy.isShared, who.uid != policy.service {
                failure = try CommandRights.fault(opened, status, name)
            }
            // Refused all the same: a log that is full or broken gives nobody a right.
            if let failure { note(name, who, failure) }
            return failure
        } catch {
            return Failure(
                "E-CONTROL", "the command's file cannot be looked at: \(error)",
                whatToDo: "Make it readable (chmod 0640), or use the verb of bobbin.", retry: .never)
        }
    }

    private func note(_ name: String, _ who: Submitter, _ failure: Failure) {
        let entry = AuditEntry(
            AccessLog.denied, Printable.escape(name), by: who, outcome: failure.code,
            why: "\(failure.message). \(failure.whatToDo)", severity: .notice)
        do throws(SystemError) { try audit.append([entry], at: Timestamp(nanoseconds: Clocks.wall)) } catch {
            trouble(error)
        }
    }

    private func right(_ file: ControlFile, _ who: Submitter, _ owner: Submitter?) -> Failure? {
        guard who.uid != policy.service else { return nil }
        switch file {
        case .pause: return policy.denial(of: .pauseQueues, to: who)
        case .drain: return policy.denial(of: .manageSystem, to: who)
        case .command(let verb, _):
            let permission: Permission = verb == .cancel || verb == .hold ? .stopRuns : .writeRuns
            guard let owner else { return policy.denial(of: permission, to: who) }
            return policy.denial(of: permission, to: who, onRunOf: owner)
        case .ignored, .unknown: return nil
        }
    }

    /// The owner of a file shows who made it, not who moved it here under this name: it must say what it is.
    private static func fault(_ file: OpenFile, _ status: FileStatus, _ name: String) throws(SystemError)
        -> Failure?
    {
        let hasACL = try file.hasACL()
        let isHis = status.kind == .regular && status.links == 1 && status.mode & 0o022 == 0 && !hasACL
        let text = String(decoding: try file.read(upTo: 4096), as: UTF8.self)
        if isHis, text.trimmed.hasPrefix(intent(name)) { return nil }
        return Failure(
            "E-CONTROL-INTENT", "this file does not show that its owner meant it",
            whatToDo:
                "It must be his alone to write, and begin with `\(intent(name))`; the verbs of bobbin write it so.",
            retry: .never)
    }
    static func told(_ failure: Failure) -> String {
        "\(failure.code): \(failure.message). \(failure.whatToDo)"
    }

    /// `cancel 01KAJ…`, for `cancel-01KAJ…`.
    static func intent(_ name: String) -> String {
        let plain = name.hasSuffix(".yaml") ? String(name.dropLast(5)) : name
        return plain.replacing("-", with: " ", maxReplacements: 1)
    }
}
