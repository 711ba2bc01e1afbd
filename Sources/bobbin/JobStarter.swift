// What this is: the text of a job to begin with.
// Owns: its layout and comments.
// Never: writes a file.
// On failure: nothing here fails.
import BobbinDaemon
import JobLanguage
import JobModel

enum JobStarter {
    /// The first line, by which an editor finds the language; without a site there is none to find.
    private static func head(_ site: String?) -> [String] {
        site.map { ["# yaml-language-server: $schema=\($0)/ops/\(Site.schemaFile)"] } ?? []
    }

    /// Examples of other steps use what it found.
    private static let found = "find_files"
    static func completed(_ types: [StepType], from all: [StepType]) -> [StepType] {
        let isNeeded =
            types.contains { $0.example.contains("steps.found") } && !types.contains { $0.name == found }
        return isNeeded ? all.filter { $0.name == found } + types : types
    }

    static func job(name: String, _ types: [StepType], site: String?) -> String {
        var lines =
            head(site) + [
                "dsl_version: \"\(JobReader.version)\"",
                "name: \(JSONText.write(.string(name)))", "description: \"\"", "",
                "# variables: {inbox: in}        # use them as {{ inbox }}",
                "# timeout: 10m", "# retry: 3", "", "steps:",
            ]
        for type in types {
            lines.append("  # \(type.summary)  bobbin steps \(type.name)")
            let example = type.example.split(separator: "\n", omittingEmptySubsequences: false)
            for (index, line) in example.enumerated() { lines.append((index == 0 ? "  - " : "    ") + line) }
            if type.name == found { lines.append("    id: found") }
            lines.append("")
        }
        lines += [
            "# on_failure: [{notify: {to: ops, message: \"{{ run.error.message }}\"}}]",
            "# finally: [{log: done}]",
            "# outputs: {count: \"{{ steps.found.count }}\"}",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    static func call(_ template: String, _ job: JobSpec, name: String, site: String) -> String {
        var lines =
            head(site) + [
                "template: \(template)",
                "name: \(JSONText.write(.string(name)))",
            ]
        var known: [(String, String, String)] = job.parameters.map { parameter in
            let value = parameter.standard.map { JSONText.write($0) } ?? ""
            var notes = [
                parameter.isRequired ? "must be given" : "", parameter.kind.title, parameter.summary,
            ]
            if !parameter.choices.isEmpty {
                notes.append(parameter.choices.map(\.text).joined(separator: " | "))
            }
            return (parameter.name, value, notes.filter { !$0.isEmpty }.joined(separator: "; "))
        }
        if known.isEmpty { known = job.variables.entries.map { ($0.key, JSONText.write($0.value), "") } }
        if !known.isEmpty { lines.append("variables:") }
        for (name, value, note) in known {
            // What has a default stands there to be changed, and changes nothing as it is.
            let line = value.isEmpty ? "  \(name):" : "  # \(name): \(value)"
            lines.append(note.isEmpty ? line : "\(line)   # \(note)")
        }
        lines += ["# queue: default", "# priority: 5"]
        return lines.joined(separator: "\n") + "\n"
    }
}
