// What this is: the ended runs of a stretch of time, counted while they stream by.
// Owns: counts by state, hour, job and error; the durations that percentiles are taken of.
// Never: keeps a run; memory is eight bytes a run (24 with the depth) and a little for each job and error.
// On failure: cannot fail; of no runs every rate is nil.
import JobModel

public struct OutcomeTally: Sendable {
    public struct Job: Sendable {
        public var runs = 0, failed = 0, longest = 0
        public var total = 0
    }
    public let since: Timestamp
    public let until: Timestamp
    public private(set) var byState: [FinalState: Int] = [:]
    public private(set) var retried = 0
    public private(set) var users: Set<String> = []
    public private(set) var jobs: [String: Job] = [:]
    public private(set) var errors: [String: Int] = [:]
    /// Runs and failures of each hour, the last one ending at `until`.
    public private(set) var hours: [(runs: Int, failed: Int)]
    /// Milliseconds that the runs of each hour took.
    private(set) var busy: [Int]
    private var waits: [Int32] = []
    private var durations: [Int32] = []
    /// Milliseconds since 1970 of arrivals and starts; empty where nobody asks for the depth.
    private var arrivals: [Int64] = [], starts: [Int64] = []
    private let measuresDepth: Bool
    /// The most of these runs that had arrived and not begun, at one time.
    public private(set) var depthPeak = 0

    public init(since: Timestamp, until: Timestamp, measuresDepth: Bool = false) {
        self.since = since
        self.until = until
        self.measuresDepth = measuresDepth
        // `until` is a millisecond after the last end that counts.
        let count = max(1, Int((until.since(since).nanoseconds + 3_599_998_999_999) / 3_600_000_000_000))
        hours = Array(repeating: (0, 0), count: min(count, 24 * 400))
        busy = Array(repeating: 0, count: hours.count)
    }

    public mutating func add(_ outcome: RunOutcome) {
        guard outcome.ended >= since, outcome.ended < until else { return }
        add(outcome.end)
        users.insert(outcome.user)
        guard outcome.state != .skipped else { return }
        let isFailed = outcome.state.isFailure
        var job = jobs[outcome.job] ?? Job()
        job.runs += 1
        if isFailed { job.failed += 1 }
        if let ran = outcome.ran {
            job.total += ran
            job.longest = max(job.longest, ran)
        }
        jobs[outcome.job] = job
        if isFailed { errors[outcome.error?.code ?? "none", default: 0] += 1 }
    }

    /// Counts all but users, jobs and errors.
    public mutating func add(_ end: RunEnd) {
        guard end.ended >= since, end.ended < until else { return }
        byState[end.state, default: 0] += 1
        // Skipped by its own terms: it was not work.
        guard end.state != .skipped else { return }
        let hour = hours.count - 1 - Int(until.since(end.ended).nanoseconds / 3_600_000_000_000)
        if hours.indices.contains(hour) {
            hours[hour].runs += 1
            busy[hour] += max(0, end.ran ?? 0)
            if end.state.isFailure { hours[hour].failed += 1 }
        }
        if end.isRetried { retried += 1 }
        waits.append(Int32(clamping: max(0, end.waited)))
        if let ran = end.ran { durations.append(Int32(clamping: max(0, ran))) }
        guard measuresDepth else { return }
        let start = end.ended.milliseconds - Int64(end.ran ?? 0)
        starts.append(start)
        arrivals.append(start - Int64(max(0, end.waited)))
    }

    /// After the last run, once: percentiles need an order.
    public mutating func finish() {
        waits.sort()
        durations.sort()
        arrivals.sort()
        starts.sort()
        var begun = 0
        for (index, arrival) in arrivals.enumerated() {
            while begun < starts.count, starts[begun] <= arrival { begun += 1 }
            // Who begins as soon as he arrives waits for nobody, and counts as begun.
            depthPeak = max(depthPeak, index + 1 - begun)
        }
        arrivals = []
        starts = []
    }

    /// Ended runs that were work: all but the skipped.
    public var runs: Int { byState.reduce(0) { $0 + ($1.key == .skipped ? 0 : $1.value) } }
    public var succeeded: Int { byState[.succeeded] ?? 0 }
    /// Of these the share that succeeded; cancelled ones are somebody's wish and count on neither side.
    public var successRate: Double? { OutcomeTally.share(succeeded, runs - (byState[.cancelled] ?? 0)) }
    public var failureRate: Double? {
        let failed = byState.reduce(0) { $0 + ($1.key.isFailure ? $1.value : 0) }
        return OutcomeTally.share(failed, runs - (byState[.cancelled] ?? 0))
    }
    public var retryRate: Double? { OutcomeTally.share(retried, runs) }

    static func share(_ part: Int, _ whole: Int) -> Double? {
        whole > 0 ? (Double(part) / Double(whole) * 10_000).rounded() / 10_000 : nil
    }
    /// The nearest rank: the smallest of the durations (milliseconds) that as large a share does not exceed.
    public func duration(_ share: Double) -> Int? { OutcomeTally.percentile(durations, share) }
    public func wait(_ share: Double) -> Int? { OutcomeTally.percentile(waits, share) }
    static func percentile<Number: BinaryInteger>(_ sorted: [Number], _ share: Double) -> Int? {
        guard !sorted.isEmpty else { return nil }
        let rank = Int((share * Double(sorted.count)).rounded(.up))
        return Int(sorted[min(max(rank, 1), sorted.count) - 1])
    }
}
