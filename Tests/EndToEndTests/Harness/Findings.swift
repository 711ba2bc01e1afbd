// What this is: where a drop is now, and what the files about it say.
// Owns: reading names and trees of done/ failed/ rejected/ parked/ claimed/ and the queues; waiting for them.
// Never: asks the program.
// On failure: throws what was waited for.
import LinuxSystem
import YamlText

/// One of the places where a drop can be.
enum Place: String, CaseIterable { case queue, inbox, claimed, parked, done, failed, rejected }

struct Found {
    var place: Place
    /// Its path.
    var path: String
    /// The run's id, or the sequence of a rejection.
    var id: String
}

/// A result or reason file.
struct Paper: CustomStringConvertible {
    var path: String
    var tree: YamlNode
    var run: String { self["run"] ?? "" }
    var state: String { self["state"] ?? "" }
    var code: String { self["error.code"] ?? self["code"] ?? "" }
    /// The text at a path like `steps.0.error.code`; nil where nothing is, or null.
    subscript(path: String) -> String? {
        guard let scalar = node(path)?.scalar, scalar.value != .null else { return nil }
        return scalar.text
    }
    func node(_ path: String) -> YamlNode? { tree.at(path) }
    var description: String { Disk.text(path) ?? path }
}

extension YamlNode {
    func at(_ path: String) -> YamlNode? {
        path.split(separator: ".").reduce(Optional(self)) { node, part in
            if let index = Int(part), let items = node?.items {
                return items.indices.contains(index) ? items[index] : nil
            }
            return node?[String(part)]
        }
    }
    func text(_ path: String) -> String? { at(path)?.scalar?.text }
}

enum Papers {
    private static let limits = YamlLimits(maxBytes: 64 << 20, maxNodes: 2_000_000, maxScalarBytes: 8 << 20)
    static func parse(_ text: String) throws -> YamlNode {
        try YamlReader.parse(Array(text.utf8), limits: limits)
    }
    static func read(_ path: String) throws -> Paper {
        guard let text = Disk.text(path) else { throw Trouble("\(path) cannot be read") }
        return Paper(path: path, tree: try parse(text))
    }
    /// Names inside our names: everything but the allow-list is %XX.
    static func escaped(_ name: String) -> String {
        String(pieces(name).joined().prefix(longest))
    }
    /// Long names are cut somewhere behind this; no two names of this suite are alike so far.
    static let longest = 100
    private static func pieces(_ name: String) -> [String] {
        name.unicodeScalars.map { scalar in
            let fits =
                scalar.isASCII
                ? scalar.properties.isAlphabetic || "0123456789._+@=-".unicodeScalars.contains(scalar)
                : scalar.properties.isAlphabetic && scalar != "\u{FFFD}"
            if fits { return String(scalar) }
            return String(scalar).utf8.map {
                "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true)
            }.joined()
        }
    }
}

extension TestSite {
    /// The drop directories of every queue.
    var lanes: [String] {
        let known: Set<String> = [
            ".bobbin", "inbox", "claimed", "parked", "done", "failed", "rejected", "runs", "approvals",
            "events",
            "control", "history", "log",
        ]
        return Disk.names(spool).filter { !known.contains($0) }.flatMap { queue in
            Disk.names("\(spool)/\(queue)").map { "\(spool)/\(queue)/\($0)" }
        }
    }
    func find(_ name: String, _ places: Set<Place> = Set(Place.allCases)) -> [Found] {
        let escaped = Papers.escaped(name)
        return places.flatMap { place -> [Found] in
            switch place {
            case .queue:
                lanes.flatMap { find(in: $0, place) { $0 == name || Papers.unprefixed($0) == escaped } }
            case .inbox: find(in: "\(spool)/inbox", place) { $0 == name }
            case .claimed, .parked, .done, .failed:
                Disk.names("\(spool)/\(place)").flatMap {
                    find(in: "\(spool)/\(place)/\($0)", place) { Papers.unprefixed($0) == escaped }
                }
            case .rejected: find(in: "\(spool)/\(place)", place) { Papers.unprefixed($0) == escaped }
            }
        }
    }
    private func find(in directory: String, _ place: Place, _ isWanted: (String) -> Bool) -> [Found] {
        Disk.names(directory).filter(isWanted).map {
            Found(place: place, path: "\(directory)/\($0)", id: String($0.prefix(26)))
        }
    }

