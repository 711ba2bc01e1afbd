// What this is: the header of an age file (C2SP age v1): who can open it, and a check that nobody has changed that.
// Owns: its grammar, in both directions.
// Never: takes a header in any form but the one way to write it.
// On failure: AgeProblem.header with what is wrong.
import JobModel

struct AgeStanza: Hashable, Sendable {
    /// The first is the type.
    var arguments: [String]
    var body: [UInt8]
}

struct AgeHeader: Sendable {
    static let version = Array("age-encryption.org/v1\n".utf8)
    /// A header that is longer is no header: nobody has so many recipients.
    static let longest = 1 << 20
    private static let width = 64

    var stanzas: [AgeStanza]
    var mac: [UInt8]
    /// Up to and with the `---`: what the check covers.
    var covered: [UInt8]

    // MARK: reading

    /// The header, and where the payload begins.
    static func read(_ file: [UInt8]) throws(AgeProblem) -> (header: AgeHeader, payload: Int) {
        guard file.starts(with: version) else {
            throw AgeProblem(.header, "this is no age file of version 1")
        }
        var at = version.count
        var stanzas: [AgeStanza] = []
        while true {
            let start = at
            let line = try line(file, &at)
            if line.starts(with: Array("-> ".utf8)) {
                stanzas.append(try stanza(line.dropFirst(3), file, &at))
                continue
            }
            guard line.starts(with: Array("---".utf8)) else {
                throw AgeProblem(.header, "a line is neither a recipient nor the end of the header")
            }
            guard line.count == 4 + 43, line[line.startIndex + 3] == 0x20,
                let mac = Base64.decode(line.dropFirst(4), padded: false)
            else {
                throw AgeProblem(.header, "the last line has no check in its one form")
            }
            guard !stanzas.isEmpty else { throw AgeProblem(.header, "there is no recipient") }
            return (AgeHeader(stanzas: stanzas, mac: mac, covered: Array(file[..<(start + 3)])), at)
        }
    }

    private static func line(_ file: [UInt8], _ at: inout Int) throws(AgeProblem) -> ArraySlice<UInt8> {
        guard at < longest, let end = file[at...].firstIndex(of: 0x0A) else {
            throw AgeProblem(.header, "the header has no end")
        }
        defer { at = end + 1 }
        return file[at..<end]
    }

    private static func stanza(_ line: ArraySlice<UInt8>, _ file: [UInt8], _ at: inout Int) throws(AgeProblem)
        -> AgeStanza
    {
        let words = line.split(separator: 0x20, omittingEmptySubsequences: false)
        guard words.allSatisfy({ !$0.isEmpty && $0.allSatisfy { (0x21...0x7E).contains($0) } }) else {
            throw AgeProblem(.header, "a recipient has an empty argument or one with odd characters")
        }
        var body: [UInt8] = []
        while true {
            let line = try self.line(file, &at)
            guard line.count <= width, let bytes = Base64.decode(line, padded: false) else {
                throw AgeProblem(.header, "a recipient's text is not base64 in its one form")
            }
            body += bytes
            // The last is shorter, if need be empty.
            if line.count < width { break }
        }
        return AgeStanza(arguments: words.map { String(decoding: $0, as: UTF8.self) }, body: body)
    }

    // MARK: writing

    /// Up to and with the `---`.
    static func write(_ stanzas: [AgeStanza]) -> [UInt8] {
        var out = version
        for stanza in stanzas {
            out += Array("-> \(stanza.arguments.joined(separator: " "))\n".utf8)
            let text = Array(Base64.encode(stanza.body, padded: false).utf8)
            for start in stride(from: 0, through: text.count, by: width) {
                out += text[start..<min(start + width, text.count)] + [0x0A]
            }
        }
        return out + Array("---".utf8)
    }
    static func end(_ mac: [UInt8]) -> [UInt8] { Array(" \(Base64.encode(mac, padded: false))\n".utf8) }
}
