// What this is: the delivery contract: is this file a complete drop, still arriving, or to be refused (docs/SPOOL.md section 2)?
// Owns: the checks on the inode and on the end of the bytes; the codes E-TYPE E-SIZE E-LINK E-OWN E-PERM E-IO E-ARR-*.
// Never: follows, blocks, or reads a file that somebody is writing; parses (a claim never parses).
// On failure: a verdict with a code; an error of the disk is E-IO for this one file.
import JobModel
import LinuxSystem

/// How we know that a file is there.
public enum Evidence: Int, Comparable, Sendable {
    /// Found by a scan, or seen being made: complete when unchanged for `settle`.
    case seen
    /// Closed after writing while we watched.
    case closed
    /// Renamed or linked in: complete by the act.
    case movedIn
    public static func < (left: Evidence, right: Evidence) -> Bool { left.rawValue < right.rawValue }
}

/// What the gate read: the only bytes of the drop that anybody will ever use.
public struct Drop: Sendable {
    public var name: String
    public var bytes: [UInt8]
    public var status: FileStatus
    public var file: OpenFile
    /// JSON without a newline at its end counts as whole only if it parses.
    public var isTentative: Bool
    public var identity: InodeIdentity { InodeIdentity(inode: status.inode, birthNanoseconds: status.birth) }
}

public enum Verdict: Sendable {
    case complete(Drop)
    /// Look again after this; the text is for `status`.
    case arriving(why: String, lookAgainIn: Span)
    case refused(Failure)
    /// A directory stays where it is.
    case directory
    /// Somebody else took it.
    case gone
    /// The host has no descriptor or memory to look at it with, which says nothing of the file.
    case hostTrouble(SystemError)
}

public struct ArrivalGate: Sendable {
    /// An unchanged file found by a scan counts as complete after this; campaigns of the debug build shorten it.
    public static let settle: Span = {
        #if DEBUG
            if let span = Host.environment("BOBBIN_SETTLE").flatMap({ Span($0) }) { return span }
        #endif
        return Limits.settle
    }()
    public static let open = "open for writing"
    private static let changed = "changed a moment ago", changing = "changing while it is read"
    /// Somebody is at work on the file: however long that takes, it is not incomplete.
    public static func isBeingWritten(_ why: String) -> Bool { [open, changed, changing].contains(why) }

    public var requireEnd: Bool
    /// When the disk was full: rules 2 and 3 ask more of a file that was changed then.
    public var full: [FullSpan]
    /// Wall clock, to tell how long ago the inode changed.
    public var now: Timestamp

    public init(requireEnd: Bool, full: [FullSpan] = [], now: Timestamp) {
        self.requireEnd = requireEnd
        self.full = full
        self.now = now
    }

    /// Judges one file. On `.complete` the read lease is still held where it could be had: claim, then let it go.
    public func examine(_ name: String, in directory: Directory, evidence: Evidence) -> Verdict {
        do {
            guard let status = try directory.statusIfPresent(name) else { return .gone }
            if let verdict = judgeInode(status) { return verdict }
            return try examineBytes(name, directory, evidence)
        } catch {
            return ArrivalGate.verdict(of: error)
        }
    }

    private static func verdict(of error: SystemError) -> Verdict {
        if error.isMissing { return .gone }
        if error.isShortOfResources, error.errno != 11 { return .hostTrouble(error) }
        if error.call == "openat", error.errno == 13 || error.errno == 1 {
            return .refused(ArrivalGate.unreadable)
        }
        if error.call == "openat", error.errno == 11 {
            return .arriving(why: "in use by its owner", lookAgainIn: .seconds(1))
        }
        return .refused(
            Failure(
                "E-IO", "the file could not be read: \(error)",
                whatToDo: "Check the disk, then drop the job again.", retry: .transient))
    }

    private static let unreadable = Failure(
        "E-PERM", "the file cannot be read by the service",
        whatToDo: "Make it readable (chmod 0644, or 0640 with the service's group) and drop it again.")

