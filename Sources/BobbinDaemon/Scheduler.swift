// What this is: what waits, what may start next, and who has which slot. Workers ask it; the main loop feeds it.
// Owns: candidates and ready runs by queue and priority, slots, the active runs and their signals.
// Never: touches a job file; blocks on the disk (a slot is one lock call).
// On failure: a slot file that cannot be locked counts as taken, and the log says so once a minute.
import JobModel
import LinuxSystem
import RunEngine
import SpoolQueue

/// A file that may be a job.
struct Candidate: Sendable {
    var name: String
    var evidence: Evidence
    /// Wall clock, nanoseconds: its wait begins here.
    var seenAt: Int64
    /// Whose turn it takes.
    var user: UInt32 = 0
}

/// One drop directory.
struct LaneKey: Hashable, Sendable {
    var queue: QueueName
    var priority: Priority
}

struct Slot: Hashable, Sendable {
    var queue: QueueName
    var number: Int
}

enum Work: Sendable {
    case drop(Candidate, LaneKey, Slot)
    /// A run that goes on: from a retry, a release, a restart. Without a slot it may only come to its end.
    case run(RunID, Slot?)
    case exit
}

/// First in, first out, without moving the rest at each step.
struct Fifo<Element> {
    private var items: [Element] = []
    private var head = 0
    var isEmpty: Bool { head == items.count }
    var count: Int { items.count - head }
    var first: Element? { isEmpty ? nil : items[head] }
    mutating func append(_ item: Element) { items.append(item) }
    mutating func popFirst() -> Element? {
        guard !isEmpty else { return nil }
        let item = items[head]
        head += 1
        if head == items.count {
            items.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 4096 && head * 2 > items.count {
            items.removeFirst(head)
            head = 0
        }
        return item
    }
    /// Gives back what was popped.
    mutating func putBack(_ item: Element) {
        guard head > 0 else { return items.insert(item, at: 0) }
        head -= 1
        items[head] = item
    }
    mutating func removeAll(where matches: (Element) -> Bool) {
        items = items[head...].filter { !matches($0) }
        head = 0
    }
    var all: ArraySlice<Element> { items[head...] }
}

/// What waits in one drop directory.
struct LaneState {
    var candidates = CandidateLine()
    /// Users of whom more files lie in the directory than are kept in mind.
    var hasMore: Set<UInt32> = []
    /// Arriving files that are to be judged again, in the line above.
    var offeredAgain: Set<String> = []
    /// Names that are candidates, in the gate or arriving.
    var known: Set<String> = []
    var inGate: Set<String> = []
    /// Names that were dropped again while the gate had them.
    var again: [String: Candidate] = [:]
    var ready = Fifo<RunID>()
    var hasWork: Bool { !ready.isEmpty || !candidates.isEmpty }
}

struct QueueState {
    var policy: QueuePolicy
    var isPaused = false
    var lanes: [LaneState] = Array(repeating: LaneState(), count: 9)
    var slots: SlotSet
    /// Starts from the most urgent lane while others waited.
    var passedOver = 0

    /// The lane whose turn it is: the most urgent, but the longest waiting of the others once in `starvationBound`.
    mutating func nextLane() -> Int? {
        guard let top = lanes.firstIndex(where: \.hasWork) else { return nil }
        let others = lanes.indices.filter { $0 != top && lanes[$0].hasWork }
        guard !others.isEmpty else {
            passedOver = 0
            return top
        }
        passedOver += 1
        guard passedOver > Limits.starvationBound else { return top }
        passedOver = 0
        return others.min { age(lanes[$0]) < age(lanes[$1]) }
    }
    private func age(_ lane: LaneState) -> Int64 {
        lane.ready.isEmpty ? lane.candidates.oldest ?? .max : 0
    }
}

final class Scheduler: Sendable {
    struct State {
        var queues: [QueueName: QueueState] = [:]
        var order: [QueueName] = []
        var rotation = 0
        /// Runs that must come to an end without waiting for a slot.
        var urgent = Fifo<RunID>()
        var signals: [RunID: RunSignals] = [:]
        var driving: Set<RunID> = []
        /// Runs that were made ready while their worker was still letting go of them: nil is urgent.
        var deferred: [RunID: LaneKey?] = [:]
        var inWork = 0
        var isDraining = false
        /// Nothing begins or goes on for a while: see Pressure.
        var isHeldUp = false
        /// One at a time.
        var isSlow = false
        /// Directories that held more files than are kept in mind, and may be looked at again.
        var wantScan: Set<LaneKey> = []
        var isExiting = false
        /// A slot was wanted that another runner has: ask again soon.
        var isContended = false
        /// Tells the main loop so.
        var callMainLoop: @Sendable () -> Void = {}
        var slotProblem: SystemError?
    }
    private let state: Monitor<State>
    private let activeSet: Int

