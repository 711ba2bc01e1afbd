// What this is: work that may go on side by side: branches, rounds of a loop, the steps of a graph.
// Owns: which piece begins next, on which thread, and what the whole came to.
// Never: waits for a thread: whoever calls does the work alone when no other is free. Drops a piece that has begun.
// On failure: nothing more begins; what has begun goes on to the end of its step.
import JobModel
import LinuxSystem

/// Why the drive of a run is over for now.
enum Break: Error {
    case suspend(Wait)
    /// No process could be had for a step, which did not begin.
    case starve(Wait, Failure)
    case stop
    /// Something beside it has failed.
    case halted
}

/// The threads that a run may have beside its own.
final class Crew: Sendable {
    private let free: Monitor<Int>
    private let name: String
    init(_ name: String, count: Int) {
        self.name = name
        free = Monitor(max(0, count))
    }
    /// Nil when all are at work, or the system has none to give.
    func hire(_ work: @escaping @Sendable () -> Void) -> BlockingThread? {
        let free = free
        let isFree = free.with { count -> Bool in
            guard count > 0 else { return false }
            count -= 1
            return true
        }
        guard isFree else { return nil }
        // Without the thread the work is done all the same, by those who are there.
        let thread = try? BlockingThread.start(name) {
            work()
            free.with { $0 += 1 }
        }
        if thread == nil { free.with { $0 += 1 } }
        return thread
    }
}

final class Batch: Sendable {
    private struct State {
        var isStarted: [Bool]
        var isOver: [Bool]
        /// The first that has not begun, and the first that is not over.
        var low = 0
        var lowOpen = 0
        var running = 0
        var outcome = Outcome()
        var breaks: [Break] = []
        /// Nothing more begins.
        var isClosed = false
        var threads: [BlockingThread] = []
    }
    struct Outcome {
        /// What ended the whole, with the least index.
        var fatal: (index: Int, failure: Failure)?
        /// All of them.
        var failures: [Int: Failure] = [:]
    }
    typealias Piece = @Sendable (Int) throws(Break) -> Failure?
    /// What must be over before a piece begins.
    enum Need: Sendable { case allAbove, these([Int]) }

    private let state: Monitor<State>
    private let count: Int
    private let width: Int
    private let crew: Crew
    /// Whether a failure leaves the others their turn.
    private let goesOn: @Sendable (Failure) -> Bool
    /// Of each piece; empty: of none.
    private let needs: [Need]
    private let piece: Piece
    /// Raised at the first failure, unless the others go on.
    private let halt: Flag
    /// Something had failed before this drive: nothing begins, but all pieces are looked at.
    private let isSettled: Bool

    init(
        _ count: Int, width: Int, crew: Crew, halt: Flag,
        goesOn: @escaping @Sendable (Failure) -> Bool = { _ in false },
        needs: [Need] = [], isSettled: Bool = false, piece: @escaping Piece
    ) {
        state = Monitor(
            State(
                isStarted: [Bool](repeating: false, count: count),
                isOver: [Bool](repeating: false, count: count))
        )
        self.count = count
        self.width = max(1, width)
        self.crew = crew
        self.goesOn = goesOn
        self.halt = halt
        self.needs = isSettled ? [] : needs
        self.isSettled = isSettled
        if isSettled { halt.raise() }
        self.piece = piece
    }

    /// Comes back once all is over that could begin.
    func run() throws(Break) -> Outcome {
        work()
        // One who was hired may have hired another before it ended.
        while let thread = state.with({ $0.threads.popLast() }) { thread.join() }
        let (outcome, breaks) = state.with { ($0.outcome, $0.breaks) }
        if breaks.contains(where: { if case .stop = $0 { true } else { false } }) { throw .stop }
        // Of a step that a crash cut off nobody knows: a person is asked before anything follows from a failure beside it.
        if let question = breaks.first(where: {
            if case .suspend(let wait) = $0 { wait.reason == .interrupted } else { false }
        }), outcome.fatal != nil {
            throw question
        }
        // What failed has failed; whoever waits for another try beside it gets none.
        if outcome.fatal == nil, let first = Batch.nearest(breaks) { throw first }
        return outcome
    }

    /// The wait of all of them: a hold is for the whole run; else the earliest that ends by itself; else a person.
    private static func nearest(_ breaks: [Break]) -> Break? {
        var best: (rank: Int64, Break)?
        for next in breaks {
            let rank: Int64
            switch next {
            case .stop: rank = .min
            case .suspend(let wait) where wait.reason == .held: rank = .min
            // A step of which nobody knows what became, before one that asks: its answer is taken at any time.
            case .suspend(let wait) where wait.reason == .interrupted: rank = .max - 3
            // A person is asked at once; the end of a child wakes the run all the same.
            case .suspend(let wait) where wait.reason == .child: rank = wait.until?.nanoseconds ?? .max - 1
            case .suspend(let wait), .starve(let wait, _): rank = wait.until?.nanoseconds ?? .max - 2
            case .halted: rank = .max
            }
            if best.map({ rank < $0.rank }) ?? true { best = (rank, next) }
        }
        return best?.1
    }

    private func work() {
        while let index = take() {
            callForHelp()
            do throws(Break) {
                let failure = try piece(index)
                settle(index, failure)
            } catch { settle(index, error) }
        }
    }

    private func take() -> Int? {
        state.wait { state -> Int?? in
            if state.isClosed { return .some(nil) }
            while state.low < count, state.isStarted[state.low] { state.low += 1 }
            if state.running < width {
                for index in state.low..<count where !state.isStarted[index] && isReady(index, &state) {
                    state.isStarted[index] = true
                    state.running += 1
                    return index
                }
            }
            // Nothing is left, or nothing that is left will ever be ready.
            return state.low == count || state.running == 0 ? .some(nil) : nil
        }
    }

    private func isReady(_ index: Int, _ state: inout State) -> Bool {
        guard !needs.isEmpty else { return true }
        switch needs[index] {
        case .these(let others): return others.allSatisfy { state.isOver[$0] }
        case .allAbove:
            while state.lowOpen < count, state.isOver[state.lowOpen] { state.lowOpen += 1 }
            return state.lowOpen >= index
        }
    }

    private func callForHelp() {
        let isWanted = state.with { state in
            guard !state.isClosed, state.running < width else { return false }
            return (state.low..<count).contains { !state.isStarted[$0] && isReady($0, &state) }
        }
        guard isWanted, let thread = crew.hire({ self.work() }) else { return }
        state.with { $0.threads.append(thread) }
    }

    private func settle(_ index: Int, _ failure: Failure?) {
        let goesOn = failure.map(goesOn) ?? true
        state.broadcast { state in
            state.running -= 1
            state.isOver[index] = goesOn
            guard let failure else { return }
            state.outcome.failures[index] = failure
            if goesOn { return }
            if state.outcome.fatal.map({ index < $0.index }) ?? true {
                state.outcome.fatal = (index, failure)
            }
            state.isClosed = !isSettled
            halt.raise()
        }
    }
    private func settle(_ index: Int, _ reason: Break) {
        state.broadcast { state in
            state.running -= 1
            state.breaks.append(reason)
            switch reason {
            case .stop: state.isClosed = true
            case .suspend(let wait) where wait.reason == .held: state.isClosed = true
            // One after the other: the next must not overtake the one that waits.
            default: if width == 1, !isSettled { state.isClosed = true }
            }
        }
    }
}
