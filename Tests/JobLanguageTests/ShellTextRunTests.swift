// What this is: shell texts run by the real /bin/sh (and bash, where it is installed) with hostile values.
// Owns: the proof that a value arrives as exactly itself in every context and has no effect of its own.
// Never: runs anything but printf, cat and the shell, in an empty directory of its own.
// On failure: the value and the context that differ are named.
import Glibc
import JobModel
import Testing

@testable import JobLanguage

@Suite struct ShellTextRunTests {
    static let nasty = [
        "; touch pwned", "$(touch pwned)", "`touch pwned`", "'; touch pwned; '", "\"; touch pwned; \"",
        "\n touch pwned\n", "*", "?",
        "-n", "--", "-e \\n", "~", "$HOME", "${HOME}", "\\", "\\\\", "'", "\"", "a  b\tc", "", " ", "\n", "E",
        "\nE\n", "&& touch pwned",
        "| touch pwned", "> pwned", "#", "!!", "{a,b}", "[a-z]", "é 漢 \u{1F600}", "\r\n", "\u{1}\u{7F}",
        "a[$(touch pwned)]",
        "$((1+1))", "%s%n", "{{ n }}", "'\"${BOBBIN_VALUE_1}\"'", "\\'", "\\\"", "EOF\n", "$'\\n'",
        "\u{1B}[31m",
    ]
    /// Each prints the value and a NUL; a dot guards newlines that a substitution would drop.
    static let contexts = [
        "printf '%s\\0' @", "printf '%s\\0' \"@\"", "printf '%s\\0' '@'", "printf '%s\\0' a@b",
        "printf '%s\\0' \"a@b\"",
        "printf '%s\\0' 'a@b'", "printf '%s.\\0' \"$(printf '%s.' @)\"",
        "printf '%s.\\0' \"$(printf '%s.' \"@\")\"",
        "printf '%s.\\0' \"$(printf '%s.' '@')\"", "printf '%s.\\0' \"`printf '%s.' @`\"",
        "printf '%s.\\0' \"`printf '%s.' '@'`\"",
        "v=`printf '%s.' \"@\"`; printf '%s.\\0' \"$v\"", "v=@; printf '%s\\0' \"$v\"",
        "( printf '%s\\0' @ ) # it's @",
        "cat <<E\n'\"@\nE\nprintf '\\0'", "case @ in @) printf '%s\\0' @;; esac",
        "for v in @; do printf '%s\\0' \"$v\"; done",
        "printf '%s.\\0' \"$(printf '%s.' \"$(printf '%s' '@'.)\")\"", "f() { printf '%s\\0' \"$1\"; }; f @",
        "set -- @ \"@\"; printf '%s\\0' \"$2\"", "printf '%s\\0' ${unset:-a}'@'",
        "[ @ = '@' ] && printf '%s\\0' @",
    ]

    static func expected(_ value: String, in context: String) -> String {
        if context.hasPrefix("cat") { return "'\"\(value)\n" }
        if context.contains("a@b") { return "a\(value)b" }
        if context.contains("${unset") { return "a\(value)" }
        if context.contains("'@'.)") { return "\(value)..." }
        return context.contains("%s.\\0") ? value + ".." : value
    }

    @Test(arguments: ["/bin/sh", "/bin/bash"])
    func hostileValuesArriveAsThemselves(shell: String) throws {
        try check(Self.nasty, shell, Self.contexts)
    }

    /// 2,000 random values in each context that needs no process of its own, 100 in the others.
    @Test func randomValuesArriveAsThemselves() throws {
        var random = Seeded(state: 11)
        let letters = Array(
            "'\"\\`$(){}[]<>|&;#*?~!=%-+/.,:@^_ \t\n\r ab01Eé漢\u{1F600}\u{1}\u{7F}".unicodeScalars)
        let values = (0..<2_000).map { _ in
            var text = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0...24, using: &random) {
                text.append(letters.randomElement(using: &random) ?? "x")
            }
            return String(text)
        }
        let flat = Self.contexts.filter {
            !$0.contains("$(") && !$0.contains("`") && !$0.hasPrefix("cat") && !$0.hasPrefix("(")
        }
        for start in stride(from: 0, to: values.count, by: 100) {
            try check(Array(values[start..<(start + 100)]), "/bin/sh", start == 0 ? Self.contexts : flat)
        }
    }

    /// Runs the contexts with all values in one shell and compares what it prints.
    private func check(_ values: [String], _ shell: String, _ contexts: [String]) throws {
        guard access(shell, X_OK) == 0 else { return }
        var scope = Sample.scope
        var text = ""
        var wanted: [(value: String, context: String)] = []
        for (number, value) in values.enumerated() {
            scope.variables["v\(number)"] = .string(value)
            for context in contexts {
                let hole = "{{ v\(number) }}"
                text +=
                    context.split(separator: "@", omittingEmptySubsequences: false).joined(separator: hole)
                    + "\n"
                wanted.append((value, context))
            }
        }
        let script = try ShellText.parse(text)
        let output = try Shell.run(shell, script.script, try script.bind(scope))
        let printed = output.split(separator: 0, omittingEmptySubsequences: false).dropLast()
        try #require(printed.count == wanted.count)
        for (bytes, row) in zip(printed, wanted)
        where !Self.expected(row.value, in: row.context).utf8.elementsEqual(bytes) {
            Issue.record(
                "\(row.value.debugDescription) in \(row.context): \(String(decoding: bytes, as: UTF8.self))")
        }
    }
}

/// One shell, started in a new directory that must still be empty when it ends.
enum Shell {
    struct Problem: Error { var what: String }

    static func run(_ shell: String, _ script: String, _ values: [(name: String, text: String)]) throws
        -> [UInt8]
    {
        var template = Array("/tmp/bobbin-shell-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Problem(what: "mkdtemp \(errno)") }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // A file, because the script is longer than one argument may be.
        try write("cd \(directory) || exit 9\n" + script, to: directory + ".sh")
        let status = try spawn([shell, directory + ".sh"], values, output: directory + ".out")
        let output = try contents(of: directory + ".out")
        guard status == 0 else { throw Problem(what: "\(shell) ended with \(status)") }
        // rmdir refuses a directory in which a value left something behind.
        guard unlink(directory + ".sh") == 0, unlink(directory + ".out") == 0, rmdir(directory) == 0 else {
            throw Problem(what: "a value had an effect in \(directory)")
        }
        return output
    }

    private static func spawn(
        _ arguments: [String], _ values: [(name: String, text: String)], output: String
    ) throws -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        let environment = ["PATH=/usr/bin:/bin"] + values.map { "\($0.name)=\($0.text)" }
        let argumentPointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        let environmentPointers: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
        defer { for pointer in argumentPointers + environmentPointers { free(pointer) } }
        var child: pid_t = 0
        let problem = posix_spawn(&child, arguments[0], &actions, nil, argumentPointers, environmentPointers)
        guard problem == 0 else { throw Problem(what: "posix_spawn \(problem)") }
        var status: Int32 = 0
        guard waitpid(child, &status, 0) == child else { throw Problem(what: "waitpid \(errno)") }
        return status
    }

    private static func contents(of path: String) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Problem(what: "open \(errno)") }
        defer { close(descriptor) }
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = read(descriptor, &buffer, buffer.count), count > 0 { all += buffer[..<count] }
        return all
    }

    private static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Problem(what: "open \(errno)") }
        defer { close(descriptor) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Problem(what: "write \(errno)") }
            rest = rest.dropFirst(count)
        }
    }
}