    init(activeSet: Int = Limits.activeSet, callMainLoop: @escaping @Sendable () -> Void = {}) {
        var first = State()
        first.callMainLoop = callMainLoop
        self.activeSet = activeSet
        state = Monitor(first)
    }

    // MARK: for workers

    func next() -> Work {
        state.wait { state in
            if state.isExiting { return .exit }
            let work = Scheduler.choose(&state, activeSet)
            if work != nil { state.inWork += 1 }
            return work
        }
    }

    private static func choose(_ state: inout State, _ activeSet: Int) -> Work? {
        while let run = state.urgent.popFirst() {
            if state.driving.insert(run).inserted { return .run(run, nil) }
            state.deferred[run] = .some(nil)
        }
        if state.isDraining || state.isHeldUp || state.isSlow && state.inWork > 0 { return nil }
        for step in state.order.indices {
            let index = (state.rotation + step) % state.order.count
            let name = state.order[index]
            if let work = choose(from: name, &state, activeSet) {
                state.rotation = (index + 1) % state.order.count
                return work
            }
        }
        return nil
    }

    private static func choose(from name: QueueName, _ state: inout State, _ activeSet: Int) -> Work? {
        guard let queue = state.queues[name], !queue.isPaused, queue.lanes.contains(where: \.hasWork) else {
            return nil
        }
        let number: Int?
        do throws(SystemError) { number = try queue.slots.take(limit: queue.policy.maxConcurrent) } catch {
            state.slotProblem = error
            number = nil
        }
        guard let number else {
            if queue.slots.taken < queue.policy.maxConcurrent, !state.isContended {
                state.isContended = true
                state.callMainLoop()
            }
            return nil
        }
        let slot = Slot(queue: name, number: number)
        guard let lane = state.queues[name]?.nextLane(), let priority = Priority(lane + 1) else { return nil }
        while let run = state.queues[name]?.lanes[lane].ready.popFirst() {
            if state.driving.insert(run).inserted { return .run(run, slot) }
            if state.deferred[run] == nil { state.deferred[run] = LaneKey(queue: name, priority: priority) }
        }
        if let candidate = state.queues[name]?.lanes[lane].candidates.popFirst() {
            state.queues[name]?.lanes[lane].inGate.insert(candidate.name)
            state.queues[name]?.lanes[lane].offeredAgain.remove(candidate.name)
            let key = LaneKey(queue: name, priority: priority)
            if let waiting = state.queues[name]?.lanes[lane], waiting.hasMore.contains(candidate.user),
                waiting.candidates.count(of: candidate.user) < activeSet / 2
            {
                state.queues[name]?.lanes[lane].hasMore.remove(candidate.user)
                state.wantScan.insert(key)
                state.callMainLoop()
            }
            return .drop(candidate, key, slot)
        }
        free(slot, &state)
        return nil
    }

    private static func free(_ slot: Slot, _ state: inout State) {
        do throws(SystemError) { try state.queues[slot.queue]?.slots.release(slot.number) } catch {
            state.slotProblem = error
        }
    }

