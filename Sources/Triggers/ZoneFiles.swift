// What this is: the zones of this machine: files below /usr/share/zoneinfo, and which of them is the site's.
// Owns: where they are looked for, and a memory of those that were read, by file: an update of tzdata is seen.
// Never: takes a name that leads out of the directory of zones.
// On failure: ZoneProblem says which zone is not known, and what is near.
import JobModel
import LinuxSystem

public struct ZoneProblem: Error, Hashable, Sendable {
    public var message: String
    public var whatToDo: String
}

public enum ZoneFiles {
    private struct Known {
        var zone: Zone
        var changed: Int64
    }
    private static let known = Monitor<[String: Known]>([:])
    static var folder: String {
        Host.environment("TZDIR").flatMap { $0.isEmpty ? nil : $0 } ?? "/usr/share/zoneinfo"
    }
    /// No zone file is near this size.
    private static let largest = 1 << 20

    public static func named(_ name: String) throws(ZoneProblem) -> Zone {
        if name == "UTC" { return .utc }
        let parts = name.parts(at: "/", keepingEmpty: true)
        let isPlain = name.utf8.allSatisfy { byte in
            (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A || (0x30...0x39).contains(byte)
                || "/_+-".utf8.contains(byte)
        }
        guard isPlain, !name.isEmpty, parts.allSatisfy({ !$0.isEmpty }) else {
            throw ZoneProblem(
                message: "`\(name)` cannot name a time zone", whatToDo: "write one such as Europe/Berlin")
        }
        return try read("\(folder)/\(name)", name)
    }

    /// What TZ says, else /etc/localtime, else UTC, as for every program of this machine.
    public static func ofSite() throws(ZoneProblem) -> Zone {
        if let text = Host.environment("TZ") {
            let name = text.hasPrefix(":") ? String(text.dropFirst()) : text
            if name.isEmpty { return .utc }
            if name.hasPrefix("/") { return try read(name, name) }
            if let rule = Zone(rule: name) { return rule }
            return try named(name)
        }
        guard let real = Host.realPath("/etc/localtime") else { return .utc }
        let mark = "/zoneinfo/"
        let name = real.firstRange(of: mark).map { String(real[$0.upperBound...]) } ?? "/etc/localtime"
        return name == "Etc/UTC" || name == "UTC" ? .utc : try read(real, name)
    }

    private static func read(_ path: String, _ name: String) throws(ZoneProblem) -> Zone {
        let changed: Int64
        do throws(SystemError) { changed = try FileStatus.following(path).changed } catch {
            throw unknown(name, error)
        }
        if let zone = known.with({ $0[path] }), zone.changed == changed { return zone.zone }
        guard let bytes = Host.read(path, limit: largest) else { throw unknown(name, nil) }
        guard let zone = Zone(tzif: bytes, name: name) else {
            throw ZoneProblem(
                message: "\(path) is no time zone file, or one that counts leap seconds",
                whatToDo: "install the package tzdata anew")
        }
        known.with { $0[path] = Known(zone: zone, changed: changed) }
        return zone
    }

    private static func unknown(_ name: String, _ error: SystemError?) -> ZoneProblem {
        guard Host.exists("\(folder)/UTC") || Host.exists("\(folder)/Etc/UTC") else {
            return ZoneProblem(
                message: "this machine has no time zone files, so `\(name)` means nothing",
                whatToDo: "apt-get install tzdata")
        }
        let reason = error.map { $0.isMissing ? "" : ": \($0)" } ?? ""
        return ZoneProblem(
            message: "there is no time zone `\(name)`\(reason)",
            whatToDo: "`timedatectl list-timezones` has them all; a name is such as Europe/Berlin")
    }
}
