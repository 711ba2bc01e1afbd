// What this is: what somebody left in spool/events/: a payload, bare or in an envelope, and the proof of who sent it.
// Owns: the form of the envelope, the signatures (HMAC-SHA256), dotted paths into a payload.
// Never: reads a file or a secret store: bytes and key are given. Believes an address that no signature covers.
// On failure: Failure with a code: E-EVENT-PAYLOAD, E-EVENT-SIGNATURE.
import Crypto
import JobModel
import LinuxSystem

/// An envelope is a map with `envelope: "1"` and `body`, the payload as the text that was sent; beside them may stand `id`,
/// `received_at`, `source_ip`, `user_agent`, `headers` and `signature`.
public struct EventPayload: Sendable {
    public var payload: Value
    public var id: String?
    public var receivedAt: String?
    public var sourceIP: String?
    public var userAgent: String?
    /// Names in lower case.
    public var headers: [String: String] = [:]
    public var signature: String?
    /// The payload as it was sent.
    public var body: [UInt8]
    /// The whole file.
    public let file: [UInt8]
    public let isEnvelope: Bool

    private static let keys = [
        "envelope", "body", "id", "received_at", "source_ip", "user_agent", "headers", "signature",
    ]

    /// `read` turns bytes into a value: JSON or YAML, as the file's name says.
    public init(_ file: [UInt8], read: ([UInt8]) throws(Failure) -> Value) throws(Failure) {
        self.file = file
        let outer = try read(file)
        guard case .map(let map) = outer, let version = map["envelope"] else {
            payload = outer
            body = file
            isEnvelope = false
            return
        }
        isEnvelope = true
        guard version.text == "1", case .string(let text)? = map["body"] else {
            throw Failure(
                "E-EVENT-PAYLOAD", "this envelope is not one of version 1 with a text as its `body`",
                whatToDo: "See docs/TRIGGERS.md, section 3.", retry: .never)
        }
        if let odd = map.keys.first(where: { !EventPayload.keys.contains($0) }) {
            throw Failure(
                "E-EVENT-PAYLOAD", "an envelope has no key `\(odd)`",
                whatToDo: "It has \(EventPayload.keys.joined(separator: ", ")).", retry: .never)
        }
        body = Array(text.utf8)
        // What a sender sends is JSON, whatever the envelope is written in.
        do throws(JSONProblem) { payload = try JSONReader.read(body) } catch {
            throw Failure(
                "E-EVENT-PAYLOAD", "the body of the envelope is no JSON: \(error)",
                whatToDo: "The body is the payload as it was sent.", retry: .never)
        }
        id = map["id"].flatMap { $0.isNull ? nil : $0.text }
        receivedAt = map["received_at"]?.stringValue
        sourceIP = map["source_ip"]?.stringValue
        userAgent = map["user_agent"]?.stringValue
        signature = map["signature"]?.stringValue
        for (key, text) in [("id", id), ("received_at", receivedAt), ("source_ip", sourceIP)] {
            // They are signed as lines: one that holds two would be read as another text than was signed.
            guard let text, text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { continue }
            throw Failure(
                "E-EVENT-PAYLOAD", "`\(key)` of the envelope holds a line break or another control character",
                whatToDo: "It is one line of plain text.", retry: .never)
        }
        for entry in map["headers"]?.mapValue?.entries ?? [] {
            headers[entry.key.lowercased()] = entry.value.text
        }
    }

    // MARK: signatures

    public enum Proof: Hashable, Sendable {
        case none
        /// Who sent the body has the secret.
        case ofBody
        /// So has who wrote the file, the address in it included.
        case ofAll
    }

    /// What an envelope's `signature` signs.
    public var signedText: [UInt8] {
        let head = ["bobbin-envelope-1", id ?? "", receivedAt ?? "", sourceIP ?? ""].joined(separator: "\n")
        return Array((head + "\n").utf8) + body
    }

