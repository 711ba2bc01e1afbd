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

    /// `.template`: parameters without a value are no fault; they may come with --var, or from a caller.
    static func reading(_ path: String, site: String?, as purpose: JobReader.Purpose = .job) throws -> (
        JobReader.Reading, [UInt8]
    ) {
        try Checker(site: site).reading(path, as: purpose)
    }

    struct Checked: Sendable {
        var path: String
        var findings: [Finding] = []
        /// The file could not be read.
        var problem: String?
        var isGood = false
    }

    /// Checks files on all processors; the answers come in the order of the files.
    static func check(all paths: [String], site: String?) throws -> [Checked] {
        let checker = Checker(site: site)
        let answers = Monitor([Checked?](repeating: nil, count: paths.count))
        let next = Monitor(0)
        let work: @Sendable () -> Void = {
            // Some at a time: the order of work is not that of the answers.
            while let range = next.with({ next -> Range<Int>? in
                guard next < paths.count else { return nil }
                defer { next += 32 }
                return next..<min(next + 32, paths.count)
            }) {
                let some = range.map { checker.check(paths[$0], site: site) }
                answers.with { for (index, one) in zip(range, some) { $0[index] = one } }
            }
        }
        var threads: [BlockingThread] = []
        for _ in 1..<max(1, min(Host.processors, paths.count / 64)) {
            threads.append(try BlockingThread.start("check", work))
        }
        work()
        for thread in threads { thread.join() }
        return answers.with { $0.compactMap { $0 } }
    }

    /// One reader for many files.
    struct Checker: Sendable {
        private let reader: JobReader
        init(site: String?) { reader = Site.reader(path: site ?? ".") }

        fileprivate func check(_ path: String, site: String?) -> Checked {
            var checked = Checked(path: path)
            do {
                let isTemplate =
                    site.map { "\(Host.realPath(path) ?? path)".hasPrefix("\($0)/templates/") } ?? false
                let (reading, _) = try reading(path, as: isTemplate ? .template : .job)
                checked.findings = reading.findings
                checked.isGood = reading.job != nil
            } catch { checked.problem = "\(error)" }
            return checked
        }

        func reading(_ path: String, as purpose: JobReader.Purpose) throws -> (JobReader.Reading, [UInt8]) {
            let bytes = try JobFile.read(path)
            let name = path.split(separator: "/").last.map(String.init) ?? path
            let stem = name.split(separator: ".").first.map(String.init) ?? name
            return (reader.read(bytes, name: path, stem: stem, as: purpose), bytes)
        }
    }

    /// The job and its bytes, or nil after its findings were printed.
    static func check(_ path: String, site: String?, quiet: Bool, as purpose: JobReader.Purpose = .job) -> (
        JobSpec, [UInt8]
    )? {
        do {
            let (reading, bytes) = try reading(path, site: site, as: purpose)
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
    /// `mayLack`: what must be given need not be there yet.
    static func set(_ texts: [String], in spec: inout JobSpec, of path: String, mayLack: Bool = false) throws
        -> Bool
    {
        let faults = spec.set(try variables(texts)) + (mayLack ? [] : spec.lacking)
        for fault in faults {
            Terminal.complain("\(Terminal.escape(path)): error: \(Terminal.escape(fault)) [E-PARAM]")
        }
        return faults.isEmpty
    }

    /// `k=v` pairs as YAML would read them: `3` is a number, `"3"` a text, what is no YAML a plain text.
    static func variables(_ texts: [String]) throws -> [(name: String, node: YamlNode)] {
        try texts.map { text in
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw ValidationError("--var wants NAME=VALUE, not `\(text)`")
            }
            let raw = String(text[text.index(after: equals)...])
            let quoted = JSONText.write(.string(raw))
            // What is no YAML is a plain text.
            let node = try (try? YamlReader.parse(Array(raw.utf8))) ?? YamlReader.parse(Array(quoted.utf8))
            return (String(text[..<equals]), node)
        }
    }
}
