// What this is: the loop over every fault point of a piece of work: a fresh world for each, the work struck there, then peace.
// Owns: the blows, the count of points, the name of a point in a failure.
// Never: shares a world between points; reaches other threads (LinuxSystem's ThreadFaults is one thread's).
// On failure: throws what the check threw, with the point.
import Glibc
import LinuxSystem

public enum FaultLoop {
    public static let blows: [ThreadFaults.Blow] =
        [ENOSPC, EIO, EMFILE, EACCES, ENOMEM, EROFS].flatMap {
            [ThreadFaults.Blow.errno($0, lasting: false), .errno($0, lasting: true)]
        } + [.errno(EINTR, lasting: true), .death]

    public struct Point: Error, CustomStringConvertible {
        public var description: String
    }

    /// Returns how many points there were.
    @discardableResult
    public static func run<World>(
        _ name: String = #function, blows: [ThreadFaults.Blow] = blows, make: () throws -> World,
        work: (World) throws -> Void,
        check: (World, ThreadFaults.Blow) throws -> Void
    ) throws -> Int {
        var points = 0
        for blow in blows {
            for call in 1...10_000 {
                let world = try make()
                guard ThreadFaults.strike(call, blow, { try work(world) }) else { break }
                points += 1
                do { try check(world, blow) } catch {
                    throw Point(description: "call \(call), \(blow): \(error)")
                }
            }
        }
        print("fault points of \(name): \(points)")
        return points
    }
}
