// What this is: a child process seen to its end by a plain loop, for tests.
// Owns: the draining of both pipes until the end of both streams.
// Never: kills; that is what the tests are about.
// On failure: throws what the call threw.
// It waits on the child's descriptors and for nothing else.
import Glibc
import TestKit

@testable import LinuxSystem

struct Outcome {
    var exit: ChildProcess.Exit
    var output: [UInt8] = []
    var error: [UInt8] = []
    var text: String { String(decoding: output, as: UTF8.self) }
    var lines: [String] { text.split(separator: "\n").map(String.init) }
}

func start(_ script: String, environment: [String] = ["PATH=/usr/bin:/bin"], in directory: Directory? = nil)
    throws -> ChildProcess
{
    try ChildProcess.start(
        path: "/bin/sh", arguments: ["sh", "-c", script], environment: environment, directory: directory)
}

/// Everything that is in the pipe now; true at its end.
func drain(_ fd: Int32?, into bytes: inout [UInt8]) -> Bool {
    guard let fd else { return true }
    var piece = [UInt8](repeating: 0, count: 65_536)
    while true {
        switch piece.withUnsafeMutableBytes({ PipeCalls.read(fd, into: $0) }) {
        case .bytes(let count): bytes += piece[..<count]
        case .nothing: return false
        case .end: return true
        }
    }
}

/// Reads both streams to their end, then reaps.
func finish(_ child: ChildProcess, input: [UInt8] = []) throws -> Outcome {
    var outcome = Outcome(exit: .init(code: -1, wasKilled: false))
    var sent = 0
    while child.output != nil || child.error != nil {
        if let fd = child.input {
            while sent < input.count {
                guard let count = PipeCalls.write(fd, input[sent...]) else { sent = input.count; break }
                if count == 0 { break }
                sent += count
            }
            if sent == input.count { child.closeInput() }
        }
        if drain(child.output, into: &outcome.output) { child.closeOutput() }
        if drain(child.error, into: &outcome.error) { child.closeError() }
        guard child.output != nil || child.error != nil else { break }
        // Without the pidfd: it stays readable after the end, while a grandchild may still hold a pipe.
        var polls = [child.output, child.error].compactMap { $0 }.map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        if sent < input.count, let fd = child.input {
            polls.append(pollfd(fd: fd, events: Int16(POLLOUT), revents: 0))
        }
        _ = poll(&polls, nfds_t(polls.count), -1)
    }
    outcome.exit = try child.reap()
    return outcome
}

/// Reads one line, waiting for it.
func line(of child: ChildProcess) throws -> String {
    var bytes: [UInt8] = []
    while !bytes.contains(10) {
        guard !drain(child.output, into: &bytes), let fd = child.output else { break }
        var polls = [pollfd(fd: fd, events: Int16(POLLIN), revents: 0)]
        if !bytes.contains(10) { _ = poll(&polls, 1, -1) }
    }
    return String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self)
}
