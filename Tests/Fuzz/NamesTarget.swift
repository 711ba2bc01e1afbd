// What this is: any bytes as the name of a file: RawName, DropName, ClaimedName, ControlFile, and the small words of names.
// Owns: the round trips: bytes to text and back, escaped and back, a claimed name, a control file's name.
// Never: leaves a file behind.
// On failure: must() traps.
import JobModel
import LinuxSystem
import SpoolQueue

enum NamesTarget {
    @Sendable static func run(_ bytes: [UInt8]) {
        // No name on Linux is longer than 255 bytes, but a text may be.
        let name = bytes.withUnsafeBufferPointer { RawName.text($0) }
        must(raw(name) == bytes, "\(bytes) became \(raw(name))")
        must(
            RawName.isOdd(name) || String(validating: bytes, as: UTF8.self) != nil,
            "odd, and not told: \(bytes)")
        _ = RawName.shown(name)
        checkEscaping(name)
        checkClaim(name)
        checkControl(name)
        checkWords(name)
    }

    private static func raw(_ name: String) -> [UInt8] {
        name.unicodeScalars.flatMap { scalar in
            RawName.carriedByte(scalar).map { [$0] } ?? Array(String(scalar).utf8)
        }
    }

    private static func isPlain(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != 0x2F && $0 != 0x7E }
    }

    private static func checkEscaping(_ name: String) {
        let escaped = DropName.escaped(name, limit: .max)
        must(isPlain(escaped), "\(name.debugDescription) is escaped as \(escaped.debugDescription)")
        must(name.isEmpty || same(DropName.unescaped(escaped), name), "\(name.debugDescription): \(escaped)")
        let short = DropName.escaped(name)
        must(short.utf8.count <= 185 && isPlain(short), "\(short.debugDescription)")
        must(escaped.utf8.starts(with: short.utf8) || short == "unnamed", "\(short) is no part of \(escaped)")
        _ = DropName.unescaped(name)
        _ = DropName.ticket(in: name)
        _ = DropName.withoutRunPrefix(name)
    }

    private static func checkClaim(_ name: String) {
        guard let run = RunID("01ARZ3NDEKTSV4RRFFQ69G5FAV") else { return }
        if let read = ClaimedName(name), let again = ClaimedName(read.text) {
            must(again.run == read.run && again.queue == read.queue && again.priority == read.priority, name)
        }
        switch DropName.judge(name) {
        case .job:
            must(isPlain(name.replacing("~", with: "x")) && name.utf8.count <= Limits.nameBytes, name)
            let claimed = ClaimedName(run: run, queue: .standard, priority: .normal, name: name)
            must(claimed.text.utf8.count <= 255, "\(claimed.text) is too long")
            let read = ClaimedName(claimed.text)
            must(
                read == claimed && same(read?.name ?? "", name),
                "\(name) came back as \(String(describing: read))")
            let (rest, origin) = DropName.withoutRunPrefix("\(run)~\(DropName.escaped(name))")
            must(origin == run && same(rest, name), "\(name) came back as \(rest)")
        case .unfit(let why):
            must(
                !why.utf8.contains { $0 < 0x20 || $0 == 0x7F },
                "a control character in: \(why.debugDescription)")
        case .ignored, .notAJob, .unknownEnding: break
        }
    }

    private static func checkControl(_ name: String) {
        let file = ControlFile(name: name)
        if file == .ignored || file == .unknown { return }
        must(ControlFile(name: file.name) == file, "\(name) is \(file), but \(file.name) is not")
        must(isPlain(file.name), "a command's name that is not plain: \(file.name.debugDescription)")
    }

    private static func checkWords(_ name: String) {
        if let span = Span(name) {
            must(
                span >= .zero && Span(span.text)?.milliseconds == span.milliseconds, "\(name) is \(span.text)"
            )
        }
        if let time = Timestamp(rfc3339: name) {
            let text = time.rfc3339
            must(
                Timestamp(rfc3339: text).map { $0.rfc3339 == text } ?? isAtTheEdge(text), "\(name) is \(text)"
            )
        }
        if let run = RunID(name) { _ = run.time.rfc3339 }
        _ = RunID.isPrefix(name)
    }
    /// An offset can lead out of the years that are read.
    private static func isAtTheEdge(_ text: String) -> Bool {
        text.hasPrefix("1699") || text.hasPrefix("2201")
    }
}
