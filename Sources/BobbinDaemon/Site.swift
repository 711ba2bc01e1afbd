// What this is: a site as the roof sees it: its directories, its configuration, its language.
// Owns: finding the site, making one (`init`), reading configuration and templates.
// Never: runs anything.
// On failure: SpoolProblem or ConfigurationProblem, with what to do.
import AccessControl
import Archives
import Crypto
import JobLanguage
import JobModel
import LinuxSystem
import SpoolQueue
import StepLibrary
import YamlText

public enum SiteFinder {
    /// `--site`, else $BOBBIN_SITE, else the nearest directory upward that holds ops/orchestrator.yaml.
    public static func find(option: String?) throws -> String {
        if let option { return try absolute(option) }
        if let variable = Host.environment("BOBBIN_SITE"), !variable.isEmpty { return try absolute(variable) }
        var path = try absolute(".")
        while true {
            if Host.exists("\(path)/\(SpoolName.configuration)") { return path }
            guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { break }
            path = String(path[..<slash])
        }
        throw SpoolProblem(
            "E-SITE", "there is no site here: no \(SpoolName.configuration) in this directory or above it",
            whatToDo: "Make one with `bobbin init DIR`, or name one with --site DIR or BOBBIN_SITE.")
    }
    public static func absolute(_ path: String) throws -> String {
        guard let real = Host.realPath(path) else {
            throw SpoolProblem(
                "E-SITE", "\(path) does not exist", whatToDo: "Make a site with `bobbin init \(path)`.")
        }
        return real
    }
}

public final class Site: Sendable {
    public let path: String
    public let spool: Spool
    public let actions: [String: any StepAction]
    public let catalogue: StepCatalogue

    /// Opens a site; its spool directories are made if this is the first start.
    public init(path: String, mayFoundSpool: Bool = true) throws {
        self.path = path
        if !Host.exists("\(path)/\(SpoolName.configuration)"), Host.exists(path) {
            do throws(SystemError) { _ = try Directory.open(path) } catch {
                guard error.fileTrouble == .access else { throw error }
                throw SpoolProblem(
                    "E-ACCESS", "\(Host.userName(ProcessSetup.uid)) may not enter \(path)",
                    whatToDo:
                        "A shared site is for the members of its group: ask to be put into it, then log in anew."
                )
            }
        }
        guard Host.exists("\(path)/\(SpoolName.configuration)") else {
            throw SpoolProblem(
                "E-SITE", "\(path) is no site: \(SpoolName.configuration) is missing",
                whatToDo: "Make one with `bobbin init \(path)`.")
        }
        spool = try Spool(site: path, mayBeFounded: mayFoundSpool, newID: Identities.fresh().text)
        let all = Site.allActions
        actions = Dictionary(all.map { ($0.type.name, $0) }, uniquingKeysWith: { first, _ in first })
        catalogue = StepCatalogue(all.map(\.type))
    }

    /// Every step type of this program; the catalogue is the same for every site.
    public static let allActions: [any StepAction] = IsolatedStep.wrapping(
        StepLibrary.actions(ports: StepConnections.ports))
    public static let standardCatalogue = StepCatalogue(allActions.map(\.type))

    /// The checker of this site, with its templates.
    public func reader() -> JobReader { Site.reader(path: path, catalogue: catalogue) }
    public static func reader(path: String, catalogue: StepCatalogue = Site.standardCatalogue) -> JobReader {
        JobReader(catalogue: catalogue) { name in
            // No such template, or one that cannot be read: the checker says that there is none by this name.
            guard let directory = try? Directory.open("\(path)/\(SpoolName.templates)") else { return nil }
            var (folder, file) = (directory, name)
            if let slash = name.lastIndex(of: "/") {
                guard let inner = try? directory.directory(String(name[..<slash])) else { return nil }
                (folder, file) = (inner, String(name[name.index(after: slash)...]))
            }
            return try? folder.openForReading(file).read(upTo: Limits.dropBytes)
        }
    }

    /// The step types of a site's own, by name; those with errors are left out, and told where a job uses them.
    public static func customTypes(path: String) -> [StepType] {
        // No such directory: the site has none.
        let folder = try? Directory.open("\(path)/\(SpoolName.templates)").directory(JobReader.customFolder)
        // One that cannot be read is shown as empty; a job that uses a step of it is told so.
        let names = ((try? folder?.names()) ?? []).filter { $0.hasSuffix(".yaml") }.map {
            String($0.dropLast(5))
        }
        let reader = Site.reader(path: path)
        return names.sorted().compactMap(reader.customType)
    }

    public static let schemaFile = "job.schema.json"

