// What this is: waiting for files to be saved, for `check --watch`.
// Owns: the watches, and the pause in which several changes become one.
// Never: reads a file.
// On failure: a directory that is not there is not watched; SystemError where none is.
import LinuxSystem

struct CheckWatch {
    private let watch: DirectoryWatch
    /// Editors write, rename and touch: all of that is one change.
    private static let pause: Int64 = 100_000_000

    init(_ directories: [String]) throws {
        watch = try DirectoryWatch()
        for path in directories {
            // Without templates there is nothing of them to watch.
            guard let directory = try? Directory.open(path) else { continue }
            try watch.add(directory, tag: 0)
        }
    }

    /// Until the process is ended.
    func forEachChange(_ body: () throws -> Void) throws {
        while true {
            _ = try Waker.sleep([watch.fd], until: .max)
            var isOver = false
            while !isOver {
                _ = try watch.drain()
                isOver = try !Waker.sleep([watch.fd], until: Clocks.monotonic + CheckWatch.pause)[0]
            }
            try body()
        }
    }
}
