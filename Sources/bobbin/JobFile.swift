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

    /// `asTemplate`: parameters without a value are no fault; they may come with --var, or from a caller.
    static func reading(_ path: String, site: String?, asTemplate: Bool = false) throws -> (
        JobReader.Reading, [UInt8]
    ) {
        let bytes = try read(path)
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let stem = name.split(separator: ".").first.map(String.init) ?? name
        return (
            Site.reader(path: site ?? ".").read(bytes, name: path, stem: stem, asTemplate: asTemplate), bytes
        )
    }

    /// The job and its bytes, or nil after its findings were printed.
    static func check(_ path: String, site: String?, quiet: Bool, asTemplate: Bool = false) -> (
        JobSpec, [UInt8]
    )? {
        do {
            let (reading, bytes) = try reading(path, site: site, asTemplate: asTemplate)
            if !quiet || reading.job == nil {
                for finding in reading.findings { Terminal.complain(finding.rendered) }
            }
            return reading.job.map { ($0, bytes) }
        } catch {
            Terminal.complain("\(Terminal.escape(path)): error: \(error)")
            return nil
        }
    }

    /// Sets what --var gives; false after it was said what does not fit the parameters, or is missing.
    static func set(_ texts: [String], in spec: inout JobSpec, of path: String) throws -> Bool {
        let faults = spec.set(try variables(texts))
        for fault in faults {
            Terminal.complain("\(Terminal.escape(path)): error: \(Terminal.escape(fault)) [E-PARAM]")
        }
        return faults.isEmpty
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