    /// The results of all runs of a drop that have ended and are in order: the job file lies beside the result.
    func results(of name: String) throws -> [Paper] {
        try find(name, [.done, .failed]).sorted { $0.id < $1.id }.compactMap { found in
            let directory = found.path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
            guard
                let file = Disk.names(directory).first(where: {
                    $0.hasPrefix(found.id) && $0.hasSuffix(".result.yaml")
                })
            else { return nil }
            return try Papers.read("\(directory)/\(file)")
        }
    }

    // MARK: waiting

    var working: [Int32] { runners.filter { $0.code == nil }.map(\.pidfd) }
    func wait<Value>(
        _ what: String, in directories: [String], seconds: Int = Signals.patience, _ look: () throws -> Value?
    ) throws -> Value {
        try Signals.wait(what, in: directories, processes: working, seconds: seconds, look)
    }
    /// The result of the `number`-th run of this drop.
    @discardableResult
    func result(of name: String, run number: Int = 1) throws -> Paper {
        try wait("the result of \(name)", in: ["\(spool)/done/*", "\(spool)/failed/*"]) {
            let all = try results(of: name)
            return all.count >= number ? all[number - 1] : nil
        }
    }
    @discardableResult
    func reason(of name: String, seconds: Int = Signals.patience) throws -> Paper {
        let path = try wait("the rejection of \(name)", in: ["\(spool)/rejected"], seconds: seconds) {
            find(name, [.rejected]).map { $0.path + ".reason.yaml" }.first(where: Disk.exists)
        }
        return try Papers.read(path)
    }
    @discardableResult
    func parked(_ name: String, _ reason: String) throws -> Found {
        try wait("\(name) in parked/\(reason)", in: ["\(spool)/parked/*"]) {
            find(name, [.parked]).first { $0.path.contains("/parked/\(reason)/") }
        }
    }
    func waitForEffect(_ id: String, _ step: String, times: Int = 1) throws {
        try wait("\(times) x `\(id) \(step)`", in: [path]) { count(id, step) >= times ? () : nil }
    }
    @discardableResult
    func waitForLog(_ text: String) throws -> String {
        try wait("`\(text)` in the log", in: ["\(spool)/log"]) { Disk.lines(log).first { $0.contains(text) } }
    }
    /// Waits until so many results lie in done/; looks a few times a second, since each look reads the directory.
    func waitForDone(_ number: Int, seconds: Int = 120) throws {
        try Signals.wait(
            "\(number) results", in: ["\(spool)/done/*"], processes: working, seconds: seconds, pace: 200
        ) {
            let names = Disk.names("\(spool)/done").flatMap { Disk.names("\(spool)/done/\($0)") }
            let results = names.count { $0.hasSuffix(".result.yaml") }
            return results >= number && names.count >= 2 * number ? () : nil
        }
    }
    /// A drop after others: when it has ended, the runner has seen the others.
    func fence(_ name: String, _ queue: String = "high_priority") throws {
        try drop(name, job(["log: fence"]), queue)
        try result(of: name)
    }
}

extension Papers {
    /// What follows `<id>~`, or `<id>~<queue>~p5~` of a claimed name.
    static func unprefixed(_ name: String) -> String? {
        let parts = name.split(separator: "~", omittingEmptySubsequences: false)
        guard parts.count >= 2, parts[0].utf8.count == 26 else { return nil }
        return parts.last.map { String($0.prefix(longest)) }
    }
}

/// A job of these steps; `head` is whole lines.
func job(_ steps: [String], head: String = "", tail: String = "") -> String {
    "dsl_version: \"1.1\"\n\(head)steps:\n" + steps.map { "  - \($0)\n" }.joined() + tail
}
