// What this is: the test vectors of C2SP CCTV: what each file must come to, byte for byte or failure for failure.
// Owns: the reading of a vector; the one difference: identities after quantum computers are refused by name.
// Never: takes an outcome from our own code.
// On failure: names the vector.
import Crypto
import Foundation
import JobModel
import LinuxSystem
import Testing

@testable import SecretStore

struct AgeVector {
    var name: String
    var fields: [(key: String, value: String)]
    var file: [UInt8]

    func first(_ key: String) -> String? { fields.first { $0.key == key }?.value }

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .appendingPathComponent("Fixtures/age")

    static func all() throws -> [AgeVector] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map { name in
            let bytes = Array(try Data(contentsOf: folder.appendingPathComponent(name)))
            let cut = try #require(bytes.indices.first { bytes[$0...].starts(with: [0x0A, 0x0A]) })
            let fields = String(decoding: bytes[..<cut], as: UTF8.self).split(separator: "\n").compactMap {
                line in
                line.firstRange(of: ": ").map {
                    (String(line[..<$0.lowerBound]), String(line[$0.upperBound...]))
                }
            }
            var vector = AgeVector(name: name, fields: fields, file: Array(bytes[(cut + 2)...]))
            if vector.first("compressed") == "zlib" { vector.file = try inflate(vector.file) }
            return vector
        }
    }

    /// The standard library has no zlib; Python, which ops/torture needs anyway, has.
    private static func inflate(_ bytes: [UInt8]) throws -> [UInt8] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "python3", "-c",
            "import sys,zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))",
        ]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        // At most 23 KB, which a pipe holds.
        try input.fileHandleForWriting.write(contentsOf: Data(bytes))
        try input.fileHandleForWriting.close()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Array(data)
    }

    func identities() throws -> [AgeIdentity] {
        try fields.compactMap { key, value in
            switch key {
            case "identity": try AgeIdentity(value)
            case "passphrase": .passphrase(SecretBytes(copying: Array(value.utf8)))
            default: nil
            }
        }
    }
}

@Suite struct AgeVectorTests {
    private static let expected: [String: AgeProblem.Kind] = [
        "no match": .noMatch, "HMAC failure": .hmac, "header failure": .header, "payload failure": .payload,
        "armor failure": .armor,
    ]

    @Test func everyVectorComesToWhatItMust() throws {
        let vectors = try AgeVector.all()
        #expect(vectors.count == 72)
        var counts: [String: Int] = [:]
        for vector in vectors {
            let expect = try #require(vector.first("expect"))
            let isHybrid = vector.fields.contains { $0.value.hasPrefix("AGE-SECRET-KEY-PQ-") }
            counts[isHybrid ? "hybrid" : expect, default: 0] += 1
            let identities = try vector.identities()
            let outcome = Result { () throws(AgeProblem) in try AgeFile.open(vector.file, identities) }
            switch outcome {
            case .success(let plain):
                #expect(expect == "success" && !isHybrid, "\(vector.name) was opened")
                let digest = plain.withBytes { SHA256.hash(data: Data($0)) }
                #expect(Hexadecimal.encode(Array(digest)) == vector.first("payload"), "\(vector.name)")
            case .failure(let problem):
                if isHybrid {
                    // Refused as such, or found to be broken before that is known.
                    #expect([.unsupported, .header].contains(problem.kind), "\(vector.name): \(problem)")
                    if problem.kind == .unsupported {
                        #expect(problem.message.contains("unsupported recipient"))
                    }
                    if expect != "header failure" { #expect(problem.kind == .unsupported, "\(vector.name)") }
                } else {
                    #expect(
                        problem.kind == Self.expected[expect], "\(vector.name): \(problem), not \(expect)")
                }
            }
        }
        print(
            "age vectors: \(counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", "))"
        )
    }

