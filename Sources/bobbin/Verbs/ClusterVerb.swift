// What this is: cluster FILE…: the kinds of messages in any text file, one message a line. It needs no site.
// Owns: the two forms of its answer, and the file without a name that holds each line's leaf until all are read.
// Never: holds the messages, or anything else that grows with the number of lines.
// On failure: 74 with the file that cannot be read or written; what follows it is not read.
import ArgumentParser
import JobModel
import LinuxSystem
import Reporting

struct ClusterVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster", abstract: "Group the lines of text files by what they say.",
        discussion: """
              bobbin cluster app.log | jq -r .template | sort | uniq -c | sort -rn
              journalctl -o cat | bobbin cluster - --summary
            Prints one JSON object a line, in the order of the input: {"line":1,"cluster":"c1","template":"…"}; with several
            files it has "file" too. What differs between messages of a kind is <*> in their template: numbers, ids, paths,
            hosts, times, quoted text, and words that are seen to change. Nothing is to be set up (docs/REPORTS.md).
            """)
    @Argument(help: "Text files; - is standard input.") var files: [String]
    @Flag(help: "Print JSON, one object a line; this is the default.") var json = false
    @Flag(help: "Print how many lines each cluster has, the largest first.") var summary = false

    func validate() throws {
        if json && summary { throw ValidationError("--json or --summary, not both") }
    }

    func run() throws {
        do {
            var lines = try ClusteredLines()
            for file in files { try lines.read(file) }
            try lines.spill()
            try summary ? lines.printSummary() : lines.printLines(naming: files.count > 1)
        } catch let error as SystemError {
            Terminal.complain(
                "bobbin: \(error) [E-FILE]\n  Four bytes a line are kept in a file below $TMPDIR (else /var/tmp) while it reads."
            )
            throw ExitCode(Exit.inputOutput)
        }
    }
}

private struct ClusteredLines {
    private var tree = TemplateTree()
    private var files: [(path: String, lines: Int)] = []
    private let leaves: OpenFile
    private var pending: [TemplateTree.Leaf] = []
    private static let batch = 65_536

    init() throws {
        leaves = try OpenFile.nameless(in: Host.environment("TMPDIR") ?? "/var/tmp")
        pending.reserveCapacity(ClusteredLines.batch)
    }

    mutating func read(_ path: String) throws {
        var count = 0
        try LineReader(path).forEach { line in
            pending.append(tree.add(line))
            count += 1
            if pending.count == ClusteredLines.batch { try spill() }
        }
        files.append((path, count))
    }
    mutating func spill() throws {
        let batch = pending
        pending.removeAll(keepingCapacity: true)
        try batch.withUnsafeBytes { try leaves.append($0) }
    }

    /// Gives every line's leaf, in order.
    private func forEachLeaf(_ body: (Int) throws -> Void) throws {
        var offset = 0
        var batch = [TemplateTree.Leaf](repeating: 0, count: ClusteredLines.batch)
        let size = MemoryLayout<TemplateTree.Leaf>.size
        while true {
            var got = 0
            try batch.withUnsafeMutableBytes { buffer in
                while got < buffer.count {
                    let count = try leaves.read(
                        into: UnsafeMutableRawBufferPointer(rebasing: buffer[got...]), from: offset + got)
                    guard count > 0 else { break }
                    got += count
                }
            }
            guard got > 0 else { return }
            for leaf in batch[..<(got / size)] { try body(Int(leaf)) }
            offset += got
        }
    }

    func printLines(naming: Bool) throws {
        var numbers: [String: Int] = [:]
        // What follows the line's number, for every leaf that is met.
        var endings = [[UInt8]?](repeating: nil, count: tree.count)
        var out: [UInt8] = []
        var file = 0, line = 0
        try forEachLeaf { leaf in
            while line == files[file].lines {
                file += 1
                line = 0
            }
            line += 1
            let ending: [UInt8]
            if let known = endings[leaf] {
                ending = known
            } else {
                let template = tree.template(of: TemplateTree.Leaf(leaf))
                let number = numbers[template] ?? numbers.count + 1
                numbers[template] = number
                ending = Array(
                    ",\"cluster\":\"c\(number)\",\"template\":\(JSONText.write(.string(template)))}\n".utf8)
                endings[leaf] = ending
            }
            if naming {
                out += Array("{\"file\":\(JSONText.write(.string(files[file].path))),\"line\":".utf8)
            } else {
                out += "{\"line\":".utf8
            }
            out += String(line).utf8
            out += ending
            if out.count > 1 << 16 { try ClusteredLines.flush(&out) }
        }
        try ClusteredLines.flush(&out)
    }

    func printSummary() throws {
        var counts = [Int](repeating: 0, count: tree.count)
        try forEachLeaf { counts[$0] += 1 }
        var totals: [String: (count: Int, first: Int)] = [:]
        for (leaf, count) in counts.enumerated() where count > 0 {
            let template = tree.template(of: TemplateTree.Leaf(leaf))
            let known = totals[template] ?? (0, leaf)
            totals[template] = (known.count + count, known.first)
        }
        let sorted = totals.sorted { ($1.value.count, $0.value.first) < ($0.value.count, $1.value.first) }
        let width = sorted.first.map { String($0.value.count).count } ?? 1
        var out: [UInt8] = []
        for (template, total) in sorted {
            let number = String(total.count)
            out += (String(repeating: " ", count: width - number.count) + number + "  ").utf8
            out += (Terminal.escape(template) + "\n").utf8
        }
        try ClusteredLines.flush(&out)
    }

    private static func flush(_ out: inout [UInt8]) throws {
        try out.withUnsafeBytes { try StandardOutput.append($0) }
        out.removeAll(keepingCapacity: true)
    }
}
