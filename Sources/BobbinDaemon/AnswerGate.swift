// What this is: whether a file in responses/ is a whole answer, and whose it is: judged on the inode that is held.
// Owns: the order of the looks at an answer's file, E-APP-INCOMPLETE.
// Never: follows a link, blocks, reads a file that somebody is writing; decides what an answer is worth.
// On failure: a Failure for this one file; a host that is short of something is thrown, and says nothing of the file.
import AccessControl
import JobLanguage
import JobModel
import LinuxSystem
import SpoolQueue
import YamlText

struct AnswerGate {
    enum Verdict {
        case whole(AnswerFile, request: String, Answer, bytes: [UInt8])
        /// Somebody is at work on it; look again after this.
        case waits(why: String, request: String?, lookAgainIn: Span)
        case refused(AnswerFile?, Failure)
        /// It may not be opened. Once is no reason: its owner may be about to allow it.
        case closed(Failure)
        case gone
    }
    /// How long an answer may lack its end before it is sent back.
    static let patience = Span.seconds(5)
    /// It tells by itself when there is something new.
    static let untilItChanges = Span.seconds(3600)
    let now: Timestamp

    static func isIgnored(_ name: String) -> Bool {
        name.hasPrefix(".") || name.hasSuffix("~") || name.hasSuffix(AnswerSignature.ending)
            || name.hasPrefix("#")
            || [".tmp", ".part", ".swp", ".bak"].contains { name.hasSuffix($0) }
    }

    func examine(_ name: String, in directory: Directory) throws(SystemError) -> Verdict {
        guard let seen = try directory.statusIfPresent(name) else { return .gone }
        guard seen.kind == .regular else {
            return .refused(
                nil,
                Failure(
                    "E-APP-FILE",
                    "this is a \(seen.kindName), not a file; an answer is a file of who answers",
                    whatToDo: "Copy the request with `cp`.", retry: .never))
        }
        let file: OpenFile
        do throws(SystemError) { file = try directory.openForReading(name) } catch {
            if error.isMissing { return .gone }
            guard [.access, .kind].contains(error.fileTrouble) else { throw error }
            return .closed(
                Failure(
                    "E-APP-FILE", "the answer cannot be read by the service: \(error)",
                    whatToDo: "Make it readable (chmod 0644, or 0640 with the service's group).",
                    retry: .never))
        }
        return try examine(file, name)
    }

    private func examine(_ file: OpenFile, _ name: String) throws(SystemError) -> Verdict {
        let writers = file.takeLease()
        defer { file.dropLease() }
        if writers == .some {
            return .waits(why: "it is open for writing", request: nil, lookAgainIn: .seconds(1))
        }
        let before = try file.status()
        let owner = Submitter(uid: before.uid, name: Host.userName(before.uid))
        var facts = AnswerFile(
            owner: owner, isRegular: before.kind == .regular, links: before.links, mode: before.mode,
            hasACL: try file.hasACL(), sha256: "")
        guard before.size <= ApprovalForm.longest else {
            return .refused(
                facts,
                Failure(
                    "E-APP-FORM",
                    "the answer has \(before.size) bytes; \(ApprovalForm.longest) are the limit",
                    whatToDo: "Keep the comment short.", retry: .never))
        }
        // Nobody can say who writes other people's files without CAP_LEASE: a quiet time must do.
        let age =
            now.nanoseconds - max(before.changed, before.modified <= now.nanoseconds ? before.modified : 0)
        if writers == .unknown, (0..<Limits.settleUnproven.nanoseconds).contains(age) {
            return .waits(why: "it changed a moment ago", request: nil, lookAgainIn: Limits.settleUnproven)
        }
        let bytes = try file.read(upTo: ApprovalForm.longest + 1)
        let after = try file.status()
        guard before.size == after.size, before.modified == after.modified, bytes.count == after.size,
            before.changed == after.changed
        else { return .waits(why: "it is changing", request: nil, lookAgainIn: .seconds(1)) }
        facts.sha256 = Digest.sha256(bytes)
        guard bytes.last == 0x0A else {
            // Whoever writes into it is noticed.
            if bytes.isEmpty {
                return .waits(why: "it is empty", request: nil, lookAgainIn: AnswerGate.untilItChanges)
            }
            if age >= 0, age < AnswerGate.patience.nanoseconds {
                return .waits(why: "it has no newline at its end", request: nil, lookAgainIn: .seconds(1))
            }
            return .refused(
                facts,
                Failure(
                    "E-APP-INCOMPLETE", "the answer has no newline at its end, so it may be cut off",
                    whatToDo: "Copy the request anew, and save the answer whole.", retry: .never))
        }
        do throws(Failure) {
            switch try ApprovalForm.read(bytes, name: Printable.escape(name)) {
            case .unfinished(let request):
                return .waits(
                    why: "it has no decision yet", request: request, lookAgainIn: AnswerGate.untilItChanges)
            case .answer(let request, let answer):
                return .whole(facts, request: request, answer, bytes: bytes)
            }
        } catch { return .refused(facts, error) }
    }
}
