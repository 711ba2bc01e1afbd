// What this is: the mask over secrets, fed with every cut of every form that another program would write.
// Owns: the oracle: Foundation's and Python's way of writing, not ours.
// Never: asks the mask which forms there are.
// On failure: names the form, the cut and what came through.
import Foundation
import JobModel
import LinuxSystem
import Testing

@testable import SecretStore

struct MaskTests {
    /// Fifty of many kinds: letters, signs of every notation, other alphabets, several lines, whatever base64 makes of them.
    static let secrets: [String] = {
        let fixed = [
            "hunter2hunter2", "pa ss wo rd", "it's \"quoted\"", "a/b+c=d&e?f", "100%sure%20",
            "back\\slash\\n",
            "Grüße-aus-Köln", "пароль-123", "密码密码密码", "😀😀-emoji", "aaaaaaaa", "abababababab",
            "x\t tab inside \t x",
            "AKIAIOSFODNN7EXAMPLE", "ghp_0123456789abcd", "<xml>&amp;</xml>", "$(rm -rf /)", "`id`;echo 1",
            "-----BEGIN KEY-----\nMIIEowIBAAKC\nq83vEjRWeJCr\n-----END KEY-----", "line one\nsecond line",
            "{\"json\": true}", "user:password@host", "12345678", "0xDEADBEEF", "........",
        ]
        var random = SystemRandomNumberGenerator()
        let signs = Array(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&()*+,-./:;<=>?@[]^_{|}~'\"\\ "
        )
        return fixed
            + (0..<25).map { index in
                // Not at its ends: blanks there are not part of a secret.
                "x" + String((0..<(6 + index % 12)).map { _ in signs.randomElement(using: &random) ?? "x" })
                    + "y"
            }
    }()

    /// As others write it, with the name of the form.
    static func forms(_ secret: String) -> [(String, [UInt8])] {
        let data = Data(secret.utf8)
        var forms: [(String, String)] = [("raw", secret)]
        for line in secret.split(separator: "\n") where secret.contains("\n") && line.utf8.count >= 8 {
            forms.append(("line", String(line)))
        }
        for shift in 0..<3 {
            // What surrounds it is part of its outermost signs: those are cut.
            let padded =
                Data(repeating: 0x41, count: shift) + data
                + Data(repeating: 0x42, count: (3 - (shift + data.count) % 3) % 3)
            var text = padded.base64EncodedString()
            text = String(text.dropFirst([0, 2, 3][shift]))
            let tail = (shift + data.count) % 3
            text = String(text.dropLast(tail == 0 ? 0 : tail == 1 ? 3 : 2))
            if text.utf8.count >= 8 {
                forms.append(("base64+\(shift)", text))
                forms.append(
                    ("base64url+\(shift)", text.replacing("+", with: "-").replacing("/", with: "_")))
            }
        }
        forms.append(("hex", data.map { String(format: "%02x", $0) }.joined()))
        forms.append(("HEX", data.map { String(format: "%02X", $0) }.joined()))
        for (name, kept) in [
            ("percent", CharacterSet.alphanumerics), ("query", .urlQueryAllowed), ("path", .urlPathAllowed),
        ] {
            let ascii = kept.intersection(CharacterSet(charactersIn: Unicode.Scalar(0)...Unicode.Scalar(127)))
            if let text = secret.addingPercentEncoding(withAllowedCharacters: ascii) {
                forms.append((name, text))
                forms.append((name + " lower", text.replacing(/%[0-9A-F]{2}/) { $0.output.lowercased() }))
                // With a `+` left as it is there would be two readings, and no form writes that.
                if name == "percent" { forms.append((name + " form", text.replacing("%20", with: "+"))) }
            }
        }
        for options in [
            JSONSerialization.WritingOptions.fragmentsAllowed, [.fragmentsAllowed, .withoutEscapingSlashes],
        ] {
            if let json = try? JSONSerialization.data(withJSONObject: secret, options: options) {
                forms.append(("json", String(decoding: json.dropFirst().dropLast(), as: UTF8.self)))
            }
        }
        let ascii = secret.utf16.map {
            $0 < 0x20 || $0 > 0x7E || $0 == 0x22 || $0 == 0x5C
                ? String(format: "\\u%04x", $0) : String(UnicodeScalar(UInt8($0)))
        }
        forms.append(("json ascii", ascii.joined()))
        forms.append(("shell", secret.replacing("'", with: "'\\''")))
        forms.append(("csv", secret.replacing("\"", with: "\"\"")))
        forms.append(
            (
                "python U",
                secret.unicodeScalars.map {
                    $0.isASCII ? String(Character($0)) : String(format: "\\U%08x", $0.value)
                }.joined()
            ))
        if let json = try? JSONSerialization.data(withJSONObject: secret, options: .fragmentsAllowed),
            let twice = try? JSONSerialization.data(
                withJSONObject: String(decoding: json, as: UTF8.self), options: .fragmentsAllowed)
        {
            // Without both pairs of quotes.
            forms.append(("json in json", String(decoding: twice.dropFirst(3).dropLast(3), as: UTF8.self)))
        }
        if let once = secret.addingPercentEncoding(
            withAllowedCharacters: CharacterSet(charactersIn: "abcxyz")),
            let twice = once.addingPercentEncoding(withAllowedCharacters: .alphanumerics)
        {
            forms.append(("percent twice", twice))
        }
        forms.append(("shlex", secret.replacing("'", with: "'\"'\"'")))
        forms.append(
            (
                "printf %q",
                secret.unicodeScalars.map {
                    $0.value < 0x20
                        ? String(format: "\\%03o", $0.value)
                        : "\\ \"'$`;&|<>()*?[]{}!#~^".unicodeScalars.contains($0) ? "\\\($0)" : "\($0)"
                }.joined()
            ))
        forms.append(
            (
                "xml",
                secret.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(
                    "\"", with: "&quot;"
                ).replacing("'", with: "&#x27;")
            ))
        return forms.map { ($0.0, Array($0.1.utf8)) }
    }

