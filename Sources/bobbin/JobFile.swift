// What this is: a job file as the verbs read it: checked, findings printed as the runner would put them.
// Owns: reading from a path or standard input, `--var` parsing.
// Never: has a checker of its own.
// On failure: prints the findings and gives nil.
import ArgumentParser
import BobbinDaemon
import JobLanguage
import JobModel
import LinuxSystem
import YamlText

enum JobFile {
    static func read(_ path: String) throws -> [UInt8] {
        let folder = path.contains("/") ? String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) : "."
        let name = path.split(separator: "/").last.map(String.init) ?? path
        return try Directory.open(folder.isEmpty ? "/" : folder).openForReading(name).read(
            upTo: Limits.dropBytes + 1)
    }

    static func reading(_ path: String, site: String?) throws -> (JobReader.Reading, [UInt8]) {
        let bytes = try read(path)
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let stem = name.split(separator: ".").first.map(String.init) ?? name
        return (Site.reader(path: site ?? ".").read(bytes, name: path, stem: stem), bytes)
    }

    /// The job and its bytes, or nil after its findings were printed.
    static func check(_ path: String, site: String?, quiet: Bool) -> (JobSpec, [UInt8])? {
        do {
            let (reading, bytes) = try reading(path, site: site)
            if !quiet || reading.job == nil {
                for finding in reading.findings { Terminal.complain(finding.rendered) }
            }
            return reading.job.map { ($0, bytes) }
        } catch {
            Terminal.complain("\(Terminal.escape(path)): error: \(error)")
            return nil
        }
    }

    /// `k=v` pairs; a value is typed as YAML would type it (`3` is a number, `"3"` a text).
    static func variables(_ texts: [String]) throws -> ValueMap {
        var map = ValueMap()
        for text in texts {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw ValidationError("--var wants NAME=VALUE, not `\(text)`")
            }
            let raw = String(text[text.index(after: equals)...])
            // A value that is no YAML is a plain text.
            let node = try? YamlReader.parse(Array(raw.utf8))
            map[String(text[..<equals])] = node.map { Value($0) } ?? .string(raw)
        }
        return map
    }
}
