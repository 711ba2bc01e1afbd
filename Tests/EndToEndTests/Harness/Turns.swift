// What this is: where the tests of this suite run: on a few threads of their own, a few at a time.
// Owns: the executor, the number of turns, the line that names what took long.
// Never: blocks the cooperative pool, on which the other suites run.
// On failure: a thread that cannot be started is a trap.
import LinuxSystem
import Testing

/// A test blocks its thread until its site is done; as many tests run at a time as there are threads.
final class Turns: TaskExecutor {
    static let shared = Turns(threads: 4)
    private let jobs = Monitor<[UnownedJob]>([])

    init(threads: Int) {
        for number in 1...threads {
            do { _ = try BlockingThread.start("site-\(number)") { [self] in work() } } catch {
                preconditionFailure("\(error)")
            }
        }
    }
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        jobs.signal { $0.append(job) }
    }
    private func work() -> Never {
        while true {
            let job = jobs.wait { $0.isEmpty ? nil : $0.removeFirst() }
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}

/// On a suite: its tests take turns on threads of their own, and those that take long say so.
struct OnSites: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }
    private static let long: Int64 = 5_000

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let span = Monitor<Int64>(0)
        try await withTaskExecutorPreference(Turns.shared) {
            let began = Clocks.monotonic
            defer { span.with { $0 = (Clocks.monotonic - began) / 1_000_000 } }
            try await function()
        }
        let milliseconds = span.with { $0 }
        if milliseconds > OnSites.long {
            print("took long: \(test.displayName ?? test.name), \(milliseconds / 1000) s")
        }
    }
}

extension Trait where Self == OnSites {
    static var onSites: OnSites { OnSites() }
}
