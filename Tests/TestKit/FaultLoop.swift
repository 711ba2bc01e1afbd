// What this is: the loop over every fault point of a piece of work: a fresh world for each, the work struck there, then peace.
// Owns: the blows, the count of points, the name of a point in a failure.
// Never: shares a world between points; reaches other threads (LinuxSystem's ThreadFaults is one thread's).
// On failure: throws what the check threw, with the point.
import Glibc
import LinuxSystem

#if DEBUG
    public enum FaultLoop {
        public static let blows: [ThreadFaults.Blow] =
            [ENOSPC, EIO, EMFILE, EACCES, ENOMEM, EROFS].flatMap {
                [ThreadFaults.Blow.errno($0, lasting: false), .errno($0, lasting: true)]
            } + [.errno(EINTR, lasting: true), .death]

        public struct Point: Error, CustomStringConvertible {
            public var description: String
        }

        /// Returns how many points there were. `mustThrow`: a call that failed may not be kept from the caller, least of all a
        /// sync; what is only interrupted must not be noticed.
        @discardableResult
        public static func run<World>(
            _ name: String = #function, blows: [ThreadFaults.Blow] = blows, mustThrow: Bool = true,
            make: () throws -> World, work: (World) throws -> Void,
            check: (World, ThreadFaults.Outcome) throws -> Void
        ) throws -> Int {
            // In peace first: a check that cannot pass would show nothing.
            let peace = try make()
            try work(peace)
            try check(peace, ThreadFaults.Outcome())
            var points = 0
            for blow in blows {
                for call in 1...10_000 {
                    let world = try make()
                    let outcome = ThreadFaults.strike(call, blow) { try work(world) }
                    guard outcome.isHit else { break }
                    points += 1
                    var isInterruption = false
                    if case .errno(EINTR, _) = blow { isInterruption = true }
                    if mustThrow, (outcome.error == nil) != isInterruption {
                        throw Point(
                            description:
                                "call \(call), \(blow): \(outcome.error.map { "threw \($0)" } ?? "nothing was thrown")"
                        )
                    }
                    do { try check(world, outcome) } catch {
                        throw Point(description: "call \(call), \(blow): \(error)")
                    }
                }
            }
            print("fault points of \(name): \(points)")
            return points
        }
    }
#endif
