// What this is: threads of our own and the monitor they wait on; wakers and the signal inbox.
// Owns: that no change is missed, that deadlines end a wait, that a waker is level and clears.
// Never: waits longer than a deadline that has already passed.
// On failure: the count is in the message.
// A wait that could hang runs in a process of its own under an alarm.
import Glibc
import TestKit
import Testing

@testable import LinuxSystem

@Suite struct ThreadsTests {
    @Test func everySignalReachesAWaiter() throws {
        let box = Monitor<[Int]>([])
        let taken = Counter()
        let threads = try (0..<4).map { _ in
            try BlockingThread.start("taker") {
                while true {
                    let item = box.wait { items -> Int? in items.isEmpty ? nil : items.removeLast() }
                    if item < 0 { return }
                    taken.increment()
                }
            }
        }
        for number in 0..<2000 { box.signal { $0.append(number) } }
        // Behind all others, because the last is taken first.
        box.broadcast { $0.insert(contentsOf: [-1, -1, -1, -1], at: 0) }
        for thread in threads { thread.join() }
        #expect(taken.count == 2000 && box.with { $0.isEmpty })
    }
    @Test func aDeadlineEndsAWait() {
        let box = Monitor(0)
        let before = Clocks.monotonic
        #expect(box.wait(until: before + 2_000_000) { _ in nil as Int? } == nil)
        #expect(Clocks.monotonic >= before + 2_000_000)
        #expect(box.wait(until: 0) { _ in nil as Int? } == nil, "a deadline of long ago")
        #expect(
            box.wait(until: 0) {
                $0 = 3; return $0
            } == 3, "what is there already needs no wait")
    }
    @Test func aDeadlineBeforeTheBeginningOfTimeEndsAWait() async {
        await #expect(processExitsWith: .exitCode(0)) {
            alarm(3)
            let box = Monitor(0)
            exit(box.wait(until: -1_500_000_000) { _ in nil as Int? } == nil ? 0 : 1)
        }
    }
    @Test func aWakeUpBeforeTheDeadlineIsHeard() throws {
        let box = Monitor(false)
        let thread = try BlockingThread.start("waker") { box.broadcast { $0 = true } }
        #expect(box.wait(until: Clocks.monotonic + 60_000_000_000) { $0 ? 1 : nil } == 1)
        thread.join()
    }
    @Test func aThrowingBodyLeavesTheLock() {
        let box = Monitor(1)
        #expect(throws: SystemError.self) { try box.with { _ in throw SystemError("x", "", errno: EIO) } }
        #expect(box.with { $0 } == 1)
    }
    @Test func aWakerStaysReadableUntilCleared() throws {
        let waker = try Waker(), quiet = try Waker()
        #expect(try Waker.sleep([waker.fd, quiet.fd], until: Clocks.monotonic) == [false, false])
        for _ in 0..<3 { waker.wake() }
        for _ in 0..<2 { #expect(try Waker.sleep([waker.fd, quiet.fd], until: nil) == [true, false]) }
        waker.clear()
        waker.clear()
        #expect(try Waker.sleep([waker.fd], until: Clocks.monotonic + 1_000_000) == [false])
    }
    @Test func threadsBearTheirNames() throws {
        let name = Monitor("")
        let thread = try BlockingThread.start("a name longer than fifteen bytes") {
            name.with { $0 = Host.firstLine("/proc/thread-self/comm") ?? "" }
        }
        thread.join()
        #expect(name.with { $0 } == "a name longer t")
    }
    @Test func signalsWaitInTheInbox() async {
        await #expect(processExitsWith: .exitCode(0)) {
            // Blocked in this thread alone, so it is sent to this thread alone.
            let inbox = try SignalInbox([SIGTERM, SIGUSR1])
            guard inbox.next() == nil else { exit(1) }
            pthread_kill(pthread_self(), SIGTERM)
            guard try Waker.sleep([inbox.fd], until: nil) == [true], inbox.next() == SIGTERM,
                inbox.next() == nil
            else { exit(2) }
            exit(0)
        }
    }
    @Test func descriptorsBelowThreeExistAfterPreparing() async {
        await #expect(processExitsWith: .exitCode(0)) {
            for fd in [Int32(0), 1, 2] { close(fd) }
            ProcessSetup.prepare()
            for fd in [Int32(0), 1, 2] where fcntl(fd, F_GETFD) < 0 { exit(1) }
            exit(try Directory.open("/").fd > 2 ? 0 : 2)
        }
    }
    @Test func countersCount() throws {
        let counter = Counter()
        let threads = try (0..<4).map { _ in
            try BlockingThread.start("count") { for _ in 0..<1000 { counter.increment() } }
        }
        for thread in threads { thread.join() }
        counter.add(-1000)
        #expect(counter.count == 3000)
    }
}
