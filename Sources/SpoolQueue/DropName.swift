// What this is: names of files in the spool: which are jobs, which are not yet, which are unfit, and how runs are named.
// Owns: the allow-list of drop names, the escaping of `~` and of odd bytes, `<run-id>~<queue>~p5~<name>`.
// Never: lets a name pass that could be read as a path, an option or a terminal command.
// On failure: a verdict, never an error.
import JobModel
import LinuxSystem

public enum DropName {
    public enum Verdict: Hashable, Sendable {
        case job
        /// Editors' and copiers' temporary names: never jobs, never touched.
        case ignored
        /// A result or reason file that was put into a queue.
        case notAJob
        /// An ending that no job has: perhaps a tool's temporary name, so it gets time first.
        case unknownEnding
        case unfit(why: String)
    }

    /// With run id, queue and priority before it, still below the 255 bytes of a file name.
    private static let longestEscaped = 185
    private static let endings = [".yaml", ".yml", ".json"]
    private static let temporaryEndings = ["~", ".tmp", ".part", ".swp", ".swx", ".filepart", ".crdownload"]

    public static func judge(_ name: String) -> Verdict {
        if name.utf8.first == UInt8(ascii: ".") || (name.hasPrefix("#") && name.hasSuffix("#")) {
            return .ignored
        }
        if temporaryEndings.contains(where: name.hasSuffix) { return .ignored }
        if let why = unfitness(name) { return .unfit(why: why) }
        if name.hasSuffix(".result.yaml") || name.hasSuffix(".reason.yaml") { return .notAJob }
        return endings.contains(where: name.hasSuffix) ? .job : .unknownEnding
    }

    private static func unfitness(_ name: String) -> String? {
        if name.utf8.count > Limits.nameBytes { return "it is longer than \(Limits.nameBytes) bytes" }
        if escaped(name, limit: .max).utf8.count > longestEscaped {
            return "it is too long once its ~ and % are escaped"
        }
        if name.utf8.first == UInt8(ascii: "-") {
            return "it begins with a hyphen, which programs take for an option"
        }
        for scalar in name.unicodeScalars where !isFit(scalar) {
            if RawName.carriedByte(scalar) != nil { return "it is not valid UTF-8" }
            return scalar.value < 0x20 || scalar.value == 0x7F
                ? "it holds a control character" : "it holds “\(shown(scalar))”"
        }
        return nil
    }
    private static func isFit(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            return isPlain(UInt8(truncatingIfNeeded: scalar.value)) || scalar == "~" || scalar == "%"
        }
        return scalar != "\u{FFFD}" && scalar.properties.isAlphabetic
    }
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "._+@=-".utf8.contains(byte)
        }
    }
    private static func shown(_ scalar: Unicode.Scalar) -> String {
        scalar.value < 0x20 || scalar.properties.generalCategory == .format
            || (0x7F...0x9F).contains(scalar.value)
            ? "U+" + String(scalar.value, radix: 16, uppercase: true) : String(scalar)
    }

    /// A name that is safe inside our own names and on a terminal: odd bytes become %XX.
    public static func escaped(_ name: String, limit: Int = 185) -> String {
        var out = ""
        for scalar in name.unicodeScalars {
            let fits = isFit(scalar) && scalar != "~" && scalar != "%"
            let piece = fits ? String(scalar) : percent(scalar)
            if out.utf8.count + piece.utf8.count > limit { break }
            out += piece
        }
        return out.isEmpty ? "unnamed" : out
    }
    private static func percent(_ scalar: Unicode.Scalar) -> String {
        (RawName.carriedByte(scalar).map { [$0] } ?? Array(String(scalar).utf8)).map {
            "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true)
        }
        .joined()
    }
    /// Undoes `escaped`.
    public static func unescaped(_ text: some StringProtocol) -> String {
        let bytes = Array(text.utf8)
        var out: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let high = hexDigit(bytes[index + 1]), let low = hexDigit(bytes[index + 2])
            {
                out.append(high << 4 | low)
                index += 3
            } else {
                out.append(bytes[index])
                index += 1
            }
        }
        return out.withUnsafeBufferPointer(RawName.text)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }

    /// The ticket in `<stem>.<ticket>.yaml`, as `submit` names its drops.
    public static func ticket(in name: String) -> String? {
        guard let ending = endings.first(where: name.hasSuffix) else { return nil }
        let stem = name.dropLast(ending.count)
        guard let dot = stem.lastIndex(of: ".") else { return nil }
        return RunID(stem[stem.index(after: dot)...])?.text
    }
    /// The name without the prefix of the run it once was, for files moved back from failed/: (name, that run's id).
    public static func withoutRunPrefix(_ name: String) -> (name: String, run: RunID?) {
        // By bytes: a combining mark behind the `~` would make one character of the two.
        let bytes = Array(name.utf8)
        guard bytes.count > RunID.length + 1, bytes[RunID.length] == UInt8(ascii: "~"),
            let run = RunID(String(decoding: bytes.prefix(RunID.length), as: UTF8.self))
        else { return (name, nil) }
        return (unescaped(String(decoding: bytes.dropFirst(RunID.length + 1), as: UTF8.self)), run)
    }
}

/// `<run-id>~<queue>~p5~<name>`: the name of a claimed or parked job carries all that is needed to adopt it.
public struct ClaimedName: Hashable, Sendable {
    public var run: RunID
    public var queue: QueueName
    public var priority: Priority
    public var name: String

    public init(run: RunID, queue: QueueName, priority: Priority, name: String) {
        self.run = run
        self.queue = queue
        self.priority = priority
        self.name = name
    }
    public init(_ acceptance: Acceptance) {
        self.init(
            run: acceptance.id, queue: acceptance.queue, priority: acceptance.priority,
            name: acceptance.dropName)
    }
    public init?(_ text: String) {
        let parts = text.utf8.split(
            separator: UInt8(ascii: "~"), maxSplits: 3, omittingEmptySubsequences: false
        )
        .map { String(decoding: $0, as: UTF8.self) }
        guard parts.count == 4, let run = RunID(parts[0]), let queue = QueueName(parts[1]),
            parts[2].first == "p",
            let level = Int(parts[2].dropFirst()), let priority = Priority(level)
        else { return nil }
        self.init(run: run, queue: queue, priority: priority, name: DropName.unescaped(parts[3]))
    }
    public var text: String { "\(run)~\(queue)~\(priority.directory)~\(DropName.escaped(name))" }
}

/// Names of the two files that answer a drop.
public struct FinalName {
    public static func job(_ acceptance: Acceptance) -> String {
        "\(acceptance.id)~\(DropName.escaped(acceptance.dropName))"
    }
    public static func result(_ acceptance: Acceptance) -> String {
        "\(acceptance.id)~\(DropName.escaped(acceptance.stem)).result.yaml"
    }
    public static let resultEnding = ".result.yaml"
    public static let reasonEnding = ".reason.yaml"
}
