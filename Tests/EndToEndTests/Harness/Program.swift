// What this is: the built program as a caller outside sees it: where it is, and one call of a verb to its end.
// Owns: finding the binary, the clean environment that every process of the suite gets, collecting output.
// Never: imports the program's own code, or lets a call outlive its deadline.
// On failure: no binary is a trap with the way out; a call that hangs is killed and throws.
import Glibc
import LinuxSystem

/// What went wrong outside the thing that is tested.
struct Trouble: Error, CustomStringConvertible {
    var description: String
    init(_ text: String) { description = text }
}

/// One finished call.
struct Outcome {
    var code: Int32
    var out: String
    var err: String
    var both: String { out + err }
}

enum Program {
    /// `$BOBBIN_BINARY`, else beside the test bundle, else the debug build of this repository.
    static let path: String = {
        if let named = Host.environment("BOBBIN_BINARY") { return named }
        let found = candidates.first { access($0, X_OK) == 0 }
        guard let found else {
            preconditionFailure("no `bobbin` in \(candidates): swift build, or set BOBBIN_BINARY")
        }
        return found
    }()

    private static var candidates: [String] {
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") }
        let starts = [bundle, Host.realPath("/proc/self/exe"), CommandLine.arguments.first].compactMap { $0 }
        return starts.map { parent($0) + "/bobbin" } + ["\(repository)/.build/debug/bobbin"]
    }
    /// The top of the tree, for what it ships.
    static let repository = parent(parent(parent(parent(#filePath))))
    private static func parent(_ path: String) -> String {
        path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
    }

    /// What every process of the suite gets, and nothing else of ours.
    static func environment(_ extra: [String: String] = [:]) -> [String] {
        var values = ["PATH": Host.environment("PATH") ?? "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"]
        values["HOME"] = Host.environment("HOME") ?? "/"
        values["TMPDIR"] = Host.environment("TMPDIR") ?? "/tmp"
        values["SWIFT_BACKTRACE"] = "enable=no"
        // Of ops/sanitize and ops/mutants, which must reach the program as well as the suite.
        for name in ["TSAN_OPTIONS", "MUTANT"] { values[name] = Host.environment(name) }
        values.merge(extra) { $1 }
        return values.map { "\($0)=\($1)" }
    }

    /// Whether a process with exactly these arguments is there.
    static func isRunning(_ arguments: [String]) -> Bool {
        let wanted: [UInt8] = arguments.flatMap { Array($0.utf8) + [UInt8(0)] }
        return Disk.names("/proc").contains {
            Int32($0) != nil && Disk.bytes("/proc/\($0)/cmdline") == wanted
        }
    }

    /// Runs any program to its end. `input` is its standard input.
    static func call(
        _ arguments: [String], path: String = path, environment: [String: String] = [:], input: String = "",
        in directory: String? = nil, within seconds: Int = 60
    ) throws -> Outcome {
        let child = try ChildProcess.start(
            path: path, arguments: [path] + arguments, environment: Program.environment(environment),
            directory: directory.map { try Directory.open($0) })
        if let fd = child.input { _ = PipeCalls.write(fd, Array(input.utf8)[...]) }
        child.closeInput()
        var (out, err): ([UInt8], [UInt8]) = ([], [])
        let deadline = Clocks.monotonic + Int64(seconds) * 1_000_000_000
        while !child.hasEnded || child.output != nil || child.error != nil {
            guard Clocks.monotonic < deadline else {
                child.signalGroup(SIGKILL)
                throw Trouble(
                    "`\(arguments.joined(separator: " "))` did not end within \(seconds) s: \(text(out)) \(text(err))"
                )
            }
            if collect(child.output, &out) { child.closeOutput() }
            if collect(child.error, &err) { child.closeError() }
            guard child.output != nil || child.error != nil || !child.hasEnded else { break }
            let open = [child.output, child.error].compactMap { $0 }
            _ = Signals.poll(open.isEmpty ? [child.pidfd] : open, until: deadline)
        }
        return Outcome(code: try child.reap().code, out: text(out), err: text(err))
    }

    /// True at the end of the stream.
    private static func collect(_ fd: Int32?, _ into: inout [UInt8]) -> Bool {
        guard let fd else { return false }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)
        defer { buffer.deallocate() }
        while true {
            switch PipeCalls.read(fd, into: buffer) {
            case .bytes(let count): into += buffer[..<count]
            case .nothing: return false
            case .end: return true
            }
        }
    }
    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
