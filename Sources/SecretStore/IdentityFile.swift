// What this is: where the key lies with which a site opens its secrets: outside of it, for its account alone.
// Owns: the places that are looked at, and what is wrong with one.
// Never: makes one by itself; reads one that others could have read.
// On failure: SecretProblem E-SECRET-IDENTITY with the command that helps.
import JobModel
import LinuxSystem

public enum IdentityFile {
    /// In the order in which they are looked at: `$BOBBIN_IDENTITY`, a systemd credential, the configuration, the home.
    public static let variable = "BOBBIN_IDENTITY"
    public static let credential = "bobbin.identity"
    public static var standardPath: String {
        (Host.environment("HOME") ?? "/root") + "/.config/bobbin/identity"
    }

    public static func path(configured: String?) -> String {
        if let named = Host.environment(variable), !named.isEmpty { return named }
        if let folder = Host.environment("CREDENTIALS_DIRECTORY"), Host.exists("\(folder)/\(credential)") {
            return "\(folder)/\(credential)"
        }
        return configured ?? standardPath
    }

    /// Reads a key file. `site`: one inside of it would be copied and backed up with what it protects. `isPrivate`: it
    /// must be nobody else's to read; one that is named on the command line is read as it is.
    public static func read(_ path: String, outside site: String?, isPrivate: Bool = true) throws
        -> [AgeIdentity]
    {
        let file: OpenFile, status: FileStatus
        do throws(SystemError) {
            let (folder, name) = try Directory.holding(path)
            file = try folder.openForReading(name)
            status = try file.status()
        } catch {
            throw problem(
                "the identity \(path) cannot be read: \(error)",
                "Make one: bobbin secrets keygen. Or name it: \(variable)=FILE, `secrets: {identity: FILE}` in ops/orchestrator.yaml."
            )
        }
        guard status.kind == .regular else {
            throw problem("\(path) is a \(status.kindName), not a key file", "")
        }
        if isPrivate {
            guard status.mode & 0o077 == 0 else {
                throw problem(
                    "others may read the identity \(path) (mode 0\(String(status.mode, radix: 8)))",
                    "chmod 0400 \(path)")
            }
            if let site, let real = Host.realPath(path), real.hasPrefix(site + "/") {
                throw problem(
                    "the identity \(path) lies inside of the site, with what it is to protect",
                    "Move it elsewhere: mkdir -p ~/.config/bobbin && mv \(path) \(standardPath)")
            }
        }
        var bytes = try file.read(upTo: 1 << 16)
        defer { SecretBytes.wipe(&bytes) }
        do throws(AgeProblem) { return try AgeIdentity.file(String(decoding: bytes, as: UTF8.self)) } catch {
            throw SecretProblem(error.kind.rawValue, "\(path): \(error.message)")
        }
    }
    private static func problem(_ message: String, _ whatToDo: String) -> SecretProblem {
        SecretProblem("E-SECRET-IDENTITY", message, whatToDo: whatToDo)
    }

    /// Makes a key file; never over another.
    public static func make(at path: String, now: Timestamp) throws -> AgeRecipient {
        let identity = AgeIdentity.generate()
        guard let recipient = identity.recipient, let shown = recipient.text, let text = identity.text else {
            throw problem("no key could be made", "")
        }
        var bytes = Array("# created: \(now.rfc3339)\n# public key: \(shown)\n\(text)\n".utf8)
        defer { SecretBytes.wipe(&bytes) }
        do throws(SystemError) {
            if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
                try Host.makeDirectories(String(path[..<slash]))
            }
            let (folder, name) = try Directory.holding(path)
            try AtomicFile.write(bytes, to: name, in: folder, mode: 0o400)
        } catch {
            guard error.isExisting else { throw error }
            throw problem(
                "\(path) is there already",
                "It may be the only key to secrets: nothing is written over it. Use --output for another.")
        }
        return recipient
    }
}
