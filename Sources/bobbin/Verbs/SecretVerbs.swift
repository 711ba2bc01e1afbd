// What this is: secrets keygen, open, set, ls, rm, rotate, check.
// Owns: where values come from (standard input or a prompt that shows nothing), what is audited.
// Never: takes a value from the command line; prints one, but for `open`, whose purpose that is.
// On failure: exit 65 for a file that does not open, 1 for a check that finds something wrong.
import AccessControl
import ArgumentParser
import BobbinDaemon
import Glibc
import JobModel
import LinuxSystem
import SecretStore

struct SecretsVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "secrets", abstract: "Passwords and keys, as age files that only the site can open.",
        subcommands: [
            SecretsKeygenVerb.self, SecretsSetVerb.self, SecretsLsVerb.self, SecretsRmVerb.self,
            SecretsRotateVerb.self, SecretsCheckVerb.self, SecretsOpenVerb.self, SecretsMetricsVerb.self,
        ])
}

/// What the verbs share.
private enum SecretDesk {
    static func files(_ site: Site) throws -> SecretFiles {
        SecretFiles(try site.spool.site.directory("secrets"))
    }
    static func identities(_ site: Site) throws -> [AgeIdentity] {
        try IdentityFile.read(
            IdentityFile.path(configured: try site.configuration().secrets.identity), outside: site.path)
    }
    static func name(_ text: String) throws -> SecretName {
        guard let name = SecretName(text) else {
            Terminal.complain(
                "`\(Terminal.escape(text))` cannot name a secret: KEY or SERVICE/KEY, of letters, digits and ._-"
            )
            throw ExitCode(Exit.usage)
        }
        return name
    }
    static func audit(_ site: Site, _ action: String, _ name: String, _ outcome: String) throws {
        let uid = ProcessSetup.uid
        try AuditLog(
            ops: site.spool.site.directory("ops"), state: site.spool.state,
            origin: AuditOrigin.name(site.spool)
        ).append(
            [
                AuditEntry(
                    action, name, by: Submitter(uid: uid, name: Host.userName(uid)), outcome: outcome,
                    severity: .notice)
            ], at: Terminal.now)
    }
    /// What the sentence of a problem is worth as an exit code.
    static func leave(_ problem: any Error) throws -> Never {
        Terminal.complain("bobbin: \(problem)")
        throw ExitCode(Exit.malformed)
    }

    /// All of standard input without its last line end, or what is typed, twice.
    static func value(_ prompt: String) throws -> SecretBytes {
        guard isatty(0) == 1 else {
            var bytes = try OpenFile(fd: dup(0), label: "standard input").readToEnd(limit: 1 << 20)
            if bytes.last == 0x0A { bytes.removeLast() }
            return SecretBytes(taking: &bytes)
        }
        let first = type(prompt), again = type("once more: ")
        guard first.withBytes({ left in again.withBytes { right in left.elementsEqual(right) } }) else {
            Terminal.complain("the two are not the same")
            throw ExitCode(Exit.usage)
        }
        return first
    }
    static func type(_ prompt: String) -> SecretBytes {
        StandardError.write(prompt)
        var shown = termios()
        tcgetattr(0, &shown)
        var hidden = shown
        hidden.c_lflag &= ~tcflag_t(ECHO)
        tcsetattr(0, TCSAFLUSH, &hidden)
        defer {
            tcsetattr(0, TCSAFLUSH, &shown)
            StandardError.write("\n")
        }
        var bytes = Array((readLine() ?? "").utf8)
        return SecretBytes(taking: &bytes)
    }
}

struct SecretsKeygenVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keygen", abstract: "Make the identity with which a site opens its secrets.",
        discussion:
            "  bobbin secrets keygen\nThe private half goes to ~/.config/bobbin/identity (0400), outside of the site; the public half (age1…) is printed and added to secrets/recipients.txt. Keep a copy of the identity elsewhere: without it no secret opens."
    )
    @Option(name: .shortAndLong, help: "Another file for the private half.", completion: .file()) var output:
        String?
    @OptionGroup var site: SiteOption

    func run() throws {
        let path = try site.pathIfAny()
        let configured = try path.map { try Site(path: $0, mayFoundSpool: true) }
        // Before a key is made that nobody asked for.
        if configured?.spool.isOwn == false { _ = try site.openOwn() }
        let target: String
        if let output {
            target = output
        } else {
            target = try configured?.configuration().secrets.identity ?? IdentityFile.standardPath
        }
        do {
            let recipient = try IdentityFile.make(at: target, now: Terminal.now)
            print(recipient.text ?? "")
            Terminal.complain("the identity is in \(target); keep a copy elsewhere")
            if let site = configured {
                if try SecretDesk.files(site).add(recipient) {
                    Terminal.complain(
                        "added to secrets/\(SecretFiles.recipientsFile): secrets that are set from now on open with it"
                    )
                }
                try SecretDesk.audit(site, "secret.keygen", recipient.text ?? "", "made")
            }
        } catch let problem as SecretProblem { try SecretDesk.leave(problem) }
    }
}

