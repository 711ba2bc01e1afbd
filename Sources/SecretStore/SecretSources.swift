// What this is: where a secret may come from, in order: age files of the site, the keyring of the account, our environment.
// Owns: the names under which keyring and environment have a secret; which values are fit to be given.
// Never: goes on to the next source where a nearer one has the secret and cannot open it: that would hide a broken file.
// On failure: SecretProblem; nil where no source has it.
import JobModel
import LinuxSystem

public enum SecretSource: String, Sendable, CaseIterable {
    case files, keyring, environment
}

public struct SecretSources: Sendable {
    private let order: [SecretSource]
    private let files: SecretFiles?
    private let identities: @Sendable () throws -> [AgeIdentity]
    private let keyringService: String
    /// Of names that were given by others before us (guide 000).
    private static let olderService = "com.axion.desktop-agent"
    private static let prefixes = ["BOBBIN_SECRET_", "DESKTOP_AGENT_SECRET_"]
    /// What secret-tool needs to find the keyring of its account.
    private static let session = [
        "HOME", "USER", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DISPLAY", "WAYLAND_DISPLAY",
    ]
    /// As the guides have it.
    public static let longest = 50 << 10

    /// `identities` is asked only when a file is there to be opened.
    public init(
        _ order: [SecretSource], files: SecretFiles?, keyringService: String,
        identities: @escaping @Sendable () throws -> [AgeIdentity]
    ) {
        self.order = order
        self.files = files
        self.keyringService = keyringService
        self.identities = identities
    }

    public struct Found: Sendable {
        public var value: SecretBytes
        public var source: SecretSource
    }

    public func find(_ name: SecretName) throws -> Found? {
        for source in order {
            let value: SecretBytes? =
                switch source {
                case .files: try fromFile(name)
                case .keyring: try fromKeyring(name)
                case .environment: fromEnvironment(name)
                }
            if let value { return Found(value: try SecretSources.fit(value, name), source: source) }
        }
        return nil
    }

    /// Which could answer now, for whoever asks what is wrong.
    public func active() -> [(source: SecretSource, isThere: Bool, why: String)] {
        order.map { source in
            switch source {
            case .files:
                do { return (source, try !identities().isEmpty, "") } catch {
                    return (source, false, "\(error)")
                }
            case .keyring:
                let tool = Host.program("secret-tool", path: Host.environment("PATH") ?? "/usr/bin:/bin")
                if tool == nil {
                    return (
                        source, false, "the program secret-tool is missing: apt-get install libsecret-tools"
                    )
                }
                let hasBus =
                    Host.environment("DBUS_SESSION_BUS_ADDRESS") != nil
                    || Host.environment("XDG_RUNTIME_DIR") != nil
                return (source, hasBus, hasBus ? "" : "this account has no session bus")
            case .environment: return (source, true, "")
            }
        }
    }

    private func fromFile(_ name: SecretName) throws -> SecretBytes? {
        guard let files, try files.bytes(name) != nil else { return nil }
        return try files.open(name, identities())
    }

    private func fromKeyring(_ name: SecretName) throws -> SecretBytes? {
        let services = name.service.map { [$0] } ?? [keyringService, SecretSources.olderService]
        for service in services {
            guard
                var answer = try BriefProcess.ask(
                    ["secret-tool", "lookup", "service", service, "account", name.key],
                    passing: SecretSources.session, limit: SecretSources.longest + 1)
            else { return nil }
            if answer.isLate {
                throw SecretProblem(
                    "E-SECRET-KEYRING", "the keyring did not answer for \(name.text)",
                    whatToDo: "Unlock it, or take `keyring` out of `secrets: {sources: …}`.")
            }
            // 1 and nothing said: there is none. A missing bus says the same, and doctor tells.
            if answer.isGood, !answer.output.isEmpty { return SecretBytes(taking: &answer.output) }
        }
        return nil
    }

    private func fromEnvironment(_ name: SecretName) -> SecretBytes? {
        let variable = SecretSources.variable(name)
        for prefix in SecretSources.prefixes {
            if let value = Host.environment(prefix + variable), !value.isEmpty {
                return SecretBytes(copying: value.utf8)
            }
        }
        return nil
    }
    /// `erp/api-key` is ERP_API_KEY.
    static func variable(_ name: SecretName) -> String {
        String(name.text.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    }

    private static func fit(_ value: SecretBytes, _ name: SecretName) throws -> SecretBytes {
        guard value.count <= longest else {
            throw SecretProblem(
                "E-SECRET-SIZE", "\(name.text) has \(value.count) bytes; a job is given \(longest) at most",
                whatToDo: "Let a program read such a file itself.")
        }
        let isText = value.withBytes { raw in
            !raw.contains(0) && String(validating: raw, as: UTF8.self) != nil
        }
        guard isText else {
            throw SecretProblem(
                "E-SECRET-TEXT", "\(name.text) is no UTF-8 text without NUL bytes",
                whatToDo: "Store it as base64, and let the program decode it.")
        }
        return value
    }
    /// Whether the mask can cover it.
    public static func isMaskable(_ value: SecretBytes) -> Bool {
        value.withBytes { raw in
            let text = GivenSecrets.asText(raw)
            return String(decoding: text, as: UTF8.self).trimmed.utf8.count >= MaskForms.shortest
        }
    }
}
