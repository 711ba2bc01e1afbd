// What this is: the rows of the bad-input table: each file that is no job, and the answer to it.
// Owns: how each is made, its code, line and column.
// Never: asks for a message's exact words.
// On failure: a row that cannot be made throws.
import Glibc

/// A file that is no job, and the answer to it.
struct BadDrop: Sendable {
    var name: String
    var code: String
    var line: Int?
    var column: Int?
    var says: String = ""
    /// Makes it in the directory.
    var make: @Sendable (_ site: TestSite, _ directory: String) throws -> Void

    /// A bad text, moved in.
    static func text(
        _ name: String, _ code: String, _ line: Int?, _ column: Int?, says: String = "", _ text: String
    ) -> BadDrop {
        bytes(name, code, line, column, says: says, Array(text.utf8))
    }
    static func bytes(
        _ name: String, _ code: String, _ line: Int?, _ column: Int?, says: String = "", _ bytes: [UInt8]
    ) -> BadDrop {
        BadDrop(name: name, code: code, line: line, column: column, says: says) { site, directory in
            try Disk.write(bytes, to: site.outside("bad"))
            try Disk.move(site.outside("bad"), to: "\(directory)/\(name)")
        }
    }
    /// A good text in a bad file.
    static func file(
        _ name: String, _ code: String,
        _ make: @escaping @Sendable (_ good: String, _ target: String) throws -> Void
    ) -> BadDrop {
        BadDrop(name: name, code: code) { site, directory in
            // A new inode for each row: some keep a second name of it.
            let good = site.outside("good\(Papers.escaped(name).count)-\(name.hashValue)")
            try Disk.write(job([site.effect("bad")]), to: good)
            try make(good, "\(directory)/\(name)")
        }
    }
    /// A good text under a bad name.
    static func named(_ name: String, _ code: String) -> BadDrop {
        file(name, code) { try Disk.move($0, to: $1) }
    }
}

private let head = "dsl_version: \"1.1\"\n"
private let bomb = head + "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nsteps: [{log: *c}]\n"

let badTexts: [BadDrop] = [
    .text("truncated.yaml", "E-YAML", 3, nil, head + "steps:\n  - log: \"cut of"),
    .bytes(
        "garbage.yaml", "E-YAML-ENCODING", 1, 1,
        (0..<400).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 201) } + [10]),
    .text("words.yaml", "E-TYPE", 1, 1, "this is no job at all\n"),
    .bytes(
        "utf16.yaml", "E-YAML-ENCODING", 1, 1, says: "UTF-16", [0xFF, 0xFE] + head.utf8.flatMap { [$0, 0] }),
    .text("nul.yaml", "E-YAML-ENCODING", 2, nil, head + "steps: \u{0}\n"),
    .text("tab.yaml", "E-YAML-TAB", 3, 1, says: "tab", head + "steps:\n\t- log: x\n"),
    .text("bomb.yaml", "E-YAML-ALIAS", 2, 4, bomb),
    .text(
        "deep.yaml", "E-YAML-DEPTH", 2, nil,
        head + "steps: " + String(repeating: "[", count: 80) + String(repeating: "]", count: 80) + "\n"),
    .text(
        "big.yaml", "E-SIZE", nil, nil,
        head + "steps: [{log: x}]\n" + String(repeating: "# filler line\n", count: 150_000)),
    .text("empty.yaml", "E-YAML-EMPTY", 1, 1, "\n"),
    .text(
        "step.yaml", "E-STEP-TYPE", 3, 5, says: "find_files",
        head + "steps:\n  - find_fils: {roots: [/tmp], query: \"*\"}\n"),
    .text("key.yaml", "E-KEY", 2, 1, says: "priority", head + "prioritty: 3\nsteps: [{log: x}]\n"),
    .text("type.yaml", "E-TYPE", 2, 11, head + "priority: high\nsteps: [{log: x}]\n"),
    .text(
        "two.yaml", "E-YAML-MULTIDOC", 3, 1, head + "steps: [{log: x}]\n---\n" + head + "steps: [{log: y}]\n"),
    .text("twice.yaml", "E-YAML-DUPLICATE", 3, 1, head + "name: a\nname: b\nsteps: [{log: x}]\n"),
    .text("version.yaml", "E-VERSION", 1, 14, "dsl_version: \"9\"\nsteps: [{log: x}]\n"),
    .text("nosteps.yaml", "E-STEPS", 1, 1, head),
    .text("template.yaml", "E-TEMPLATE", 1, 11, "template: nothing.yaml\n"),
    .text("variable.yaml", "E-UNDEFINED", 2, 19, says: "nobody", head + "steps: [{log: \"{{ nobody }}\"}]\n"),
    .text(
        "elsewhere.yaml", "E-QUEUE", nil, nil, says: "spool/background/p2",
        head + "queue: background\npriority: 2\nsteps: [{log: x}]\n"),
    .text("escape.yaml", "E-KEY", 2, 1, head + "\"a\\e[31mred\": 1\nsteps: [{log: x}]\n"),
]

let badFiles: [BadDrop] = [
    .file("symlink.yaml", "E-TYPE") { try Disk.check("symlink", $1, symlink($0, $1)) },
    .file("dangling.yaml", "E-TYPE") { try Disk.check("symlink", $1, symlink($0 + ".nowhere", $1)) },
    .file("fifo.yaml", "E-TYPE") { try Disk.check("mkfifo", $1, mkfifo($1, 0o644)) },
    .file("hard.yaml", "E-LINK") { try Disk.check("link", $1, link($0, $1)) },
    .file("unreadable.yaml", "E-PERM") {
        try Disk.check("chmod", $0, chmod($0, 0)); try Disk.move($0, to: $1)
    },
    .file("group.yaml", "E-OWN") {
        try Disk.check("chmod", $0, chmod($0, 0o664)); try Disk.move($0, to: $1)
    },
    .file("world.yaml", "E-OWN") {
        try Disk.check("chmod", $0, chmod($0, 0o646)); try Disk.move($0, to: $1)
    },
    .file("sparse.yaml", "E-SIZE") {
        try Disk.check("truncate", $0, truncate($0, 4 << 40)); try Disk.move($0, to: $1)
    },
    .named("new\nline.yaml", "E-NAME"),
    .named("esc\u{1B}[31m.yaml", "E-NAME"),
    .named("-rf.yaml", "E-NAME"),
    .named("a b.yaml", "E-NAME"),
    .named("right\u{202E}left.yaml", "E-NAME"),
    .named(String(repeating: "n", count: 200) + ".yaml", "E-NAME"),
    .named("01KAJ0000000000000000000AA~old.result.yaml", "E-NOT-A-JOB"),
    .named("01KAJ0000000000000000000AB~old.yaml.reason.yaml", "E-NOT-A-JOB"),
    .named("notes.txt", "E-NOT-A-JOB"),
    .file("cut.yaml", "E-ARR-INCOMPLETE") { good, target in
        var bytes = Disk.bytes(good) ?? []
        bytes.removeLast()
        try Disk.write(bytes, to: target)
    },
    .file("nothing.yaml", "E-ARR-INCOMPLETE") { try Disk.write("", to: $1) },
]