struct SecretsSetVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Set a secret; the value comes from standard input or a prompt.",
        discussion:
            "  bobbin secrets set erp/api_key < key.txt\n  openssl rand -base64 32 | bobbin secrets set session_key"
    )
    @Argument(help: "KEY or SERVICE/KEY.") var name: String
    @Option(help: "For this recipient (age1…) as well; may be given again.") var recipient: [String] = []
    @OptionGroup var site: SiteOption

    func run() throws {
        let name = try SecretDesk.name(name)
        let site = try site.openOwn()
        do {
            let files = try SecretDesk.files(site)
            let recipients = try files.recipients() + recipient.map(AgeRecipient.init)
            guard !recipients.isEmpty else {
                throw SecretProblem(
                    "E-SECRET-RECIPIENTS",
                    "secrets/\(SecretFiles.recipientsFile) names nobody who could open it",
                    whatToDo: "bobbin secrets keygen")
            }
            let value = try SecretDesk.value("value of \(name.text): ")
            guard value.count > 0 else {
                throw SecretProblem(
                    "E-SECRET-EMPTY", "the value is empty",
                    whatToDo: "bobbin secrets rm \(name.text) takes it away.")
            }
            if value.count < 8 {
                Terminal.complain("note: a value of \(value.count) bytes is too short to be masked in logs")
            }
            let isNew = try files.bytes(name) == nil
            try files.write(name, value, to: recipients)
            try SecretDesk.audit(site, "secret.set", name.text, isNew ? "new" : "replaced")
            print(
                "\(name.text): \(isNew ? "set" : "replaced"), for \(recipients.count) recipient\(recipients.count == 1 ? "" : "s")"
            )
        } catch let problem as SecretProblem { try SecretDesk.leave(problem) } catch let problem as AgeProblem
        { try SecretDesk.leave(problem) }
    }
}

struct SecretsLsVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "The names of secrets, never their values.",
        discussion: "  bobbin secrets ls")
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let rows = try SecretDesk.files(site.openOwn()).rows()
        if json.json {
            return Terminal.print(
                json: .list(
                    rows.map {
                        .map(["name": .string($0.name.text), "changed_at": .string($0.changed.rfc3339)])
                    }))
        }
        if rows.isEmpty { return print("no secrets; bobbin secrets set KEY") }
        print(
            Terminal.table(
                rows.map { [$0.name.text, "set \(Terminal.age(Terminal.now.since($0.changed))) ago"] }))
    }
}

struct SecretsRmVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Take secrets away.", discussion: "  bobbin secrets rm erp/api_key")
    @Argument(help: "KEY or SERVICE/KEY.") var names: [String]
    @OptionGroup var site: SiteOption

    func run() throws {
        let names = try names.map(SecretDesk.name)
        let site = try site.openOwn()
        var isGood = true
        for name in names {
            if try SecretDesk.files(site).remove(name) {
                try SecretDesk.audit(site, "secret.removed", name.text, "removed")
                print("\(name.text): removed")
            } else {
                Terminal.complain("\(name.text): there is no such secret; bobbin secrets ls")
                isGood = false
            }
        }
        if !isGood { throw ExitCode(Exit.failed) }
    }
}

struct SecretsRotateVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Write secrets anew for the recipients of now.",
        discussion:
            "  bobbin secrets rotate\nAfter secrets/recipients.txt has changed: somebody came, somebody left, a key was exchanged. Values stay; who could read an old file may have kept them, so exchange those too (bobbin secrets set)."
    )
    @Argument(help: "KEY or SERVICE/KEY; all when absent.") var names: [String] = []
    @OptionGroup var site: SiteOption

    func run() throws {
        let wanted = try names.map(SecretDesk.name)
        let site = try site.openOwn()
        do {
            let files = try SecretDesk.files(site)
            let (recipients, identities) = (try files.recipients(), try SecretDesk.identities(site))
            // All are opened first: a rotation that stops in the middle leaves some for the old and some for the new.
            var values: [(SecretName, SecretBytes)] = []
            for name in try wanted.isEmpty ? files.rows().map(\.name) : wanted {
                guard let value = try files.open(name, identities) else {
                    throw SecretProblem(
                        "E-SECRET", "there is no secret \(name.text)", whatToDo: "bobbin secrets ls")
                }
                values.append((name, value))
            }
            for (name, value) in values {
                try files.write(name, value, to: recipients)
                try SecretDesk.audit(site, "secret.rotated", name.text, "for \(recipients.count)")
            }
            print(
                "\(values.count) written anew for \(recipients.count) recipient\(recipients.count == 1 ? "" : "s")"
            )
        } catch let problem as SecretProblem { try SecretDesk.leave(problem) } catch let problem as AgeProblem
        { try SecretDesk.leave(problem) }
    }
}