    @Test func everyFlippedBitOfASmallFileIsFound() throws {
        let identity = AgeIdentity.generate()
        let recipient = try #require(identity.recipient)
        let file = try AgeFile.write(SecretBytes(copying: Array("a secret".utf8)), to: [recipient])
        var flips = 0
        for index in file.indices {
            for bit in 0..<8 {
                var wrong = file
                wrong[index] ^= 1 << bit
                flips += 1
                #expect(throws: AgeProblem.self, "byte \(index), bit \(bit)") {
                    try AgeFile.open(wrong, [identity])
                }
            }
        }
        for count in file.indices {
            #expect(throws: AgeProblem.self) { try AgeFile.open(Array(file.prefix(count)), [identity]) }
        }
        print("age: \(flips) flipped bits and \(file.count) cuts, all found")
    }

    @Test func whatIsWrittenIsReadAgain() throws {
        let one = AgeIdentity.generate(), two = AgeIdentity.generate()
        let recipients = [try #require(one.recipient), try #require(two.recipient)]
        for size in [0, 1, 48, 65_535, 65_536, 65_537, 131_072, 200_000] {
            let plain = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            for armored in [false, true] {
                let file = try AgeFile.write(SecretBytes(copying: plain), to: recipients, armored: armored)
                for identity in [one, two] {
                    let opened = try AgeFile.open(file, [AgeIdentity.generate(), identity])
                    #expect(opened.withBytes { Array($0) } == plain, "\(size)")
                }
                #expect(throws: AgeProblem.self) { try AgeFile.open(file, [.generate()]) }
            }
        }
        let words = SecretBytes(copying: Array("correct horse".utf8))
        let file = try AgeFile.write(SecretBytes(copying: [7, 8]), to: [.passphrase(words, workFactor: 10)])
        #expect(try AgeFile.open(file, [.passphrase(words)]).withBytes { Array($0) } == [7, 8])
        #expect(throws: AgeProblem.self) { try AgeFile.open(file, [.passphrase(SecretBytes(copying: [1]))]) }
        #expect(throws: AgeProblem.self) {
            try AgeFile.write(words, to: recipients + [.passphrase(words, workFactor: 10)])
        }
    }

    @Test func keysAreWrittenAndReadAndOddOnesRefused() throws {
        let identity = AgeIdentity.generate()
        let text = try #require(identity.text), shown = try #require(identity.recipient?.text)
        #expect(text.hasPrefix("AGE-SECRET-KEY-1") && shown.hasPrefix("age1") && shown.count == 62)
        #expect(try AgeIdentity(text).recipient?.text == shown && AgeRecipient(shown).text == shown)
        // Published with the vectors; its public half follows.
        let known = try AgeIdentity(
            "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0")
        #expect(try known.text == AgeIdentity(#require(known.text)).text)
        let file = "# created: today\n# public key: \(shown)\n\n\(text)\n"
        #expect(try AgeIdentity.file(file).count == 1)
        for wrong in [
            "", "x", text.lowercased().replacing("1", with: "2"), String(text.dropLast()), text + "Q",
            shown, "AGE-SECRET-KEY-1" + String(repeating: "Q", count: 58),
        ] { #expect(throws: AgeProblem.self, "\(wrong)") { try AgeIdentity(wrong) } }
        for wrong in [
            "", "age1", String(shown.dropLast()) + "b", shown.uppercased(), text, "ssh-ed25519 AAAA",
            "age1pq1xyz",
        ] {
            #expect(throws: AgeProblem.self, "\(wrong)") { try AgeRecipient(wrong) }
        }
        #expect(throws: AgeProblem.self) { try AgeIdentity.file("# nothing\n") }
    }

    @Test func bech32IsThatOfTheStandard() {
        // BIP 173, valid test strings that hold whole bytes or nothing.
        #expect(Bech32.decode("A12UEL5L")?.prefix == "a")
        #expect(Bech32.decode("a12uel5l")?.bytes == [])
        #expect(Bech32.decode("?1ezyfcl")?.prefix == "?")
        for wrong in [
            "pzry9x0s0muk", "1pzry9x0s0muk", "x1b4n0q5v", "li1dgmt3", "A1G7SGD8", "10a06t8", "1qzzfhee",
            "a12UEL5L",
        ] {
            #expect(Bech32.decode(wrong) == nil, "\(wrong)")
        }
    }

    @Test func wipedBytesAreGone() {
        var plain = Array("top secret".utf8)
        let secret = SecretBytes(taking: &plain)
        #expect(plain.isEmpty && secret.count == 10 && "\(secret)" == "SecretBytes(10)")
        var other: [UInt8] = [1, 2, 3]
        other.withUnsafeMutableBytes { raw in
            SecretBytes.wipe(raw)
            #expect(raw.allSatisfy { $0 == 0 })
        }
    }
}
