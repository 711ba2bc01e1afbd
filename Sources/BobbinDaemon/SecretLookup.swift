// What this is: a run's look-up of the secrets that its job names: found, judged, recorded, given.
// Owns: the order: recorded in the audit log before the run has any of them; what the run is told where one is missing.
// Never: keeps a value longer than the run is driven; gives one that the job does not name.
// On failure: E-SECRET and its kin; what cannot be recorded is not given.
import AccessControl
import JobModel
import LinuxSystem
import SecretStore

struct SecretLookup: Sendable {
    static let given = "secret.read", missing = "secret.missing"
    let site: String
    let audit: AuditLog
    let settings: @Sendable () -> SecretSettings

    static func sources(site: String, _ settings: SecretSettings) throws(SystemError) -> SecretSources {
        let root = try Directory.open(site)
        // A site without the directory has no files; one that cannot be read hides none behind the next source.
        let folder = try root.statusIfPresent("secrets") == nil ? nil : root.directory("secrets")
        return SecretSources(
            settings.sources, files: folder.map { SecretFiles($0) }, keyringService: settings.keyringService
        ) {
            try IdentityFile.read(IdentityFile.path(configured: settings.identity), outside: site)
        }
    }

    func give(_ needs: [SecretNeed], _ run: Acceptance) throws(Failure) -> any SecretValues {
        let settings = settings()
        let sources: SecretSources
        do throws(SystemError) { sources = try SecretLookup.sources(site: site, settings) } catch {
            throw Failure(
                "E-SECRET", "secrets/ cannot be read: \(error)", whatToDo: "See bobbin doctor.",
                retry: .transient)
        }
        var values: [SecretName: SecretBytes] = [:]
        var entries: [AuditEntry] = []
        var failure: Failure?
        for need in needs where values[need.name] == nil {
            do {
                let found = try find(need.name, sources, settings)
                values[need.name] = found.value
                entries.append(entry(SecretLookup.given, need, run, outcome: found.source.rawValue))
            } catch let problem as SecretProblem {
                failure =
                    failure
                    ?? Failure(
                        problem.code, problem.message, whatToDo: problem.whatToDo, retry: .never)
                entries.append(
                    entry(SecretLookup.missing, need, run, outcome: problem.code, severity: .notice))
            } catch {
                failure =
                    failure
                    ?? Failure(
                        "E-SECRET", "\(need.name.text) cannot be looked up: \(error)", retry: .transient)
                entries.append(
                    entry(SecretLookup.missing, need, run, outcome: "E-SECRET", severity: .notice))
            }
        }
        do throws(SystemError) { try audit.append(entries, at: Timestamp(nanoseconds: Clocks.wall)) } catch {
            throw Failure(
                "E-AUDIT", "that the run was given secrets cannot be recorded: \(error)",
                whatToDo: "Look at ops/audit/ (bobbin doctor).", retry: .transient)
        }
        if let failure { throw failure }
        return GivenSecrets(values, unmasked: settings.unmasked)
    }

    private func find(_ name: SecretName, _ sources: SecretSources, _ settings: SecretSettings) throws
        -> SecretSources.Found
    {
        guard let found = try sources.find(name) else {
            throw SecretProblem(
                "E-SECRET",
                "there is no secret `\(name.text)` (looked for in \(settings.sources.map(\.rawValue).joined(separator: ", ")))",
                whatToDo: "bobbin secrets set \(name.text)")
        }
        guard SecretSources.isMaskable(found.value) || settings.unmasked.contains(name) else {
            throw SecretProblem(
                "E-SECRET-SHORT", "the secret `\(name.text)` is too short to be masked in logs",
                whatToDo:
                    "Take one of 8 bytes or more; or allow it to be seen: `secrets: {unmasked: [\(name.text)]}` in ops/orchestrator.yaml."
            )
        }
        return found
    }

    private func entry(
        _ action: String, _ need: SecretNeed, _ run: Acceptance, outcome: String,
        severity: AuditEntry.Severity = .info
    ) -> AuditEntry {
        let place = need.template.map { " (template \($0))" } ?? ""
        return AuditEntry(
            action, need.name.text, by: run.submitter, file: run.sha256, outcome: outcome,
            why: "run \(run.id)\(SecretLookup.beforeJob)\(run.jobName)\(place)", severity: severity)
    }
    private static let beforeJob = ", job "
    /// Who read it, as a record tells: the account and the job.
    static func reader(_ entry: AuditEntry) -> String {
        let job = entry.why.dropFirst("run ".count + RunID.length + beforeJob.count)
        return "\(entry.who?.name ?? "?"), job \(job)"
    }
}
