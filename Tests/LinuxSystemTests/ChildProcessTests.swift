// What this is: programs that are started, fed, read, signalled and reaped.
// Owns: what a child inherits (nothing), how each way of failing shows, and that no process is left behind.
// Never: measures time.
// On failure: what the child said is in the message.
// Where SIGCHLD or all children of the process matter, the test runs in a process of its own.
import Foundation
import Glibc
import TestKit
import Testing

@testable import LinuxSystem

@Suite struct ChildProcessTests {
    init() { signal(SIGPIPE, SIG_IGN) }

    @Test(arguments: [0, 1, 127, 255]) func exitCodes(code: Int32) throws {
        #expect(try finish(start("exit \(code)")).exit == .init(code: code, wasKilled: false))
    }
    @Test(arguments: [SIGKILL, SIGTERM, SIGABRT, SIGHUP]) func signals(number: Int32) throws {
        #expect(
            try finish(start("kill -\(number) $$; sleep 1000")).exit == .init(code: number, wasKilled: true))
    }
    @Test func argumentsAndEnvironmentAreExact() throws {
        let arguments = ["env", "-u", "", "A B", "$HOME", "new\nline", "日本"]
        let child = try ChildProcess.start(
            path: "/usr/bin/printf", arguments: ["printf", "%s|"] + arguments, environment: ["X=1"],
            directory: nil)
        #expect(try finish(child).text == arguments.joined(separator: "|") + "|")
        let other = try ChildProcess.start(
            path: "/usr/bin/env", arguments: ["env"], environment: ["X=1", "Y=a b", "Z="], directory: nil)
        #expect(try finish(other).lines == ["X=1", "Y=a b", "Z="])
    }
    /// The kernel gives a child to another thread when the one that started it ends; it stays its ChildProcess's.
    @Test func aChildOutlivesTheThreadThatStartedIt() async {
        await #expect(processExitsWith: .exitCode(0)) {
            ProcessSetup.becomeSubreaper()
            let started = Monitor<[ChildProcess]>([])
            for _ in 0..<20 {
                try BlockingThread.start("starter") {
                    // A failure shows as a child that is missing below.
                    guard let child = try? start("exit 7") else { return }
                    started.with { $0.append(child) }
                }.join()
            }
            let children = started.with { $0 }
            guard children.count == 20 else { exit(1) }
            for child in children {
                while !child.hasEnded { child.sleep(wakenBy: -1, wantsToWrite: false, until: nil) }
                Orphans.reap()
                guard try child.reap() == .init(code: 7, wasKilled: false) else { exit(2) }
            }
            exit(0)
        }
    }
    /// A child of some library is collected by an adopter alone: whoever adopts nobody leaves it to who started it.
    @Test(arguments: [false, true]) func whoIsNoSubreaperCollectsNobody(isSubreaper: Bool) async {
        await #expect(processExitsWith: .exitCode(0)) { [isSubreaper = isSubreaper as Bool] in
            if isSubreaper { ProcessSetup.becomeSubreaper() }
            let started = Monitor<[pid_t]>([])
            try BlockingThread.start("starter") {
                var pid: pid_t = 0
                var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("true"), nil]
                guard posix_spawn(&pid, "/bin/true", nil, nil, &arguments, nil) == 0 else { return }
                started.with { $0.append(pid) }
            }.join()
            guard let pid = started.with({ $0.first }) else { exit(1) }
            var info = siginfo_t()
            guard waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT) == 0 else { exit(2) }
            Orphans.reap()
            var status: Int32 = 0
            let collected = waitpid(pid, &status, 0)
            exit(collected == (isSubreaper ? -1 : pid) ? 0 : 3)
        }
    }
    @Test func itStandsWhereItWasTold() throws {
        let folder = try Folder()
        #expect(try finish(start("pwd", in: folder.directory)).lines == [RealPath.of(folder.path)])
        #expect(try finish(start("umask")).lines == ["0022"])
    }
    @Test func execFailuresAreTheSpawnsOwn() async throws {
        let folder = try Folder()
        try folder.put("plain", "#!/bin/sh\n")
        try folder.put("garbage", "no shebang, no program", mode: 0o755)
        try folder.put("lost", "#!/nonexistent/interpreter\n", mode: 0o755)
        let cases: [(String, Int32)] = [
            ("/nonexistent", ENOENT), (folder.path, EACCES), (folder.path + "/plain", EACCES),
            (folder.path + "/garbage", ENOEXEC),
            (folder.path + "/lost", ENOENT), (folder.path + "/plain/x", ENOTDIR),
        ]
        for (path, code) in cases {
            var error: SystemError?
            repeat {
                error = failure {
                    _ = try ChildProcess.start(path: path, arguments: ["x"], environment: [], directory: nil)
                }
                // A child of another test, on its way to exec, still holds the descriptor this was written by.
            } while error?.errno == ETXTBSY
            #expect(error?.call == "spawn" && error?.errno == code, "\(path): \(String(describing: error))")
        }
        #expect(
            failure {
                _ = try ChildProcess.start(
                    path: "/bin/true", arguments: ["x", String(repeating: "x", count: 4 << 20)],
                    environment: [], directory: nil)
            }?.errno == E2BIG)
    }
    @Test func noZombieAndNoDescriptorIsLeft() async {
        await #expect(processExitsWith: .exitCode(0)) {
            func descriptors() throws -> Int { try Directory.open("/proc/self/fd").names().count }
            let before = try descriptors()
            for number in 0..<40 {
                _ = try? ChildProcess.start(
                    path: "/nonexistent", arguments: ["x"], environment: [], directory: nil)
                let child = try start(number % 2 == 0 ? "true" : "kill -9 $$")
                _ = try finish(child)
            }
            var info = siginfo_t()
            guard waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1, errno == ECHILD else { exit(1) }
            // 40 rounds would leave 40; other threads of the process may have opened one or two.
            exit(try descriptors() < before + 10 ? 0 : 2)
        }
    }
    @Test func aMebibyteComesThroughWhole() throws {
        let outcome = try finish(start("head -c 1048576 /dev/zero | tr '\\0' x; echo done >&2"))
        #expect(outcome.output.count == 1 << 20 && outcome.output.allSatisfy { $0 == 0x78 })
        #expect(outcome.error == Array("done\n".utf8))
    }
    @Test func inputIsFedAndClosed() throws {
        let input = (0..<500_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(try finish(start("cat"), input: input).output == input)
        #expect(try finish(start("cat; echo end")).lines == ["end"], "a closed input is an end, not a wait")
        let deaf = try start("exec 0<&-; echo ready; exit 3")
        #expect(try finish(deaf, input: input).exit.code == 3)
    }
    @Test func theChildHasThreeDescriptors() throws {
        let folder = try Folder()
        // Descriptors that are not close-on-exec, as a careless library would leave them.
        let leaked = (0..<5).map { _ in open(folder.path, O_RDONLY | O_DIRECTORY) }
        defer { for fd in leaked { close(fd) } }
        let script =
            "i=0; while [ $i -lt 300 ]; do if [ -e /proc/$$/fd/$i ]; then echo $i; fi; i=$((i+1)); done"
        #expect(try finish(start(script)).lines == ["0", "1", "2"])
    }
    @Test func signalsAreAsTheyWereBorn() async {
        await #expect(processExitsWith: .exitCode(0)) {
            for number in [SIGPIPE, SIGIO, SIGHUP, SIGUSR1] { signal(number, SIG_IGN) }
            signal(SIGUSR2) { _ in }
            var all = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_SETMASK, &all, nil)
            let child = try ChildProcess.start(
                path: "/bin/cat", arguments: ["cat", "/proc/self/status"], environment: [], directory: nil)
            let lines = try finish(child).lines
            for key in ["SigBlk", "SigIgn", "SigCgt"] {
                guard let line = lines.first(where: { $0.hasPrefix(key) }),
                    let mask = UInt64(line.suffix(16), radix: 16)
                else { exit(1) }
                // 32 and 33 are the C library's own, and none of our business.
                if mask & ~0x1_8000_0000 != 0 { exit(2) }
            }
            exit(0)
        }
    }
    @Test func theGroupDiesWithItsGrandchildren() throws {
        let child = try start(
            "sleep 1000 & (sleep 1000; true) & echo ready; trap '' TERM; while true; do wait; done")
        #expect(try line(of: child) == "ready")
        #expect(!child.hasEnded)
        child.signalGroup(SIGKILL)
        // The end of the streams is the end of the last process that held them.
        #expect(try finish(child).exit == .init(code: SIGKILL, wasKilled: true))
    }
    @Test func itLeadsASessionOfItsOwn() throws {
        let child = try start("echo $$ $(ps -o sid=,pgid= -p $$)")
        let numbers = try finish(child).text.split(whereSeparator: \.isWhitespace).map(String.init)
        #expect(numbers == [String](repeating: String(child.pid), count: 3))
    }
    @Test func theEndIsSeenWithoutReaping() throws {
        let child = try start("read line; exit 4")
        #expect(!child.hasEnded)
        child.closeInput()
        child.sleep(wakenBy: -1, wantsToWrite: false, until: nil)
        var sink: [UInt8] = []
        while !child.hasEnded {
            if drain(child.output, into: &sink) { child.closeOutput() }
            if drain(child.error, into: &sink) { child.closeError() }
            child.sleep(wakenBy: -1, wantsToWrite: false, until: nil)
        }
        #expect(child.hasEnded && child.hasEnded)
        child.signalGroup(SIGTERM)
        #expect(
            try child.reap() == .init(code: 4, wasKilled: false), "a signal after the end changes nothing")
        #expect(failure { _ = try child.reap() }?.errno == ECHILD)
    }
    @Test func aSleepEndsByDeadlineOrWaker() throws {
        let child = try start("read line")
        child.sleep(wakenBy: -1, wantsToWrite: false, until: Clocks.monotonic + 1_000_000)
        child.sleep(wakenBy: -1, wantsToWrite: false, until: Clocks.monotonic - 1_000_000_000)
        let waker = try Waker()
        waker.wake()
        child.sleep(wakenBy: waker.fd, wantsToWrite: false, until: nil)
        #expect(!child.hasEnded)
        _ = try finish(child)
    }
    @Test func whereSIGCHLDIsIgnoredAnEndIsStillSeen() async {
        await #expect(processExitsWith: .exitCode(0)) {
            // As inherited from a supervisor or from `trap '' CHLD`.
            signal(SIGCHLD, SIG_IGN)
            ProcessSetup.prepare()
            let child = try start("exit 0")
            var polls = [pollfd(fd: child.pidfd, events: Int16(POLLIN), revents: 0)]
            _ = poll(&polls, 1, -1)
            exit(child.hasEnded ? 0 : 1)
        }
    }
    @Test func spawningFromManyThreads() throws {
        let bad = Counter()
        let threads = try (0..<8).map { number in
            try BlockingThread.start("spawner") {
                for round in 0..<25 {
                    let text = "\(number)-\(round)"
                    guard let child = try? start("echo \(text)"), let outcome = try? finish(child),
                        outcome.text == text + "\n"
                    else {
                        bad.increment()
                        continue
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(bad.count == 0)
    }
}