    /// The worker is done with what it took. True when nobody works any more. Nobody else is woken for the slot: the
    /// worker itself asks for work next, and what one slot allows is one piece of work.
    func finish(slot: Slot?, run: RunID?) -> Bool {
        let (isLast, isDeferred) = state.with { state -> (Bool, Bool) in
            var isDeferred = false
            if let slot { Scheduler.free(slot, &state) }
            if let run {
                state.driving.remove(run)
                if let key = state.deferred.removeValue(forKey: run) {
                    Scheduler.requeue(run, key, &state)
                    isDeferred = true
                }
            }
            state.inWork -= 1
            return (state.inWork == 0, isDeferred)
        }
        if isDeferred { state.signal { _ in } }
        return isLast
    }
    private static func requeue(_ run: RunID, _ key: LaneKey?, _ state: inout State) {
        guard let key else { return state.urgent.append(run) }
        state.queues[key.queue]?.lanes[key.priority.level - 1].ready.append(run)
    }
    /// The gate has judged the candidate. `stays`: it is still arriving.
    func judged(_ name: String, _ key: LaneKey, stays: Bool) {
        let isAgain = state.with { state -> Bool in
            let index = key.priority.level - 1
            guard state.queues[key.queue] != nil else { return false }
            state.queues[key.queue]?.lanes[index].inGate.remove(name)
            if let again = state.queues[key.queue]?.lanes[index].again.removeValue(forKey: name) {
                state.queues[key.queue]?.lanes[index].candidates.append(again)
                return true
            }
            if !stays { state.queues[key.queue]?.lanes[index].known.remove(name) }
            return false
        }
        if isAgain { state.signal { _ in } }
    }
    /// The host has no room for it: it is first in its line again.
    func putBack(_ candidate: Candidate, _ key: LaneKey) {
        state.with { state in
            let index = key.priority.level - 1
            guard state.queues[key.queue] != nil else { return }
            state.queues[key.queue]?.lanes[index].inGate.remove(candidate.name)
            let again = state.queues[key.queue]?.lanes[index].again.removeValue(forKey: candidate.name)
            state.queues[key.queue]?.lanes[index].candidates.putBack(again ?? candidate)
        }
    }
    /// The signals of a run that begins to be driven.
    func begin(_ run: RunID) -> RunSignals {
        state.with { state in
            state.driving.insert(run)
            let signals = state.signals[run] ?? RunSignals()
            state.signals[run] = signals
            return signals
        }
    }
    /// Lets go of a run's signals; what was asked and not yet obeyed is returned, so that it is not lost.
    @discardableResult
    func forget(_ run: RunID) -> RunSignals.Request {
        state.with { state in
            defer { state.signals[run] = nil }
            return state.signals[run]?.request ?? .none
        }
    }

    // MARK: for the main loop

    func configure(_ policies: [QueuePolicy], slots: Directory) throws {
        try state.with { state in
            for policy in policies {
                if state.queues[policy.name] == nil {
                    state.queues[policy.name] = QueueState(
                        policy: policy, slots: try SlotSet(policy.name, in: slots))
                }
                state.queues[policy.name]?.policy = policy
            }
            let dropped = state.order.filter { name in
                !policies.contains { $0.name == name }
                    && state.queues[name]?.lanes.contains(where: \.hasWork) ?? false
            }
            state.order = policies.map(\.name) + dropped
        }
        state.broadcast { _ in }
    }
    func pause(_ paused: Set<QueueName>) {
        state.broadcast { state in
            for name in state.queues.keys { state.queues[name]?.isPaused = paused.contains(name) }
        }
    }
    /// Offers files; those that are known already are left as they are (or looked at again after the gate).
    func offer(_ candidates: [Candidate], _ key: LaneKey) {
        let many = candidates.count > 1
        let add: (inout State) -> Void = { [activeSet] state in
            let index = key.priority.level - 1
            guard var lane = state.queues[key.queue]?.lanes[index] else { return }
            state.queues[key.queue]?.lanes[index] = LaneState()
            for candidate in candidates {
                if lane.candidates.count(of: candidate.user) >= activeSet {
                    lane.hasMore.insert(candidate.user)
                } else if lane.known.insert(candidate.name).inserted {
                    lane.candidates.append(candidate)
                } else if lane.inGate.contains(candidate.name) {
                    lane.again[candidate.name] = candidate
                }
            }
            state.queues[key.queue]?.lanes[index] = lane
        }
        if many { state.broadcast(add) } else { state.signal(add) }
    }
    /// An arriving file is to be judged again.
    func offerAgain(_ candidate: Candidate, _ key: LaneKey) {
        state.signal { state in
            let index = key.priority.level - 1
            let isNew = state.queues[key.queue]?.lanes[index].offeredAgain.insert(candidate.name).inserted
            if isNew ?? false { state.queues[key.queue]?.lanes[index].candidates.append(candidate) }
        }
    }
    /// Whether an arriving file waits to be judged again, or is just being judged.
    func isWaiting(_ name: String, _ key: LaneKey) -> Bool {
        state.with { state in
            guard let lane = state.queues[key.queue]?.lanes[key.priority.level - 1] else { return false }
            return lane.offeredAgain.contains(name) || lane.inGate.contains(name)
        }
    }
    /// Takes a waiting candidate out, to cancel or hold it unclaimed; nil when no such file waits.
    func remove(where matches: (String) -> Bool) -> (Candidate, LaneKey)? {
        state.with { state in
            for name in state.order {
                for priority in Priority.all {
                    let index = priority.level - 1
                    guard
                        let found = state.queues[name]?.lanes[index].candidates.all.first(where: {
                            matches($0.name)
                        })
                    else { continue }
                    state.queues[name]?.lanes[index].candidates.removeAll { $0.name == found.name }
                    state.queues[name]?.lanes[index].offeredAgain.remove(found.name)
                    state.queues[name]?.lanes[index].inGate.insert(found.name)
                    return (found, LaneKey(queue: name, priority: priority))
                }
            }
            return nil
        }
    }
    /// A worker has the file in its hands. When it has let go, an accepted one is in the journal.
    func isBeingJudged(where matches: (String) -> Bool) -> Bool {
        state.with { $0.queues.values.contains { $0.lanes.contains { $0.inGate.contains(where: matches) } } }
    }
    func forgetName(_ name: String, _ key: LaneKey) {
        state.with { _ = $0.queues[key.queue]?.lanes[key.priority.level - 1].known.remove(name) }
    }
    /// A run that may go on when a slot is free.
    func ready(_ run: RunID, _ key: LaneKey, slots: Directory) throws {
        if !state.with({ $0.queues[key.queue] != nil }) {
            // Its queue is no longer configured: one at a time, until such runs are through.
            let orphaned = QueueState(
                policy: QueuePolicy(name: key.queue), slots: try SlotSet(key.queue, in: slots))
            state.with { state in
                state.queues[key.queue] = orphaned
                state.order.append(key.queue)
            }
        }
        state.signal { $0.queues[key.queue]?.lanes[key.priority.level - 1].ready.append(run) }
    }
    /// A run that is to end now, slot or not.
    func urgent(_ run: RunID) { state.signal { $0.urgent.append(run) } }

