// What this is: the verbs on secrets with the built program: keys, values, whom a file is for, and what does not open.
// Owns: that no value is in an argv, in the clear on the disk, or in what the verbs print.
// Never: reads a key that is not the test's own.
// On failure: shows what was printed.
import Foundation
import LinuxSystem
import Testing

@Suite("secret files", .onSites) struct SecretFileTests {
    private static let value = "k3y-Of-The-Erp-9f2"
    private func bobbin(_ site: TestSite, _ arguments: String..., input: String = "") throws -> Outcome {
        try Program.call(
            arguments + ["--site", site.path], environment: ["HOME": home(site)], input: input)
    }
    /// Beside the site: an identity inside of it is refused.
    private func home(_ site: TestSite) -> String { site.path + "-home" }
    private func use(_ body: (TestSite) throws -> Void) throws {
        try TestSite.use { site in
            try Disk.makeDirectory(home(site))
            defer { Disk.removeTree(home(site)) }
            try body(site)
        }
    }

    @Test("set, list, open, rotate, remove; nothing in the clear; all of it audited") func life() throws {
        try use { site in
            let none = try bobbin(site, "secrets", "set", "erp/api_key", input: Self.value)
            #expect(none.code == 65 && none.both.contains("bobbin secrets keygen"), "\(none.both)")
            let made = try bobbin(site, "secrets", "keygen")
            #expect(made.code == 0 && made.out.hasPrefix("age1"), "\(made.both)")
            let identity = home(site) + "/.config/bobbin/identity"
            #expect(try Directory.open(home(site) + "/.config/bobbin").status("identity").mode == 0o400)
            #expect(try bobbin(site, "secrets", "keygen").code == 65, "never over another")
            #expect(try bobbin(site, "secrets", "set", "erp/api_key", input: Self.value + "\n").code == 0)
            let file = "\(site.path)/secrets/erp/api_key.age"
            #expect(try bobbin(site, "secrets", "open", file).out == Self.value)
            let listed = try bobbin(site, "secrets", "ls")
            #expect(listed.out.contains("erp/api_key") && !listed.both.contains(Self.value))
            #expect(try bobbin(site, "secrets", "check").code == 0)
            let before = Disk.bytes(file)
            // Somebody else comes: what is rotated opens for both.
            let other = site.outside("other")
            let second = try bobbin(site, "secrets", "keygen", "--output", other)
            #expect(second.code == 0, "\(second.both)")
            #expect(try bobbin(site, "secrets", "open", file, "--identity", other).code == 65)
            #expect(try bobbin(site, "secrets", "rotate").code == 0)
            #expect(Disk.bytes(file) != before)
            for key in [identity, other] {
                #expect(try bobbin(site, "secrets", "open", file, "--identity", key).out == Self.value)
            }
            #expect(try bobbin(site, "secrets", "set", "weak", input: "change_me").code == 0)
            let check = try bobbin(site, "secrets", "check")
            #expect(
                check.code == 1 && check.both.contains("placeholder") && !check.both.contains("change_me"))
            #expect(try bobbin(site, "secrets", "rm", "weak").code == 0)
            #expect(try bobbin(site, "secrets", "rm", "weak").code == 1)
            let audit = try bobbin(site, "audit", "search", "--action", "secret").out
            for word in ["secret.set", "secret.rotated", "secret.removed", "secret.keygen"] {
                #expect(audit.contains(word))
            }
            // Nowhere on the disk.
            for name in try FileManager.default.subpathsOfDirectory(atPath: site.path) {
                let bytes = Disk.bytes("\(site.path)/\(name)") ?? []
                #expect(!String(decoding: bytes, as: UTF8.self).contains(Self.value), "\(name)")
            }
        }
    }

    @Test("what does not open prints nothing and exits 65 with its code") func broken() throws {
        try use { site in
            #expect(try bobbin(site, "secrets", "keygen").code == 0)
            #expect(try bobbin(site, "secrets", "set", "a", input: Self.value).code == 0)
            let file = "\(site.path)/secrets/a.age"
            let bytes = try #require(Disk.bytes(file))
            for (name, wrong, code) in [
                ("cut", Array(bytes.dropLast(3)), "E-AGE-PAYLOAD"), ("none", [], "E-AGE-HEADER"),
                ("text", Array("hello\n".utf8), "E-AGE-HEADER"),
                (
                    "pem",
                    Array("-----BEGIN AGE ENCRYPTED FILE-----\n!\n-----END AGE ENCRYPTED FILE-----\n".utf8),
                    "E-AGE-ARMOR"
                ),
            ] as [(String, [UInt8], String)] {
                try Disk.write(wrong, to: site.outside(name))
                let said = try bobbin(site, "secrets", "open", site.outside(name))
                #expect(
                    said.code == 65 && said.out.isEmpty && said.both.contains(code), "\(name): \(said.both)")
            }
            try Disk.write(Array(bytes.dropLast(1)), to: file)
            #expect(try bobbin(site, "secrets", "check").code == 1)
            let pq = "AGE-SECRET-KEY-PQ-1HZLGZUPT4ETPKDEV8HSGFDCYZ4E522W0A7PU2LHT8EH9W6YLNC3SW78XKG"
            try Disk.write("\(pq)\n", to: site.outside("pq"))
            try Disk.write(bytes, to: site.outside("whole"))
            let hybrid = try bobbin(
                site, "secrets", "open", site.outside("whole"), "--identity", site.outside("pq"))
            #expect(hybrid.code == 65 && hybrid.both.contains("unsupported recipient"), "\(hybrid.both)")
            for name in ["../a", "a/b/c", ".hidden", "a b", "-x", "", "a.age"] {
                #expect(
                    try Program.call(["secrets", "set", "--site", site.path, "--", name], input: "x").code
                        == 2, "\(name)")
            }
        }
    }

    @Test(
        "a passphrase from standard input; an identity that others may read, or inside of the site, is refused"
    )
    func identities() throws {
        try use { site in
            // The right words open nothing: the file says another cost than it was made with. What opens, ops/age-check shows.
            let vector = try #require(Disk.bytes("\(Self.fixtures)/scrypt_work_factor_wrong"))
            let start = try #require(vector.indices.first { vector[$0...].starts(with: [10, 10]) }) + 2
            try Disk.write(Array(vector[start...]), to: site.outside("words.age"))
            let wrong = try bobbin(
                site, "secrets", "open", site.outside("words.age"), "--passphrase-stdin", input: "password\n")
            #expect(wrong.code == 65 && wrong.both.contains("E-AGE-NO-MATCH"), "\(wrong.both)")
            #expect(try bobbin(site, "secrets", "keygen").code == 0)
            #expect(try bobbin(site, "secrets", "set", "a", input: Self.value).code == 0)
            let identity = home(site) + "/.config/bobbin/identity"
            #expect(chmod(identity, 0o440) == 0)
            let open = try bobbin(site, "secrets", "check")
            #expect(open.code == 65 && open.both.contains("others may read"), "\(open.both)")
            #expect(chmod(identity, 0o400) == 0)
            let inside = "\(site.path)/key"
            try Disk.write(try #require(Disk.bytes(identity)), to: inside, mode: 0o400)
            try Disk.write(
                TestSite.configuration + "secrets: {identity: \"\(inside)\"}\n",
                to: "\(site.path)/ops/orchestrator.yaml")
            let said = try bobbin(site, "secrets", "check")
            #expect(said.code == 65 && said.both.contains("inside of the site"), "\(said.both)")
        }
    }
    private static let fixtures = #filePath.replacing(
        "EndToEndTests/SecretFileTests.swift", with: "Fixtures/age")
}
