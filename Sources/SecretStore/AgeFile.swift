// What this is: age v1 files (https://c2sp.org/age), so that the `age` tool reads what we write, and we what it writes.
// Owns: opening and writing a whole file: armor, header, check.
// Never: gives a part of a plaintext: what is changed or cut off at its end gives nothing.
// On failure: AgeProblem.
import Crypto
import JobModel
import LinuxSystem

public enum AgeFile {
    /// Secrets are small; more than this is not read into memory. AgeStream has no such limit.
    public static let longest = 64 << 20

    /// For how many a file was written; a damaged one for nobody.
    public static func recipientCount(_ file: [UInt8]) -> Int {
        guard let bytes = try? AgeArmor.isArmored(file) ? AgeArmor.decode(file) : file,
            let (header, _) = try? AgeHeader.read(bytes)
        else { return 0 }
        return header.stanzas.count
    }

    // MARK: opening

    public static func open(_ file: [UInt8], _ identities: [AgeIdentity]) throws(AgeProblem) -> SecretBytes {
        let bytes = AgeArmor.isArmored(file) ? try AgeArmor.decode(file) : file
        let (header, start) = try AgeHeader.read(bytes)
        let key = try fileKey(header, identities)
        guard bytes.count - start >= AgePayload.nonceBytes else {
            throw AgeProblem(.header, "the file ends behind its header")
        }
        let begin = start + AgePayload.nonceBytes
        return try opened(bytes[begin...], key.payload(Array(bytes[start..<begin])))
    }

    /// The key that one of the identities finds; the header is then as it was written.
    static func fileKey(_ header: AgeHeader, _ identities: [AgeIdentity]) throws(AgeProblem) -> AgeFileKey {
        let types = header.stanzas.map { $0.arguments[0] }
        if types.contains("scrypt"), types.count > 1 {
            throw AgeProblem(.header, "a passphrase must be the only way to open a file")
        }
        for identity in identities {
            for stanza in header.stanzas {
                guard let key = try identity.unwrap(stanza) else { continue }
                guard key.bitCount == AgeWrap.keyBytes * 8 else {
                    throw AgeProblem(.header, "the file key has a length that none has")
                }
                try check(header, AgeFileKey(key))
                return AgeFileKey(key)
            }
        }
        for identity in identities {
            if case .unsupported(let kind) = identity {
                throw AgeProblem(
                    .unsupported, "unsupported recipient: identities of the kind \(kind)… are not known here")
            }
        }
        let known = ["X25519", "scrypt"]
        if !types.contains(where: known.contains) {
            throw AgeProblem(
                .unsupported,
                "unsupported recipient: this file is for \(Set(types).sorted().joined(separator: ", "))")
        }
        throw AgeProblem(.noMatch, "none of the identities opens this file")
    }
    static func check(_ header: AgeHeader, _ key: AgeFileKey) throws(AgeProblem) {
        guard constantTimeEqual(key.mac(of: header.covered), header.mac) else {
            throw AgeProblem(.hmac, "the header was changed after the file was written")
        }
    }

    private static func opened(_ bytes: ArraySlice<UInt8>, _ payload: AgePayload) throws(AgeProblem)
        -> SecretBytes
    {
        var payload = payload
        let count = (bytes.count + AgePayload.whole - 1) / AgePayload.whole
        let plain = bytes.count - count * AgePayload.tag
        let last = bytes.count % AgePayload.whole
        guard count > 0, last == 0 || last >= AgePayload.tag else {
            throw AgeProblem(.payload, "what was encrypted is cut off")
        }
        let out = SecretBytes(capacity: plain)
        var problem: AgeProblem?
        bytes.withUnsafeBytes { sealed in
            out.withMutableBytes { target in
                for index in 0..<count {
                    let start = index * AgePayload.whole, end = min(start + AgePayload.whole, sealed.count)
                    let place = index * AgePayload.chunk
                    do throws(AgeProblem) {
                        try payload.open(
                            UnsafeRawBufferPointer(rebasing: sealed[start..<end]), isLast: index == count - 1,
                            into: UnsafeMutableRawBufferPointer(
                                rebasing: target[place..<(place + end - start - AgePayload.tag)]))
                    } catch {
                        problem = error
                        return
                    }
                }
            }
        }
        if let problem { throw problem }
        return out
    }

    // MARK: writing

    public static func write(_ plain: SecretBytes, to recipients: [AgeRecipient], armored: Bool = false)
        throws(AgeProblem) -> [UInt8]
    {
        let key = AgeFileKey(), nonce = random(AgePayload.nonceBytes)
        let file = try header(key, recipients) + nonce + sealed(plain, key.payload(nonce))
        return armored ? AgeArmor.encode(file) : file
    }

    /// The whole header, for each who is to open it.
    static func header(_ key: AgeFileKey, _ recipients: [AgeRecipient]) throws(AgeProblem) -> [UInt8] {
        guard !recipients.isEmpty else { throw AgeProblem(.key, "there is nobody to write for") }
        let hasPassphrase = recipients.contains { if case .passphrase = $0 { true } else { false } }
        if hasPassphrase, recipients.count > 1 {
            throw AgeProblem(.key, "a passphrase must be the only way to open a file")
        }
        var stanzas: [AgeStanza] = []
        for recipient in recipients { stanzas.append(try recipient.wrap(key.key)) }
        let covered = AgeHeader.write(stanzas)
        return covered + AgeHeader.end(key.mac(of: covered))
    }
    private static func sealed(_ plain: SecretBytes, _ payload: AgePayload) throws(AgeProblem) -> [UInt8] {
        var out: [UInt8] = [], payload = payload, problem: AgeProblem?
        let count = max(1, (plain.count + AgePayload.chunk - 1) / AgePayload.chunk)
        plain.withBytes { raw in
            for index in 0..<count {
                let start = index * AgePayload.chunk, end = min(start + AgePayload.chunk, raw.count)
                do throws(AgeProblem) {
                    try payload.seal(
                        UnsafeRawBufferPointer(rebasing: raw[start..<end]), isLast: index == count - 1
                    ) {
                        out += $0.ciphertext
                        out += $0.tag
                    }
                } catch {
                    problem = error
                    return
                }
            }
        }
        if let problem { throw problem }
        return out
    }

    static func random(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }
    private static func constantTimeEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