    func signals(of run: RunID) -> RunSignals {
        state.with { state in
            let signals = state.signals[run] ?? RunSignals()
            state.signals[run] = signals
            return signals
        }
    }
    func isDriving(_ run: RunID) -> Bool { state.with { $0.driving.contains(run) } }
    func raiseAll(_ request: RunSignals.Request) {
        state.with { $0.signals.values.forEach { $0.raise(request) } }
    }
    func drain() { state.broadcast { $0.isDraining = true } }
    /// Stops or allows all beginning. True: that is new.
    func holdUp(_ isHeldUp: Bool) -> Bool {
        state.broadcast { state in
            defer { state.isHeldUp = isHeldUp }
            return state.isHeldUp != isHeldUp
        }
    }
    /// Whether one piece of work is given out at a time. True: it was otherwise before.
    func slowDown(_ isSlow: Bool) -> Bool {
        // Asked before each claim, and hardly ever new: nobody is woken for nothing.
        guard state.with({ $0.isSlow != isSlow }) else { return false }
        return state.broadcast { state in
            defer { state.isSlow = isSlow }
            return state.isSlow != isSlow
        }
    }
    var isHeldUp: Bool { state.with { $0.isHeldUp } }
    /// Directories to be scanned again; asked for once.
    func takeWantedScans() -> Set<LaneKey> {
        state.with { state in
            defer { state.wantScan = [] }
            return state.wantScan
        }
    }
    func exit() { state.broadcast { $0.isExiting = true } }
    func wakeAll() { state.broadcast { _ in } }

    var isContended: Bool {
        state.with { state in
            defer { state.isContended = false }
            return state.isContended
        }
    }
    var slotProblem: SystemError? {
        state.with { state in
            defer { state.slotProblem = nil }
            return state.slotProblem
        }
    }
    /// Several runs are on their way, so results can share their syncs.
    var isBusy: Bool {
        state.with { state in
            state.inWork > 1
                || state.queues.values.contains { queue in
                    queue.lanes.contains(where: \.hasWork) && queue.slots.taken > 0
                }
        }
    }
    /// Nobody works.
    var isQuiet: Bool { state.with { $0.inWork == 0 } }
    /// Nobody works and nothing waits for a worker.
    var isIdle: Bool {
        state.with { state in
            state.inWork == 0 && state.urgent.isEmpty && state.wantScan.isEmpty
                && !state.queues.values.contains { queue in
                    !queue.isPaused && queue.lanes.contains(where: \.hasWork)
                }
        }
    }
}
