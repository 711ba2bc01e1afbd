// What this is: who may do what on a site, as far as the kernel can tell who somebody is: by uid.
// Owns: the roles of accounts and groups, the rules of queues, templates, step types and secrets (ops/access.yaml as values).
// Never: reads a file; asks a name to prove anything; remembers who is in which group: that is asked each time.
// On failure: an account that is not known has no role, and no role may do nothing.
import JobModel

/// Who may pass: with a role, or because they are named.
public struct AccessGate: Hashable, Sendable {
    /// This role or a higher one; nil: whoever may run jobs at all.
    public var role: Role?
    /// Accounts and `group:NAME`; empty: everybody with the role.
    public var allow: [String]
    /// Of a secret: templates that may name it, whoever uses them.
    public var templates: [String]

    public init(role: Role? = nil, allow: [String] = [], templates: [String] = []) {
        self.role = role
        self.allow = allow
        self.templates = templates
    }
}

public struct AccessPolicy: Sendable {
    public struct Grant: Hashable, Sendable {
        public var role: Role
        public var isActive: Bool
        public init(_ role: Role, isActive: Bool = true) {
            self.role = role
            self.isActive = isActive
        }
    }

    /// Many people use it: nobody approves what he dropped himself, the service approves nothing, steps run as who dropped them.
    public var isShared: Bool
    /// Whether roles are asked for at all: a private site without rules belongs to one person.
    public var isEnforced: Bool
    /// The account that the site runs as.
    public var service: UInt32
    /// Whose members may drop files here; nil on a private site.
    public var group: String?
    /// By name, or by number as text.
    public var users: [String: Grant] = [:]
    public var groups: [String: Role] = [:]
    /// Of an account that is named nowhere.
    public var everybody: Role?
    public var queues: [String: AccessGate] = [:]
    public var templates: [String: AccessGate] = [:]
    /// Step types that stand in a drop itself: what the site's templates hold was put there by those who may write them.
    public var steps: [String: AccessGate] = [:]
    /// Names, or a beginning and `*`.
    public var secrets: [(pattern: String, gate: AccessGate)] = []
    /// From this risk on a yes must be signed, whatever the job says; nil: only where it says so.
    public var signFrom: ApprovalQuestion.Risk?
    public func needsSignature(_ question: ApprovalQuestion) -> Bool {
        question.needsSignature || signFrom.map { question.risk >= $0 } ?? false
    }
    /// Below this no account is one of a person.
    public var leastUID: UInt32 = 1000
    private let byUID: [UInt32: Role]
    private let memberships: @Sendable (UInt32) -> Set<String>

    /// `memberships`: the names of the groups of an account, now.
    public init(
        isShared: Bool, isEnforced: Bool, service: UInt32,
        memberships: @escaping @Sendable (UInt32) -> Set<String>
    ) {
        self.isShared = isShared
        self.isEnforced = isEnforced
        self.service = service
        self.memberships = memberships
        byUID = Dictionary([service, 0].map { ($0, .admin) }, uniquingKeysWith: { role, _ in role })
        if isShared { steps = AccessPolicy.ownRights }
    }

    /// Roles by number, for whoever has them at hand.
    public init(
        isShared: Bool, service: UInt32, roles: [UInt32: Role], groups: [String: Set<UInt32>] = [:]
    ) {
        self.isShared = isShared
        isEnforced = isShared
        self.service = service
        byUID = roles
        memberships = { uid in Set(groups.filter { $0.value.contains(uid) }.keys) }
        if isShared { steps = AccessPolicy.ownRights }
    }

    /// What is a right of its own on a site for many: whoever may write shell text is no mere operator.
    public static let ownRights = ["shell": AccessGate(role: .editor), "ssh": AccessGate(role: .editor)]

    /// The site of one person: he and root may do everything, others nothing.
    public static func privateSite(of service: UInt32) -> AccessPolicy {
        AccessPolicy(isShared: false, isEnforced: false, service: service, memberships: { _ in [] })
    }

    // MARK: who somebody is

    public func role(of uid: UInt32) -> Role? { role(of: Submitter(uid: uid, name: String(uid))) }
    public func role(of who: Submitter) -> Role? {
        if let role = byUID[who.uid] { return role }
        if let grant = grant(of: who) { return grant.isActive ? grant.role : nil }
        // Numbers without an account, and those of services, are nobody.
        guard who.uid >= leastUID, who.uid != AccessPolicy.nobody else { return nil }
        let mine = groups.isEmpty ? [] : memberships(who.uid)
        return (groups.filter { mine.contains($0.key) }.map(\.value) + [everybody].compactMap { $0 }).max()
    }
    /// What an unknown account of another machine or a container shows as.
    private static let nobody: UInt32 = 65_534

    func grant(of who: Submitter) -> Grant? { users[who.name] ?? users[String(who.uid)] }
    public func isMember(_ uid: UInt32, of group: String) -> Bool { memberships(uid).contains(group) }

    /// Whether `who` is one of `list`: accounts by name or number, `group:NAME`; an empty list is everybody.
    public func isListed(_ who: Submitter, in list: [String]) -> Bool {
        list.isEmpty
            || list.contains { entry in
                if entry.hasPrefix("group:") { return isMember(who.uid, of: String(entry.dropFirst(6))) }
                return entry == who.name || entry == String(who.uid)
            }
    }

    /// The rule for a secret: the longest pattern that fits.
    public func gate(ofSecret name: SecretName) -> AccessGate? {
        secrets.filter { AccessPolicy.fits(name.text, $0.pattern) }
            .max { $0.pattern.utf8.count < $1.pattern.utf8.count }?.gate
    }
    private static func fits(_ name: String, _ pattern: String) -> Bool {
        pattern.hasSuffix("*") ? name.hasPrefix(pattern.dropLast()) : name == pattern
    }
}
