// What this is: what happens to a file that is no job: out of the queue, into rejected/, with a reason beside it.
// Owns: the reason file's keys: code message what_to_do file line column, and what belongs to the file.
// Never: deletes the file, follows it, or lets it stop anybody else.
// On failure: throws SystemError; the file stays where it is and is tried again with the next scan.
import JobLanguage
import JobModel
import LinuxSystem
import SpoolQueue
import YamlText

public struct Rejection: Sendable {
    public var failure: Failure
    public var line: Int?
    public var column: Int?
    /// All findings as `bobbin check` prints them.
    public var details: String

    public init(_ failure: Failure, line: Int? = nil, column: Int? = nil, details: String = "") {
        self.failure = failure
        self.line = line
        self.column = column
        self.details = details
    }

    /// The first error counts, the others are in the details.
    public init(_ findings: [Finding], queueName: String) {
        let errors = findings.filter { $0.diagnostic.severity == .error }
        let first = errors.first?.diagnostic
        let more = errors.count > 1 ? " (and \(errors.count - 1) more)" : ""
        self.init(
            Failure(
                first?.code ?? "E-JOB", (first?.message ?? "the job is not valid") + more,
                whatToDo: first.map {
                    $0.hint.isEmpty
                        ? "Correct the file and drop it again; `bobbin check FILE` tries it first." : $0.hint
                } ?? "",
                retry: .never),
            line: first?.mark?.line, column: first?.mark?.column,
            details: findings.map(\.rendered).joined(separator: "\n"))
    }

    func render(name: String, status: FileStatus?, sha256: String?, at now: Timestamp, from directory: String)
        -> [UInt8]
    {
        var map: [(String, YamlOut)] = [
            ("code", .string(failure.code)), ("message", .string(failure.message)),
            ("what_to_do", .string(failure.whatToDo)), ("file", .string(Printable.escape(name))),
        ]
        map.append(("line", line.map(YamlOut.int) ?? .null))
        map.append(("column", column.map(YamlOut.int) ?? .null))
        if !details.isEmpty { map.append(("details", .string(details))) }
        map.append(("dropped_in", .string(directory)))
        if let status {
            map.append(("kind", .string(status.kindName)))
            map.append(("bytes", .int(status.size)))
            map.append(("owner", .string(Host.userName(status.uid))))
            map.append(("owner_uid", .int(Int(status.uid))))
        }
        if let sha256 { map.append(("sha256", .string(sha256))) }
        map.append(("rejected_at", .string(now.rfc3339)))
        return Array(YamlWriter.write(map, header: ["This drop was not run."]).utf8)
    }
}

/// The act of rejecting.
struct Rejecter: Sendable {
    let spool: Spool
    let log: DaemonLog

    /// Moves the file away and explains it. False: somebody else took it first.
    @discardableResult
    func reject(
        _ name: String, from directory: Directory, _ rejection: Rejection, sha256: String? = nil
    ) throws -> Bool {
        let status = try directory.statusIfPresent(name)
        // Should it come back, nobody knows any more who wanted that. No site but a shared one has such proofs.
        if let status {
            try Intents(spool).spend(InodeIdentity(inode: status.inode, birthNanoseconds: status.birth))
        }
        let now = Timestamp(nanoseconds: Clocks.wall)
        guard let target = try Move(spool).reject(name, from: directory, sequence: Identities.fresh()) else {
            return false
        }
        let place = directory.path.split(separator: "/").suffix(2).joined(separator: "/")
        let bytes = rejection.render(name: name, status: status, sha256: sha256, at: now, from: place)
        try AtomicFile.write(bytes, to: target + FinalName.reasonEnding, in: spool.rejected)
        log.warn(
            "rejected",
            "\(place)/\(name): \(rejection.failure.message) [\(rejection.failure.code)] -> rejected/\(target)"
        )
        return true
    }

    /// Writes the reasons that a crash kept from being written.
    func explainOrphans(_ reader: JobReader) throws {
        let names = Set(try spool.rejected.names())
        for name in names where !name.hasPrefix(".") && !name.hasSuffix(FinalName.reasonEnding) {
            guard !names.contains(name + FinalName.reasonEnding) else { continue }
            let rejection = rediagnose(name, reader)
            let status = try spool.rejected.statusIfPresent(name)
            let bytes = rejection.render(
                name: name, status: status, sha256: nil, at: Timestamp(nanoseconds: Clocks.wall),
                from: SpoolName.rejected)
            try AtomicFile.write(
                bytes, to: name + FinalName.reasonEnding, in: spool.rejected, existing: .replace)
        }
    }
    private func rediagnose(_ name: String, _ reader: JobReader) -> Rejection {
        let gate = ArrivalGate(requireEnd: false, now: Timestamp(nanoseconds: Clocks.wall))
        switch gate.examine(name, in: spool.rejected, evidence: .movedIn) {
        case .refused(let failure): return Rejection(failure)
        case .complete(let drop):
            drop.file.dropLease()
            let reading = reader.read(drop.bytes, name: name, stem: name)
            if reading.job == nil { return Rejection(reading.findings, queueName: "") }
        default: break
        }
        return Rejection(
            Failure(
                "E-REJECTED", "the file was rejected just before a crash, and the reason was lost",
                whatToDo: "Drop it again to learn the reason."))
    }
}
