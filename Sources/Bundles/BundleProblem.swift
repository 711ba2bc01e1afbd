// What this is: why a bundle could not be made, is not accepted, or was not brought back.
// Owns: the codes and the sentence, with the entry it is about, safe for a terminal.
// Never: repeats bytes of an archive as they are.
// On failure: it is the failure.
import Archives
import LinuxSystem

public struct BundleProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// `E-ARCH`: what is no bundle of ours, or was changed; `E-BACKUP`, `E-RESTORE`: what could not be done.
    public var code: String
    public var message: String
    public var whatToDo: String

    public init(_ code: String, _ message: String, whatToDo: String = "") {
        self.code = code
        self.message = message
        self.whatToDo = whatToDo
    }
    /// `entry`: its number in the archive, from 1 (the manifest), and its name as the archive has it.
    static func arch(_ message: String, entry: (number: Int, name: String)? = nil) -> BundleProblem {
        let place = entry.map { "entry \($0.number), \(shown($0.name)): " } ?? ""
        return BundleProblem(
            "E-ARCH", place + message,
            whatToDo: "Nothing of it was used. Take another bundle: bobbin backup ls")
    }
    static func failed(_ what: String, _ error: ArchiveError) -> BundleProblem {
        BundleProblem("E-BACKUP", "\(what): \(error)")
    }

    /// A name as it may be printed: what is odd as %XX, and not more than a line of it.
    public static func shown(_ name: String) -> String {
        var out = ""
        for byte in name.utf8.prefix(200) {
            if (0x21...0x7E).contains(byte), byte != UInt8(ascii: "%") {
                out.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                out += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return name.utf8.count > 200 ? out + "…" : out
    }
    public var description: String { "\(message) [\(code)]" + (whatToDo.isEmpty ? "" : "\n  \(whatToDo)") }
}
