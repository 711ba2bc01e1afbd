// What this is: the signature of an answer: made by `ssh-keygen -Y sign -n bobbin-approval`, checked by `ssh-keygen -Y verify`.
// Owns: the namespace, the place of the allowed signers (ops/allowed_signers, as ssh-keygen(1) has it), what may be asked.
// Never: trusts a key that is not listed for the very account that owns the answer.
// On failure: a signature that cannot be checked is none, with the reason.
import JobModel
import LinuxSystem

public enum AnswerSignature {
    public static let namespace = "bobbin-approval", ending = ".sig", signersFile = "allowed_signers"
    static let longest = 1 << 16

    public enum Outcome: Hashable, Sendable { case good, bad(String) }

    /// `ops`: the path of the site's directory; `signature`: what lies beside the answer.
    public static func check(_ answer: [UInt8], _ signature: [UInt8], by who: Submitter, ops: String)
        throws(SystemError) -> Outcome
    {
        guard signature.count <= longest else { return .bad("the signature is too long to be one") }
        let file = try MemoryFile(signature)
        let said = try BriefProcess.ask(
            [
                "ssh-keygen", "-Y", "verify", "-f", "\(ops)/\(signersFile)", "-I", who.name, "-n", namespace,
                "-s",
                MemoryFile.path(inChild: 0),
            ], input: answer, files: [file])
        guard let said else {
            return .bad("the program ssh-keygen is missing: apt-get install openssh-client")
        }
        if said.isGood { return .good }
        if said.isLate { return .bad("ssh-keygen did not answer") }
        let lines = String(decoding: said.error + said.output, as: UTF8.self).split(
            whereSeparator: \.isNewline)
        if !Host.exists("\(ops)/\(signersFile)") {
            return .bad("ops/\(signersFile) is missing, so no key is known")
        }
        return .bad(
            "no key that ops/\(signersFile) lists for \(who.name) made this signature (ssh-keygen: \(lines.first.map { $0.trimmed } ?? "no"))"
        )
    }
}
