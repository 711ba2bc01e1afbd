// What this is: the name of a service that a step calls, as everybody writes it: `host:port`.
// Owns: how it is found in an address.
// Never: resolves a name; holds a user, a password or a path.
// On failure: nil: the step itself says what is wrong with the address.
import JobModel

enum TargetName {
    static func find(host: String, port: Int) -> String? {
        let plain = host.trimmed.lowercased()
        guard !plain.isEmpty, plain.utf8.count <= 200,
            plain.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != 0x2F })
        else {
            return nil
        }
        // A bare address of version 6, which ssh takes.
        let isBare = !plain.begins(with: "[") && plain.utf8.count { $0 == 0x3A } > 1
        return isBare ? "[\(plain)]:\(port)" : "\(plain):\(port)"
    }

    /// `ports`: the known schemes, and the port that each means.
    static func find(inURL url: String, ports: [String: Int]) -> String? {
        let parts = url.parts(at: "/", keepingEmpty: true)
        guard parts.count > 2, parts[1].isEmpty, parts[0].utf8.last == 0x3A,
            let standard = ports[String(parts[0].dropLast()).lowercased()]
        else { return nil }
        let authority = parts[2].utf8.prefix { $0 != 0x3F && $0 != 0x23 }
        let start = authority.lastIndex(of: 0x40).map { authority.index(after: $0) } ?? authority.startIndex
        let service = String(decoding: authority[start...], as: UTF8.self)
        let end = service.utf8.lastIndex(of: 0x5D) ?? service.utf8.startIndex
        guard let colon = service.utf8[end...].lastIndex(of: 0x3A) else {
            return find(host: service, port: standard)
        }
        let digits = service[service.utf8.index(after: colon)...]
        guard !digits.isEmpty else { return find(host: String(service[..<colon]), port: standard) }
        return Int(digits).flatMap { find(host: String(service[..<colon]), port: $0) }
    }
}