    private func judgeInode(_ status: FileStatus) -> Verdict? {
        switch status.kind {
        case .regular: break
        case .directory: return .directory
        default:
            return .refused(
                Failure(
                    "E-TYPE", "this is a \(status.kindName), not a file",
                    whatToDo: "Drop a regular file; links are never followed."))
        }
        if status.size > Limits.dropBytes {
            return .refused(
                Failure(
                    "E-SIZE", "the file has \(status.size) bytes; a job may have \(Limits.dropBytes) (1 MiB)",
                    whatToDo: "Put data beside the job and name its path in a variable."))
        }
        if status.links > 1 {
            // maildir's way links the new name first and removes the old one a moment later.
            let age = now.nanoseconds - status.changed
            if age < Span.seconds(2).nanoseconds && age > -Span.seconds(2).nanoseconds {
                return .arriving(why: "has two names (link count \(status.links))", lookAgainIn: .seconds(2))
            }
            return .refused(
                Failure(
                    "E-LINK", "the file has \(status.links) names (hard links), so others could change it",
                    whatToDo: "Copy the file (cp) instead of linking it."))
        }
        if status.mode & 0o022 != 0 {
            return .refused(
                Failure(
                    "E-OWN",
                    "others could have changed this file: its mode is 0\(String(status.mode, radix: 8))",
                    whatToDo: "chmod go-w the file (or set umask 022) and drop it again."))
        }
        return status.mode & 0o400 == 0 ? .refused(ArrivalGate.unreadable) : nil
    }

    private func examineBytes(_ name: String, _ directory: Directory, _ evidence: Evidence)
        throws(SystemError) -> Verdict
    {
        let file = try directory.openForReading(name)
        let writers = file.takeLease()
        if writers == .some { return .arriving(why: ArrivalGate.open, lookAgainIn: .seconds(1)) }
        let before = try file.status()
        // What the name showed may have been swapped: judge the inode that is held.
        if let verdict = judgeInode(before) { return verdict }
        if evidence != .movedIn, let wait = unsettled(before, evidence, proven: writers == .none) {
            return wait
        }
        let bytes = try file.read(upTo: Limits.dropBytes + 1)
        let after = try file.status()
        guard before.size == after.size, before.modified == after.modified, bytes.count == after.size else {
            return .arriving(why: ArrivalGate.changing, lookAgainIn: .seconds(1))
        }
        return judgeEnd(
            Drop(name: name, bytes: bytes, status: after, file: file, isTentative: false), evidence)
    }

    /// Rules 2 and 3 without proof that nobody writes need a quiet time; a scan's find needs one anyway.
    private func unsettled(_ status: FileStatus, _ evidence: Evidence, proven: Bool) -> Verdict? {
        let quiet = proven ? (evidence == .closed ? Span.zero : ArrivalGate.settle) : Limits.settleUnproven
        let age =
            now.nanoseconds
            - max(status.changed, status.modified <= now.nanoseconds ? status.modified : status.changed)
        // A change that lies in the future is a clock that stepped back, not a writer: the lease speaks for it.
        guard age < quiet.nanoseconds, age > -quiet.nanoseconds else { return nil }
        return .arriving(
            why: ArrivalGate.changed,
            lookAgainIn: Span(nanoseconds: max(quiet.nanoseconds - abs(age), 1_000_000)))
    }

    private func judgeEnd(_ drop: Drop, _ evidence: Evidence) -> Verdict {
        if requireEnd && !ArrivalGate.endsWithEndMark(drop.bytes) {
            return .arriving(why: "has no last line `...`", lookAgainIn: .seconds(5))
        }
        // A full disk leaves valid YAML with half its steps.
        if evidence != .movedIn, !ArrivalGate.endsWithEndMark(drop.bytes),
            full.contains(where: { $0.holds(Timestamp(nanoseconds: drop.status.changed)) })
        {
            return .arriving(
                why: "it was written while the disk was full, so its end may be missing",
                lookAgainIn: .seconds(5))
        }
        if evidence == .movedIn || drop.bytes.last == UInt8(ascii: "\n") { return .complete(drop) }
        if drop.name.hasSuffix(".json") {
            var tentative = drop
            tentative.isTentative = true
            return .complete(tentative)
        }
        return .arriving(
            why: drop.bytes.isEmpty ? "empty" : "no newline at its end", lookAgainIn: .seconds(5))
    }

    /// Whether the last line that is not blank is `...`, YAML's end of document.
    public static func endsWithEndMark(_ bytes: [UInt8]) -> Bool {
        var end = bytes.count
        while end > 0, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[end - 1]) { end -= 1 }
        // Indented dots are text: the mark stands at the beginning of its line.
        guard end >= 3, bytes[(end - 3)..<end].allSatisfy({ $0 == UInt8(ascii: ".") }) else { return false }
        return end == 3 || bytes[end - 4] == 0x0A
    }

    /// What a person reads when a file never became whole.
    public static func incomplete(requireEnd: Bool, why: String) -> Failure {
        Failure(
            "E-ARR-INCOMPLETE",
            "the file never became a complete drop: \(why)",
            whatToDo: requireEnd
                ? "This queue asks for a last line `...`: add it, write the file under a dot name and mv it in."
                : "It may be cut off. Write it elsewhere on the same disk and mv it in, or end it with a newline (a last line `...` says it best)."
        )
    }
}
