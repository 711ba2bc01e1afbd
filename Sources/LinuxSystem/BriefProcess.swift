// What this is: a well-known tool asked one short question (secret-tool, ssh-keygen): started, fed, heard, ended.
// Owns: its time, the bound of its answer.
// Never: serves for steps (RunEngine's ProcessWatch does): nothing of it is logged, and nothing of it is a job's.
// On failure: SystemError of the spawn; a tool that takes too long is killed, and its exit says so.

public enum BriefProcess {
    public struct Answer: Sendable {
        public var exit: ChildProcess.Exit
        public var output: [UInt8]
        public var error: [UInt8]
        public var isLate: Bool
        public var isGood: Bool { exit.code == 0 && !exit.wasKilled && !isLate }
    }

    /// `files`: what it finds under `MemoryFile.path(inChild:)`. `environment`: names of our own variables that are passed on. Nil where the program is not to be found.
    public static func ask(
        _ arguments: [String], input: [UInt8] = [], files: [MemoryFile] = [],
        passing environment: [String] = [], limit: Int = 1 << 17,
        patience seconds: Int = 5
    ) throws(SystemError) -> Answer? {
        let path = Host.environment("PATH") ?? "/usr/local/bin:/usr/bin:/bin"
        guard let name = arguments.first, let program = Host.program(name, path: path) else { return nil }
        var variables = ["PATH=\(path)", "LC_ALL=C.UTF-8"]
        for name in environment {
            if let value = Host.environment(name) { variables.append("\(name)=\(value)") }
        }
        let child = try ChildProcess.start(
            path: program, arguments: arguments, environment: variables, directory: nil,
            hasInput: !input.isEmpty,
            inherited: files)
        return try hear(child, input, limit, until: Clocks.monotonic + Int64(seconds) * 1_000_000_000)
    }

    private static func hear(_ child: ChildProcess, _ input: [UInt8], _ limit: Int, until end: Int64)
        throws(SystemError) -> Answer
    {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16_384, alignment: 16)
        defer {
            SecretBytes.wipe(buffer)
            buffer.deallocate()
        }
        var output: [UInt8] = [], error: [UInt8] = []
        var sent = 0, isLate = false
        let drain = {
            for (fd, isError) in [(child.output, false), (child.error, true)] {
                guard let fd else { continue }
                reading: while true {
                    switch PipeCalls.read(fd, into: buffer) {
                    case .bytes(let count):
                        let room = max(0, limit - (isError ? error.count : output.count))
                        let bytes = buffer.prefix(min(count, room))
                        if isError { error += bytes } else { output += bytes }
                    case .nothing: break reading
                    case .end:
                        if isError { child.closeError() } else { child.closeOutput() }
                        break reading
                    }
                }
            }
        }
        while !child.hasEnded {
            if sent < input.count, let fd = child.input {
                guard let count = PipeCalls.write(fd, input[sent...]) else {
                    sent = input.count
                    continue
                }
                sent += count
            }
            if sent >= input.count { child.closeInput() }
            drain()
            if Clocks.monotonic >= end {
                isLate = true
                child.signalGroup(9)
            }
            child.sleep(
                wakenBy: -1, wantsToWrite: sent < input.count,
                until: isLate ? Clocks.monotonic + 1_000_000_000 : end)
        }
        child.signalGroup(9)
        drain()
        return Answer(exit: try child.reap(), output: output, error: error, isLate: isLate)
    }
}