    private static func through(_ mask: SecretMask, _ pieces: [ArraySlice<UInt8>]) -> [UInt8] {
        let stream = MaskedStream(mask)
        return pieces.flatMap { stream.pass(Array($0)) } + stream.finish()
    }

    @Test(arguments: secrets.indices)
    func everyCutOfEveryForm(index: Int) {
        let secret = Self.secrets[index]
        let mask = SecretMask([Array(secret.utf8)])
        var (two, three) = (0, 0)
        for (name, form) in Self.forms(secret) {
            let text = Array("[".utf8) + form + Array("]".utf8)
            var seen: Set<[UInt8]> = []
            for first in 0...text.count {
                seen.insert(Self.through(mask, [text[..<first], text[first...]]))
                two += 1
            }
            // Every other cut of the very long ones; the others whole.
            let step = text.count > 64 ? 3 : 1
            for first in stride(from: 1, to: text.count - 1, by: step) {
                for second in stride(from: first + 1, to: text.count, by: step) {
                    seen.insert(Self.through(mask, [text[..<first], text[first..<second], text[second...]]))
                    three += 1
                }
            }
            let said = seen.map { String(decoding: $0, as: UTF8.self) }
            #expect(said == ["[***]"], "\(name) of \(secret): \(said.prefix(3))")
        }
        Self.count(two, three)
    }
    private static let counts = Monitor((secrets: 0, two: 0, three: 0))
    private static func count(_ two: Int, _ three: Int) {
        counts.with { counts in
            counts = (counts.secrets + 1, counts.two + two, counts.three + three)
            if counts.secrets == secrets.count {
                print(
                    "masked: \(counts.secrets) secrets, \(counts.two) cuts in two, \(counts.three) in three")
            }
        }
    }

