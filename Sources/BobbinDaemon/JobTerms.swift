// What this is: the terms of a job, agreed in the moment in which it is accepted.
// Owns: what expressions in them see: the job's variables, its name, queue and priority, the time; no step and no run id.
// Never: agrees a second time: a key with `{{ date }}` in it keeps the date of the acceptance.
// On failure: Failure; the drop is rejected.
import JobLanguage
import JobModel
import LinuxSystem
import SpoolQueue

enum JobTerms {
    static func agreed(_ job: JobSpec, _ key: LaneKey, at instant: Timestamp) throws(Failure) -> Terms {
        guard job.terms != TermSpec() else { return Terms() }
        let local = instant.civil(
            offsetSeconds: Clocks.zoneOffset(atSeconds: instant.seconds), withMilliseconds: false)
        let scope = Scope(
            variables: job.variables,
            run: [
                "name": .string(job.name), "queue": .string(key.queue.text),
                "priority": .int(key.priority.level),
            ],
            now: instant, localDate: String(local.prefix(10)),
            zoneOffset: { Clocks.zoneOffset(atSeconds: $0) }, trigger: job.trigger)
        return try job.terms.agreed(scope, job: job.name)
    }

    /// A job for one environment does not run in another; a site without a name takes all of them.
    static func misfit(_ terms: Terms, site environment: String?) -> Failure? {
        guard let wanted = terms.environment, let environment, wanted != environment else { return nil }
        return Failure(
            "E-ENVIRONMENT", "the job is for the environment `\(wanted)`, this site is `\(environment)`",
            whatToDo: "Drop it at the right site, or correct `environment`.", retry: .never)
    }
}
