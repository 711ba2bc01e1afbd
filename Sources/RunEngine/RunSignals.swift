// What this is: what may end or interrupt a run from outside: cancel, hold, stop; and what a blocked step sleeps on.
// Owns: the request, and an eventfd that exists only once somebody needs one.
// Never: kills anything; the step that sees the request does.
// On failure: without descriptors for an eventfd the step polls once a second.
import JobModel
import LinuxSystem

public final class RunSignals: Sendable {
    public enum Request: Int, Sendable, Comparable {
        case none, hold, cancel
        /// The runner ends now: the step is killed and its outcome left open.
        case stop
        public static func < (left: Request, right: Request) -> Bool { left.rawValue < right.rawValue }
    }
    private struct State {
        var request = Request.none
        var waker: Waker?
    }
    private let state = Monitor(State())

    public init() {}

    /// Raises the request; a lesser one never replaces a graver one.
    public func raise(_ request: Request) {
        state.broadcast {
            $0.request = max($0.request, request)
            // Hold waits for the step's end by itself; only what ends the step wakes it.
            if request > .hold { $0.waker?.wake() }
        }
    }
    /// A cancelled run still does its `finally` steps; only `stop` ends those.
    func forgiveCancel() {
        state.with {
            if $0.request < .stop { $0.request = .none }
            $0.waker?.clear()
        }
    }
    public var request: Request { state.with { $0.request } }

    /// The descriptor that becomes readable when something is raised.
    func descriptor() -> Int32 {
        state.with { state in
            if state.waker == nil { state.waker = try? Waker() }  // see the head: callers poll instead
            if state.request > .hold { state.waker?.wake() }
            return state.waker?.fd ?? -1
        }
    }
    /// Sleeps until the deadline or until something graver than hold is raised.
    public func pause(until deadline: Int64) {
        state.wait(until: deadline) { $0.request > .hold ? () : nil }
    }
}
