// What this is: what the checker collects while it reads a job: findings with their file.
// Owns: Finding, the list of them, and the form in which a run or a rejection carries the first one.
// Never: stops at the first error: a person gets the whole list.
// On failure: nothing here fails.
import JobModel
import YamlText

/// A diagnostic and the text it speaks of (the job, or the template it names).
public struct Finding: Sendable {
    public var source: SourceFile
    public var diagnostic: Diagnostic
    public var rendered: String { source.render(diagnostic) }
}

/// A collecting basket for one text.
final class Findings {
    let source: SourceFile
    private(set) var all: [Finding] = []
    /// More would not be read by anybody.
    private static let most = 50

    init(_ source: SourceFile) { self.source = source }

    func error(_ code: String, _ message: String, hint: String = "", at mark: SourceMark?) {
        add(Diagnostic(severity: .error, code: code, message: message, hint: hint, mark: mark))
    }
    func warning(_ code: String, _ message: String, hint: String = "", at mark: SourceMark?) {
        add(Diagnostic(severity: .warning, code: code, message: message, hint: hint, mark: mark))
    }
    func add(_ diagnostic: Diagnostic) { keep(Finding(source: source, diagnostic: diagnostic)) }
    func append(_ findings: [Finding]) { findings.forEach(keep) }
    /// Warnings make room for errors: however many there are, a job with an error has one that is told.
    private func keep(_ finding: Finding) {
        if all.count >= Findings.most {
            guard finding.diagnostic.severity == .error,
                let warning = all.lastIndex(where: { $0.diagnostic.severity == .warning })
            else { return }
            all.remove(at: warning)
        }
        all.append(finding)
    }
    /// What may have been meant. Past the last finding that is kept nobody would read it, and it is dear.
    func nearest(_ name: String, in names: @autoclosure () -> [String]) -> String? {
        all.count < Findings.most ? NearestName.find(name, in: names()) : nil
    }
    var hasErrors: Bool { all.contains { $0.diagnostic.severity == .error } }
}