    /// The language as a JSON Schema, with the step types and templates of a site.
    public static func schema(path: String?) -> String {
        let customs = path.map { customTypes(path: $0) } ?? []
        // No such directory, or one that cannot be read: no template is offered.
        let names = path.flatMap { try? Directory.open("\($0)/\(SpoolName.templates)").names() } ?? []
        let schema = JobSchema.document(
            standardCatalogue, customs: customs,
            templates: names.filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }.sorted())
        return JSONText.write(schema, pretty: true) + "\n"
    }

    /// Who may do what here: as ops/access.yaml has it; without one its owner and root everything, others nothing.
    public func access() throws -> AccessPolicy {
        let policy = try AccessFile.read(accessBytes(), service: serviceUID())
        // Who is a guest here is told by what he may not read; the service knows by a mark of its own.
        let wasShared = try spool.isOwn && spool.state.statusIfPresent(SpoolName.shared) != nil
        guard policy.isShared || !wasShared else {
            throw ConfigurationProblem(
                text:
                    "this site is shared, and \(AccessFile.path) does not say so, or is gone: bring it back. (To make the site private: take the group's rights away, chmod -R g-rwx, and remove spool/.bobbin/\(SpoolName.shared).)"
            )
        }
        return policy
    }
    /// Nil where the site has no such file.
    func accessBytes() throws -> [UInt8]? { try opsBytes(AccessFile.name) }
    /// A file of ops/; nil where there is none.
    func opsBytes(_ name: String) throws -> [UInt8]? {
        let ops = try spool.site.directory("ops")
        guard let status = try ops.statusIfPresent(name) else { return nil }
        guard status.kind == .regular else {
            throw SpoolProblem(
                "E-LINK", "ops/\(name) is a \(status.kindName), and links are not followed",
                whatToDo: "Put the file itself there.")
        }
        return try ops.openForReading(name).read(upTo: 8 << 20)
    }
    /// The account that the site runs as: who owns it.
    public func serviceUID() throws -> UInt32 { try spool.site.status().uid }

    public func configuration() throws -> Configuration {
        try Site.configuration(of: Directory.open(path))
    }
    /// Of a site that may have lost its spool.
    static func configuration(of site: Directory) throws -> Configuration {
        let bytes = try site.directory("ops").openForReading("orchestrator.yaml").read(upTo: 1 << 20)
        return try Configuration.read(bytes, name: SpoolName.configuration)
    }

    /// Opens a site to the members of a group, who then have roles of their own (ops/access.yaml).
    public static func share(at path: String, with group: String) throws {
        let site = try Site(path: SiteFinder.absolute(path))
        let shared = try SharedSite(site, group: group)
        let ops = try site.spool.site.directory("ops")
        if try ops.statusIfPresent(AccessFile.name) == nil {
            let uid = ProcessSetup.uid
            // Nobody is Admin by being the service: whoever makes the site names the people.
            let text = AccessFile.initialText(
                group: group, admin: Host.environment("SUDO_USER") ?? Host.userName(uid))
            try AtomicFile.write(Array(text.utf8), to: AccessFile.name, in: ops)
        }
        let policy = try site.access()
        guard policy.isShared, policy.group == group else {
            throw SpoolProblem(
                "E-ACCESS", "ops/access.yaml does not say `shared: true` and `group: \(group)`",
                whatToDo: "Correct it, and say `bobbin init --shared \(group)` again.")
        }
        try shared.open()
        try SharedSite.makeIntakes(site, policy)
    }

    /// Makes a site in `path`; an existing one is only completed. Returns whether it is new.
    public static func make(at path: String) throws -> Bool {
        try Host.makeDirectories(path)
        let directory = try Directory.open(path)
        let ops = try directory.makeDirectory("ops")
        let isNew = try ops.statusIfPresent("orchestrator.yaml") == nil
        if isNew {
            try AtomicFile.write(Array(Configuration.initialText.utf8), to: "orchestrator.yaml", in: ops)
        }
        if try ops.statusIfPresent(schemaFile) == nil {
            try AtomicFile.write(Array(schema(path: path).utf8), to: schemaFile, in: ops)
        }
        let site = try Site(path: try SiteFinder.absolute(path))
        for policy in try site.configuration().queues { _ = try site.spool.dropDirectories(of: policy) }
        return isNew
    }
}

/// The one maker of ids of this process.
public enum Identities {
    private static let maker = Monitor(RunIDMaker())
    public static func fresh() -> RunID {
        maker.with { $0.next(now: Timestamp(nanoseconds: Clocks.wall), random: Clocks.randomBits()) }
    }
}

public enum Digest {
    public static func sha256(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        let digest = SHA256.hash(data: bytes)
        return String(unsafeUninitializedCapacity: 64) { out in
            for (index, byte) in digest.enumerated() {
                out[2 * index] = digits[Int(byte >> 4)]
                out[2 * index + 1] = digits[Int(byte & 15)]
            }
            return 64
        }
    }
}
