// What this is: a path as a job wrote it, made absolute.
// Owns: the rule for relative paths and for `~`.
// Never: looks at the disk.
// On failure: E-PATH, a mistake in the job.
import JobModel

struct SitePath: Hashable {
    /// Absolute, without empty parts and `.`; `..` stays, since only the kernel knows where it leads.
    let absolute: String

    init(_ text: String, _ context: any StepContext) throws(Failure) {
        guard !text.isEmpty else { throw SitePath.refusal("a path is empty") }
        guard !text.utf8.contains(0) else { throw SitePath.refusal("a path holds a NUL byte") }
        guard !text.begins(with: "~") else {
            throw SitePath.refusal("`~` in \(text) is not expanded: a job has no home directory")
        }
        let whole = text.begins(with: "/") ? text : context.baseDirectory + "/" + text
        absolute = "/" + whole.parts(at: "/").filter { $0 != "." }.joined(separator: "/")
    }
    private init(known absolute: String) { self.absolute = absolute }

    /// The last part; empty for `/`.
    var name: String { absolute.parts(at: "/").last ?? "" }
    /// The directory that holds it.
    var parent: SitePath {
        let parts = absolute.parts(at: "/")
        return SitePath(known: "/" + parts.dropLast().joined(separator: "/"))
    }
    func appending(_ name: String) -> SitePath {
        SitePath(known: absolute == "/" ? "/" + name : absolute + "/" + name)
    }

    /// For a file that is written or moved: its last part must be a name.
    func named() throws(Failure) -> SitePath {
        guard !name.isEmpty, name != ".." else {
            throw SitePath.refusal("\(absolute) does not end in a file name")
        }
        return self
    }

    private static func refusal(_ message: String) -> Failure {
        Failure("E-PATH", message, whatToDo: "write the path absolute or relative to the site", retry: .never)
    }
}

/// A file name in its parts: `report.tar.gz` is `report.tar` and `gz`; `.profile` has no ending.
struct FileName {
    var stem: String
    var ending: String

    init(_ name: String) {
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else {
            (stem, ending) = (name, "")
            return
        }
        (stem, ending) = (String(name[..<dot]), String(name[name.index(after: dot)...]))
    }
    /// `report_2.pdf`.
    func numbered(_ number: Int) -> String { "\(stem)_\(number)" + (ending.isEmpty ? "" : "." + ending) }
}
