// What this is: waiting for the file with which a runner answers what a verb has written.
// Owns: the watch, the 30 seconds; a look of its own every second, since hints may be lost.
// Never: takes an answer that was there before the verb wrote anything.
// On failure: SystemError; nil when nobody answered in time.
import BobbinDaemon
import LinuxSystem
import YamlText

struct AnswerWaiter {
    private let directory: Directory
    private let watch: DirectoryWatch
    private let before: Set<String>

    /// Before the question is written.
    init(_ directory: Directory) throws {
        self.directory = directory
        watch = try DirectoryWatch()
        try watch.add(directory, tag: 1)
        before = Set(try directory.names())
    }

    /// The first new file with this ending.
    func wait(for ending: String) throws -> YamlNode? {
        let deadline = Clocks.monotonic + 30_000_000_000
        while Clocks.monotonic < deadline {
            for file in try directory.names()
            where file.hasSuffix(ending) && !before.contains(file) && !file.hasPrefix(".") {
                return try YamlReader.parse(directory.openForReading(file).read(upTo: 65_536))
            }
            _ = try Waker.sleep([watch.fd], until: min(deadline, Clocks.monotonic + 1_000_000_000))
            _ = try watch.drain()
        }
        return nil
    }
}
