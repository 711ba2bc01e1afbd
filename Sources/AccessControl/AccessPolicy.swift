// What this is: who may do what on a site, as far as the kernel can tell who somebody is: by uid.
// Owns: the roles of accounts; what a private site says without any configuration.
// Never: reads a file; asks a name to prove anything.
// On failure: an account that is not known has no role, and no role may do nothing.
import JobModel

public struct AccessPolicy: Sendable {
    /// Many people use it: nobody approves what he dropped himself, and the service approves nothing.
    public var isShared: Bool
    /// The account that the site runs as.
    public var service: UInt32
    private let roles: [UInt32: Role]
    private let groups: [String: Set<UInt32>]

    public init(
        isShared: Bool, service: UInt32, roles: [UInt32: Role], groups: [String: Set<UInt32>] = [:]
    ) {
        self.isShared = isShared
        self.service = service
        self.roles = roles
        self.groups = groups
    }

    /// The site of one person: he and root may do everything, others nothing.
    public static func privateSite(of service: UInt32) -> AccessPolicy {
        AccessPolicy(
            isShared: false, service: service,
            roles: Dictionary([service, 0].map { ($0, .admin) }, uniquingKeysWith: { role, _ in role }))
    }

    public func role(of uid: UInt32) -> Role? { roles[uid] }
    public func isMember(_ uid: UInt32, of group: String) -> Bool { groups[group]?.contains(uid) ?? false }

    /// Whether `who` is one of `list`: accounts by name or number, `group:NAME`; an empty list is everybody.
    func isListed(_ who: Submitter, in list: [String]) -> Bool {
        list.isEmpty
            || list.contains { entry in
                if entry.hasPrefix("group:") { return isMember(who.uid, of: String(entry.dropFirst(6))) }
                return entry == who.name || entry == String(who.uid)
            }
    }
}
