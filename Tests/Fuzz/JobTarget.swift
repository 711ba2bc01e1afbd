// What this is: any bytes to the checker of jobs, with the real table of steps.
// Owns: what holds for every reading: a job or an error and never both, findings with a place inside their text.
// Never: runs a job.
// On failure: must() traps.
// What stands behind the first NUL byte is the template that the job may name.
import BobbinDaemon
import JobLanguage
import JobModel
import YamlText

enum JobTarget {
    @Sendable static func run(_ bytes: [UInt8]) {
        let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false).map {
            Array($0)
        }
        let template = parts.count > 1 ? parts[1] : nil
        let reader = JobReader(catalogue: Site.standardCatalogue) { _ in template }
        let reading = reader.read(parts[0], name: "job.yaml", stem: "job")
        must((reading.job == nil) == !reading.errors.isEmpty, "a job with errors, or neither: \(reading)")
        for finding in reading.findings {
            let rendered = finding.rendered
            if let mark = finding.diagnostic.mark {
                must(YamlTarget.isInside(mark, finding.source.bytes), "outside of the text: \(rendered)")
            }
            must(finding.diagnostic.code.hasPrefix("E-") || finding.diagnostic.code.hasPrefix("W-"), rendered)
            YamlTarget.checkRendered(rendered)
        }
        if let job = reading.job { check(job) }
    }

    private static func check(_ job: JobSpec) {
        must(!job.name.isEmpty && !job.steps.isEmpty, "a job without a name or steps: \(job)")
        for attempt in 1...100 {
            let delay = job.retry?.delay(afterAttempt: attempt, random: 0.9999)
            must(delay.map { $0 >= .zero } ?? true, "a delay below zero")
        }
        // What a text in the job says when it runs is the expressions' matter; here it only must not trap.
        for values in [job.variables, job.outputs] {
            do throws(TemplateError) {
                _ = try Value.map(values).rendered(ExpressionTarget.scope)
            } catch {
                must(error.code.hasPrefix("E-"), "\(error)")
            }
        }
    }
}