struct SecretsCheckVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Whether every secret opens, is the site's own, and is no placeholder.",
        discussion: "  bobbin secrets check")
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let site = try site.openOwn()
        do {
            let found = try SecretCheck(
                SecretDesk.files(site), SecretDesk.identities(site), now: Terminal.now)
            if json.json {
                Terminal.print(
                    json: .list(
                        found.findings.map {
                            .map([
                                "name": .string($0.name), "error": .bool($0.isError),
                                "message": .string($0.message),
                            ])
                        }))
            } else {
                for finding in found.findings {
                    Terminal.complain(
                        "\(finding.isError ? "wrong" : "note")  \(Terminal.escape(finding.name)): \(Terminal.escape(finding.message))"
                    )
                }
                if found.isGood { print("\(found.count) secret\(found.count == 1 ? "" : "s"): each opens") }
            }
            if !found.isGood { throw ExitCode(Exit.failed) }
        } catch let problem as SecretProblem { try SecretDesk.leave(problem) }
    }
}

struct SecretsMetricsVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics",
        abstract: "How often secrets were read in the last 24 hours, and what was unusual.",
        discussion:
            "  bobbin secrets metrics\nFrom the audit log: never a value. `unusual` tells of new readers, of many more readings than before, and of jobs that ask for what they are not given."
    )
    @OptionGroup var site: SiteOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let site = try site.openOwn()
        let metrics = try SecretMetrics.read(site, now: Terminal.now)
        let sources = try SecretMetrics.sources(site)
        if json.json {
            var popular = ValueMap()
            for entry in metrics.popular { popular[entry.name] = .int(entry.count) }
            return Terminal.print(
                json: .map([
                    "secrets_lookups_24h": .int(metrics.lookups), "secrets_stores_24h": .int(metrics.stores),
                    "secrets_errors_24h": .int(metrics.errors), "popular_keys": .map(popular),
                    "backends_active": .list(sources.filter(\.isThere).map { .string($0.source.rawValue) }),
                    "unusual": .list(metrics.unusual.map(Value.string)),
                ]))
        }
        print("last 24 h: \(metrics.lookups) read, \(metrics.stores) set, \(metrics.errors) not given")
        for entry in metrics.popular.prefix(10) { print("  \(Terminal.escape(entry.name))  \(entry.count)") }
        for source in sources {
            print(
                "source \(source.source.rawValue): \(source.isThere ? "active" : "not active: \(Terminal.escape(String(source.why.prefix { !$0.isNewline })))")"
            )
        }
        for line in metrics.unusual { Terminal.complain("unusual: \(Terminal.escape(line))") }
    }
}

struct SecretsOpenVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "open", abstract: "Print what an age file holds.",
        discussion:
            "  bobbin secrets open secrets/erp/api_key.age\n  bobbin secrets open backup.age --passphrase-stdin < words.txt\nNothing is printed of a file that was changed or cut off; the exit code is then 65."
    )
    @Argument(help: "An age file, armored or not.", completion: .file()) var file: String
    @Option(
        help: "A file with identities (AGE-SECRET-KEY-1…); the site's own when absent.", completion: .file())
    var identity: [String] = []
    @Flag(help: "Read a passphrase from standard input, its first line.") var passphraseStdin = false
    @OptionGroup var site: SiteOption

    func run() throws {
        do {
            let (folder, name) = try Directory.holding(file)
            let bytes = try folder.openForReading(name).read(upTo: AgeFile.longest + 1)
            guard bytes.count <= AgeFile.longest else {
                throw SecretProblem(
                    "E-AGE-SIZE", "the file is larger than \(AgeFile.longest >> 20) MiB",
                    whatToDo: "age -d opens larger ones.")
            }
            let plain = try AgeFile.open(bytes, identities())
            let isWhole = plain.withBytes { raw -> Bool in
                var rest = raw[...]
                while !rest.isEmpty {
                    let wrote = write(1, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                    if wrote < 0, errno == EINTR { continue }
                    if wrote <= 0 { return false }
                    rest = rest.dropFirst(wrote)
                }
                return true
            }
            if !isWhole { throw ExitCode(Exit.inputOutput) }
        } catch let problem as SecretProblem { try SecretDesk.leave(problem) } catch let problem as AgeProblem
        { try SecretDesk.leave(problem) }
    }

    private func identities() throws -> [AgeIdentity] {
        var found: [AgeIdentity] = []
        for path in identity { found += try IdentityFile.read(path, outside: nil, isPrivate: false) }
        if passphraseStdin {
            var bytes = try OpenFile(fd: dup(0), label: "standard input").readToEnd(limit: 1 << 16)
            if let end = bytes.firstIndex(of: 0x0A) { bytes.removeSubrange(end...) }
            found.append(.passphrase(SecretBytes(taking: &bytes)))
        }
        guard found.isEmpty else { return found }
        let configured = try site.pathIfAny().flatMap {
            try Site(path: $0, mayFoundSpool: false).configuration().secrets.identity
        }
        return try IdentityFile.read(IdentityFile.path(configured: configured), outside: nil)
    }
}