    /// The simplest mask there is, on texts that hold no escapes: find every occurrence, mark it, write it out.
    @Test func asTheSimplestMaskDoes() {
        var random = SystemRandomNumberGenerator()
        for round in 0..<400 {
            let letters = Array("ab".utf8)
            let word = { (count: Int) in (0..<count).map { _ in letters.randomElement(using: &random) ?? 97 }
            }
            let secrets = (0..<3).map { _ in word(8 + round % 3) }
            let text = word(200)
            var covered = [Bool](repeating: false, count: text.count)
            for secret in secrets {
                for at in 0...(text.count - secret.count) where text[at...].starts(with: secret) {
                    for index in at..<(at + secret.count) { covered[index] = true }
                }
            }
            var wanted: [UInt8] = []
            for index in text.indices {
                if !covered[index] {
                    wanted.append(text[index])
                } else if index == 0 || !covered[index - 1] {
                    wanted += Array("***".utf8)
                }
            }
            let cut = round % text.count
            #expect(Self.through(SecretMask(secrets), [text[..<cut], text[cut...]]) == wanted)
        }
    }

    @Test func whatIsNoSecretPasses() {
        let mask = SecretMask([Array("hunter2hunter2".utf8)])
        for text in [
            "", "hunter2hunter", "100% \\ & %4 \\u00 &am &; %zz", "hunter2\\", "\u{0}\u{1}", "%68%75",
            "%%68unter2hunter",
        ] {
            let bytes = Array(text.utf8)
            #expect(Self.through(mask, [bytes[...]]) == bytes)
            #expect(Self.through(mask, bytes.indices.map { bytes[$0...$0] }) == bytes)
        }
        #expect(mask.masked("%%68unter2hunter2") == "%***")
        #expect(mask.masked("&\\hunter2hunter2hunter2hunter2 x") == "&*** x")
    }

    /// Whoever prints the beginning of a form and blanks without end must not fill our memory.
    @Test func whatGoesOnWithoutEndIsLetGo() {
        let mask = SecretMask([Array("hunter2hunter2".utf8)])
        let stream = MaskedStream(mask)
        var given = stream.pass(Array("6".utf8)).count
        for _ in 0..<100 { given += stream.pass([UInt8](repeating: 0x20, count: 1000)).count }
        #expect(given > 99_000)
    }

    @Test("the last sign of base64, which holds bits of the secret, goes too", arguments: [15, 16, 17])
    func lastSign(length: Int) {
        let secret = String("correct-horse-battery".prefix(length))
        let mask = SecretMask([Array(secret.utf8)])
        let base64 = Data(secret.utf8).base64EncodedString()
        #expect(mask.masked(base64).filter { $0 != "=" } == "***")
        #expect(mask.masked("> \(base64) <").filter { $0 != "=" } == "> *** <")
    }

    @Test func wrappedFormsAreFound() {
        let secret = String(repeating: "0123456789abcdef", count: 8)
        let mask = SecretMask([Array(secret.utf8)])
        let base64 = Data(secret.utf8).base64EncodedString(options: .lineLength64Characters)
        #expect(!mask.masked(base64).contains("MDEyMzQ1"))
        let hex = secret.utf8.map { String(format: "%02x", $0) }.joined(separator: " ")
        #expect(mask.masked("00 \(hex) 00") == "00 *** 00")
    }

    @Test func whatIsMadeOfSecretsIsMaskedToo() throws {
        let name = try #require(SecretName("a/b"))
        let given = GivenSecrets([name: SecretBytes(copying: "hunter2hunter2\n".utf8)])
        #expect(given.value(name) == "hunter2hunter2")
        #expect(given.masked("see 7B2A9C11E0 here") == "see 7B2A9C11E0 here")
        given.cover("7B2A9C11E0")
        given.cover(.list(["short", .int(987_654_321)]))
        #expect(given.masked("see 7B2A9C11E0 here, short 987654321") == "see *** here, short ***")
        #expect(
            given.masked(["k hunter2hunter2": .list(["x", .int(987_654_321), .bool(true)])] as ValueMap)
                == ["k ***": .list(["x", "***", .bool(true)])])
    }

    @Test func tooShortOnesAreKnown() {
        for (text, isGood) in [("1234567", false), ("12345678", true), (" 1234567 \n", false), ("", false)] {
            #expect(SecretSources.isMaskable(SecretBytes(copying: text.utf8)) == isGood)
        }
    }
}
