// What this is: facts of the machine, and the search for processes that carry a mark.
// Owns: killAll by mark wherever a process went, start times, program look-up, clocks.
// Never: kills a process that this test did not start: each mark is fresh.
// On failure: what was found is in the message.
// The end of a killed process is seen by the end of the pipe it held.
import Foundation
import Glibc
import TestKit
import Testing

@testable import LinuxSystem

@Suite struct HostTests {
    @Test func theMarkFindsWhatLeftItsGroup() throws {
        let mark = "BOBBIN_TEST_MARK=" + UUID().uuidString
        let other = try start(
            "echo ready; read line", environment: ["PATH=/usr/bin:/bin", mark + "x", "B=" + mark])
        #expect(try line(of: other) == "ready")
        let child = try start(
            "setsid sleep 1000 & setsid sh -c 'echo ready; exec sleep 1000' & wait",
            environment: ["PATH=/usr/bin:/bin", mark])
        #expect(try line(of: child) == "ready")
        let killed = Host.killAll(marked: [mark])
        #expect(killed >= 3)
        #expect(try finish(child).exit == .init(code: SIGKILL, wasKilled: true))
        #expect(!other.hasEnded, "a longer value and another name are other marks")
        other.closeInput()
        #expect(try finish(other).exit.wasKilled == false)
        #expect(Host.killAll(marked: [mark]) == 0)
    }
    /// While a program replaces itself it has no environment for a moment.
    @Test func theMarkFindsWhatKeepsReplacingItself() throws {
        let folder = try Folder()
        try folder.put("again", "#!/bin/sh\necho up\nexec \"$0\"\n", mode: 0o755)
        for _ in 0..<25 {
            let mark = "BOBBIN_TEST_MARK=" + UUID().uuidString
            let children = try (0..<6).map { _ -> ChildProcess in
                while true {
                    do throws(SystemError) {
                        return try ChildProcess.start(
                            path: folder.path + "/again", arguments: ["again"],
                            environment: ["PATH=/usr/bin:/bin", mark], directory: nil)
                    } catch {
                        // A child that another test is just starting holds the new file open until its exec.
                        guard error.errno == ETXTBSY else { throw error }
                    }
                }
            }
            for child in children { #expect(try line(of: child) == "up") }
            #expect(Host.killAll(marked: [mark]) >= 6)
            for child in children {
                // One that was not found must not hold the suite up.
                child.signalGroup(SIGKILL)
                _ = try finish(child)
            }
        }
    }
    @Test func startTimesTellProcessesApart() throws {
        let ours = try #require(Host.startTicks(getpid()))
        let child = try start("read line")
        #expect(try #require(Host.startTicks(child.pid)) >= ours)
        _ = try finish(child)
        #expect(Host.startTicks(child.pid) == nil)
        #expect(Host.bootID.count == 36 && Host.bootID != "unknown" && !Host.name.isEmpty)
    }
    @Test func aNameWithParenthesesDoesNotConfuseTheFields() throws {
        let folder = try Folder()
        try FileManager.default.copyItem(atPath: "/bin/cat", toPath: folder.path + "/a) 1 (b")
        let child = try ChildProcess.start(
            path: folder.path + "/a) 1 (b", arguments: ["x"], environment: [], directory: nil)
        #expect(try #require(Host.startTicks(child.pid)) >= #require(Host.startTicks(getpid())))
        _ = try finish(child)
    }
    @Test func programsAreLookedUp() throws {
        let folder = try Folder()
        try folder.put("tool", "#!/bin/sh\n", mode: 0o755)
        try folder.put("data", "", mode: 0o644)
        #expect(Host.program("tool", path: "/nonexistent:\(folder.path):/bin") == folder.path + "/tool")
        #expect(
            Host.program("data", path: folder.path) == nil && Host.program("none", path: folder.path) == nil)
        #expect(Host.program("/x/y", path: "") == "/x/y" && Host.program("./y", path: "/bin") == "./y")
        #expect(Host.program("tool", path: "") == nil && Host.program("tool", path: "::") == nil)
    }
    @Test func aDirectoryIsNoProgram() throws {
        let folder = try Folder()
        _ = try folder.folder("first/tool")
        _ = try folder.folder("second")
        try folder.put("second/tool", "#!/bin/sh\n", mode: 0o755)
        #expect(
            Host.program("tool", path: folder.path + "/first:" + folder.path + "/second") == folder.path
                + "/second/tool")
    }
    @Test func accounts() {
        #expect(Host.userName(0) == "root" && Host.userName(4_000_000_123) == "4000000123")
    }
    @Test func directoriesAreMadeAsDeepAsAsked() throws {
        let folder = try Folder()
        try Host.makeDirectories(folder.path + "/a/b//c/")
        try Host.makeDirectories(folder.path + "/a/b/c")
        #expect(Host.exists(folder.path + "/a/b/c") && !Host.exists(folder.path + "/a/c"))
        #expect(Host.realPath(folder.path + "/a/../a/b") == RealPathOracle.of(folder.path + "/a/b"))
        try folder.put("plain", "")
        #expect(failure { try Host.makeDirectories(folder.path + "/plain/x") }?.errno == ENOTDIR)
    }
    private enum RealPathOracle {
        static func of(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path }
    }

    @Test func clocksAgreeWithFoundation() {
        #expect(abs(Double(Clocks.wall) / 1e9 - Date().timeIntervalSince1970) < 60)
        let first = Clocks.monotonic
        #expect(Clocks.monotonic >= first)
        let instant: Int64 = 1_700_000_000
        #expect(
            Clocks.zoneOffset(atSeconds: instant)
                == TimeZone.current.secondsFromGMT(for: Date(timeIntervalSince1970: 1_700_000_000)))
        #expect((0..<1000).allSatisfy { _ in (0..<1).contains(Clocks.randomShare()) })
        #expect(Set((0..<100).map { _ in Clocks.randomBits().1 }).count == 100)
    }
    @Test func signalNames() {
        #expect(
            Host.signalName(SIGKILL) == "SIGKILL" && Host.signalName(SIGTERM) == "SIGTERM"
                && Host.signalName(42) == "signal 42")
    }
    @Test func errnosInGroups() {
        let groups: [(Int32, FileTrouble)] = [
            (ENOENT, .missing), (EACCES, .access), (EROFS, .readOnly), (EEXIST, .existing), (EISDIR, .kind),
            (ELOOP, .kind),
            (ENAMETOOLONG, .name), (ENOSPC, .full), (EDQUOT, .full), (EMFILE, .exhausted), (EIO, .other),
        ]
        for (code, group) in groups {
            #expect(SystemError("x", "", errno: code).fileTrouble == group, "\(code)")
        }
        #expect(SystemError("x", "", errno: EDQUOT).isFull && !SystemError("x", "", errno: EIO).isFull)
        #expect(SystemError("sync", "", errno: 4095).description.contains("errno 4095"))
    }
}

@Suite struct ZerosTests {
    @Test func theEndOfZerosIsThatOfALookAtEachByte() {
        var random = SystemRandomNumberGenerator()
        for count in [0, 1, 7, 8, 9, 31, 64, 1000] {
            for _ in 0..<40 {
                var bytes = [UInt8](repeating: 0, count: count)
                if count > 0, Bool.random(using: &random) {
                    bytes[Int.random(in: 0..<count, using: &random)] = UInt8.random(
                        in: 1...255, using: &random)
                }
                for start in [0, 1, 5, 8, count - 1, count, count + 3] where start >= 0 {
                    let wanted = bytes.indices.first { $0 >= start && bytes[$0] != 0 } ?? bytes.count
                    #expect(Zeros.end(in: bytes, from: start) == wanted, "\(bytes) from \(start)")
                }
            }
        }
    }
}
