// What this is: with what the bundles of a site are signed and opened, and whose count on it.
// Owns: `.bobbin/bundle.key` (which is in no bundle), `ops/backup.pub`: its public half, and those of other machines; for whom
//   a bundle is encrypted.
// Never: lets a bundle change that file where it is: it comes back with a site that is made anew, and no other way.
// On failure: BundleProblem; a line of ops/backup.pub that is no key is named.
import AccessControl
import Bundles
import JobModel
import LinuxSystem
import SecretStore
import SpoolQueue

/// What somebody says beside what a site knows.
public struct GivenKeys: Sendable {
    /// Whose bundles count as well.
    public var trusted: [NoteVerifier] = []
    /// Also those of nobody, and of keys that nobody knows.
    public var takesUnproved = false
    /// A key file for encrypted bundles.
    public var identity: String?
    public init() {}
}

public enum BackupKeys {
    static let publicFile = "backup.pub"
    public static let path = "ops/backup.pub"
    private static let head =
        "# Whose bundles this site takes back: its own first; add those of other machines (bobbin backup key). Docs: BACKUP.md\n"

    public struct Signer {
        let key: SigningKey
        let name: String
        /// The line of ops/backup.pub.
        public let line: String
        /// It was made just now.
        let isNew: Bool
    }
    /// The key that signs, made on its first use; its public half is then in ops/backup.pub.
    public static func signer(_ site: Site) throws -> Signer {
        let isNew = try site.spool.state.statusIfPresent(SpoolName.bundleKey) == nil
        let key: SigningKey
        do throws(SystemError) { key = try SigningKey(SpoolName.bundleKey, in: site.spool.state) } catch {
            guard !error.isFull else { throw error }
            throw BundleProblem(
                "E-BACKUP", "the key that signs bundles cannot be read: \(error)",
                whatToDo:
                    "If it is damaged, move it away: a new one is made, and its line is told. Bundles of before count as long as their line is in \(path)."
            )
        }
        let name = "bobbin/\(site.spool.id)/bundles"
        let own = NoteVerifier(name: name, key.publicBytes)
        let signer = Signer(key: key, name: name, line: own.text, isNew: isNew)
        let ops = try site.spool.site.directory("ops")
        guard try !listed(ops).contains(own) else { return signer }
        var bytes = try text(ops) ?? Array(head.utf8)
        if let last = bytes.last, last != 0x0A { bytes.append(0x0A) }
        try AtomicFile.write(
            bytes + Array("\(own.text)\n".utf8), to: publicFile, in: ops, existing: .replace)
        return signer
    }

    /// What a site knows, and what somebody says besides. `site`: nil where there is none; it may have lost its spool.
    public static func of(_ site: Directory?, _ given: GivenKeys = GivenKeys()) throws -> BundleKeys {
        var trusted = Set(given.trusted)
        if let site, try site.statusIfPresent("ops")?.kind == .directory {
            trusted.formUnion(try listed(site.directory("ops")))
        }
        return BundleKeys(trusted: trusted, takesUnproved: given.takesUnproved) {
            // Only now: a mistake in the configuration keeps nobody from a bundle that needs no key.
            let path = try given.identity ?? IdentityFile.path(configured: configured(site))
            do {
                return try IdentityFile.read(path, outside: nil, isPrivate: given.identity == nil)
            } catch let error as SecretProblem {
                throw BundleProblem(
                    BundleReader.locked, "this bundle is encrypted: \(error.message)",
                    whatToDo: "Name a key file: --identity FILE (the recovery key, on another machine).")
            }
        }
    }
    /// To look at bundles, whoever made them.
    public static func looking(_ site: Directory?, _ given: GivenKeys = GivenKeys()) throws -> BundleKeys {
        var given = given
        given.takesUnproved = true
        return try of(site, given)
    }
    /// Where the site says that its identity is.
    private static func configured(_ site: Directory?) throws -> String? {
        guard let site, try site.statusIfPresent(SpoolName.configuration)?.kind == .regular else {
            return nil
        }
        return try Site.configuration(of: site).secrets.identity
    }

    private static func text(_ ops: Directory) throws(SystemError) -> [UInt8]? {
        guard try ops.statusIfPresent(publicFile) != nil else { return nil }
        return try ops.openForReading(publicFile).read(upTo: 1 << 20)
    }
    private static func listed(_ ops: Directory) throws -> Set<NoteVerifier> {
        var found: Set<NoteVerifier> = []
        let lines = String(decoding: try text(ops) ?? [], as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let line = line.trimmed
            if line.isEmpty || line.hasPrefix("#") { continue }
            guard let key = NoteVerifier(line) else {
                throw BundleProblem(
                    "E-BACKUP", "\(path):\(index + 1): this is no key of bundles",
                    whatToDo: "One line of `bobbin backup key` for each machine; `#` begins a comment.")
            }
            found.insert(key)
        }
        return found
    }

    /// For whom a bundle is encrypted: those that are named, and this site, which reads its bundles back.
    static func recipients(_ words: [String], _ site: Site) throws -> [AgeRecipient] {
        guard !words.isEmpty else { return [] }
        let files = SecretFiles(try site.spool.site.directory(SpoolName.secrets))
        var found: [String] = []
        for word in words {
            found += word == BackupFile.allRecipients ? try files.recipients().compactMap(\.text) : [word]
        }
        let own: [String]
        do {
            own = try IdentityFile.read(
                IdentityFile.path(configured: site.configuration().secrets.identity), outside: nil
            ).compactMap { $0.recipient?.text }
        } catch let error as SecretProblem {
            throw BundleProblem(
                "E-BACKUP-RECOVERY", "this site could not read its own encrypted bundles: \(error.message)",
                whatToDo: "Make a key for it: bobbin secrets keygen. Or leave out encrypt_to.")
        }
        guard !Set(found).subtracting(own).isEmpty else {
            throw BundleProblem(
                "E-BACKUP-RECOVERY",
                "the bundle would be encrypted for this machine only: with it, it would be lost",
                whatToDo:
                    "Make a second key and keep it elsewhere: bobbin secrets keygen --output FILE; it is then one of the recipients."
            )
        }
        if Set(found).isDisjoint(with: own), let first = own.first { found.append(first) }
        return try Set(found).sorted().map { try AgeRecipient($0) }
    }
}