    /// `sidecar`: what stands in `<file>.sig`. A signature that is there and wrong is an error, whatever else is right.
    public func proof(
        _ key: SecretBytes, sidecar: [UInt8]?, header: String?, prefix: String
    ) throws(Failure) -> Proof {
        var proof = Proof.none
        if let header, let given = headers[header.lowercased()] {
            try check(given, body, key, prefix, "the header \(header)")
            proof = .ofBody
        }
        if let signature {
            try check(signature, signedText, key, prefix, "the envelope's `signature`")
            proof = .ofAll
        }
        if let sidecar {
            try check(EventPayload.signature(in: sidecar), file, key, prefix, "the file's .sig")
            proof = .ofAll
        }
        return proof
    }

    private func check(
        _ given: String, _ text: [UInt8], _ key: SecretBytes, _ prefix: String, _ where: String
    ) throws(Failure) {
        var hex = given
        for known in [prefix, "sha256="] where !known.isEmpty && hex.hasPrefix(known) {
            hex = String(hex.dropFirst(known.count))
            break
        }
        let code = EventPayload.bytes(hex: hex)
        guard !code.isEmpty else {
            throw Failure(
                "E-EVENT-SIGNATURE",
                "\(`where`) holds no signature: `\(hex.prefix(80))` is not 64 hexadecimal digits",
                whatToDo: "Sign with HMAC-SHA256 and the secret of the webhook: sha256=<hex>.", retry: .never)
        }
        let isRight = key.withBytes { raw in
            // Compared in constant time by the library.
            HMAC<SHA256>.isValidAuthenticationCode(
                code, authenticating: text, using: SymmetricKey(data: Array(raw)))
        }
        guard isRight else {
            throw Failure(
                "E-EVENT-SIGNATURE", "\(`where`) is not that of this event",
                whatToDo: "Sign with HMAC-SHA256 and the secret of the webhook: sha256=<hex>.", retry: .never)
        }
    }
    /// Whether a signature stands there whole: what is still being written is none yet.
    public static func isSignature(_ sidecar: [UInt8], prefix: String) -> Bool {
        var hex = signature(in: sidecar)
        for known in [prefix, "sha256="] where !known.isEmpty && hex.hasPrefix(known) {
            hex = String(hex.dropFirst(known.count))
            break
        }
        return !bytes(hex: hex).isEmpty
    }
    /// As programs write it: alone, `HEX  name` (sha256sum, openssl -r), or `HMAC-SHA2-256(name)= HEX` (openssl).
    private static func signature(in bytes: [UInt8]) -> String {
        let text = String(decoding: bytes, as: UTF8.self).trimmed
        let line = text.prefix { $0 != "\n" && $0 != "\r\n" }
        if let mark = line.firstRange(of: ")= ") { return String(line[mark.upperBound...]).trimmed }
        return line.split(separator: " ", maxSplits: 1).first.map(String.init) ?? ""
    }
    private static func bytes(hex text: String) -> [UInt8] {
        let digits = text.utf8.map { byte -> UInt8? in
            switch byte {
            case 0x30...0x39: byte - 0x30
            case 0x41...0x46: byte - 0x37
            case 0x61...0x66: byte - 0x57
            default: nil
            }
        }
        guard digits.count == 64, !digits.contains(nil) else { return [] }
        return stride(from: 0, to: 64, by: 2).map { (digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0) }
    }

    // MARK: paths

    /// `repository.name`, `alerts.0.labels.job`; nil where there is nothing.
    public static func value(_ path: String, in value: Value) -> Value? {
        var found = value
        for part in path.split(separator: ".", omittingEmptySubsequences: false) {
            switch found {
            case .map(let map):
                guard let next = map[String(part)] else { return nil }
                found = next
            case .list(let items):
                guard let index = Int(part), items.indices.contains(index) else { return nil }
                found = items[index]
            default: return nil
            }
        }
        return found
    }
}
