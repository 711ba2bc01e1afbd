// What this is: secrets/: one age file for each secret, `<key>.age` or `<service>/<key>.age`, and `recipients.txt`.
// Owns: listing, reading, writing, removing; the modes (0600 in 0700).
// Never: writes a value in the clear; keeps one longer than it is asked for; follows a link.
// On failure: SecretProblem with what to do.
import JobModel
import LinuxSystem

public struct SecretProblem: Error, Hashable, Sendable, CustomStringConvertible {
    public var code: String
    public var message: String
    public var whatToDo: String
    public var description: String { "\(message) [\(code)]" + (whatToDo.isEmpty ? "" : "\n  \(whatToDo)") }

    public init(_ code: String, _ message: String, whatToDo: String = "") {
        self.code = code
        self.message = message
        self.whatToDo = whatToDo
    }
}

extension SecretName {
    static let ending = ".age"
    /// Below secrets/, or below the directory of its service.
    var file: String { key + SecretName.ending }
}

public struct SecretFiles: Sendable {
    public static let recipientsFile = "recipients.txt"
    private let directory: Directory

    public struct Row: Sendable {
        public var name: SecretName
        public var changed: Timestamp
        public var mode: UInt32
        public var uid: UInt32
    }

    /// `secrets/` of a site.
    public init(_ directory: Directory) { self.directory = directory }

    public func rows() throws(SystemError) -> [Row] {
        var rows = try rows(in: directory, service: nil)
        for name in try directory.names() where !name.hasPrefix(".") {
            guard try directory.statusIfPresent(name)?.kind == .directory else { continue }
            rows += try self.rows(in: directory.directory(name), service: name)
        }
        return rows.sorted { $0.name < $1.name }
    }
    private func rows(in directory: Directory, service: String?) throws(SystemError) -> [Row] {
        var rows: [Row] = []
        for file in try directory.names() where file.hasSuffix(SecretName.ending) {
            let key = String(file.dropLast(SecretName.ending.count))
            guard let name = SecretName(service.map { "\($0)/\(key)" } ?? key),
                let status = try directory.statusIfPresent(file), status.kind == .regular
            else { continue }
            rows.append(
                Row(
                    name: name, changed: Timestamp(nanoseconds: status.modified), mode: status.mode,
                    uid: status.uid))
        }
        return rows
    }

    /// Nil where there is no such secret.
    public func bytes(_ name: SecretName) throws(SystemError) -> [UInt8]? {
        guard let place = try place(name, makes: false), try place.statusIfPresent(name.file) != nil else {
            return nil
        }
        return try place.openForReading(name.file).read(upTo: AgeFile.longest)
    }
    public func open(_ name: SecretName, _ identities: [AgeIdentity]) throws -> SecretBytes? {
        guard let file = try bytes(name) else { return nil }
        do throws(AgeProblem) { return try AgeFile.open(file, identities) } catch {
            throw SecretProblem(
                error.kind.rawValue, "secrets/\(name.text)\(SecretName.ending): \(error.message)",
                whatToDo: error.kind == .noMatch
                    ? "It was written for other recipients: bobbin secrets set \(name.text), or give the right --identity."
                    : "Bring it back from a backup, or: bobbin secrets set \(name.text)")
        }
    }

    public func write(_ name: SecretName, _ value: SecretBytes, to recipients: [AgeRecipient]) throws {
        let file = try AgeFile.write(value, to: recipients)
        guard let place = try place(name, makes: true) else { return }
        try AtomicFile.write(file, to: name.file, in: place, mode: 0o600, existing: .replace)
    }
    /// False where there is none.
    public func remove(_ name: SecretName) throws(SystemError) -> Bool {
        guard let place = try place(name, makes: false), try place.statusIfPresent(name.file) != nil else {
            return false
        }
        try place.remove(name.file)
        try place.sync()
        return true
    }

    private func place(_ name: SecretName, makes: Bool) throws(SystemError) -> Directory? {
        guard let service = name.service else { return directory }
        if makes { return try directory.makeDirectory(service, mode: 0o700) }
        return try directory.statusIfPresent(service)?.kind == .directory ? directory.directory(service) : nil
    }

    // MARK: for whom

    /// The lines of `recipients.txt`.
    public func recipients() throws -> [AgeRecipient] {
        guard try directory.statusIfPresent(SecretFiles.recipientsFile) != nil else { return [] }
        let text = String(
            decoding: try directory.openForReading(SecretFiles.recipientsFile).read(upTo: 1 << 20),
            as: UTF8.self)
        var found: [AgeRecipient] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = line.trimmed
            if line.isEmpty || line.hasPrefix("#") { continue }
            do throws(AgeProblem) { found.append(try AgeRecipient(line)) } catch {
                throw SecretProblem(
                    error.kind.rawValue,
                    "secrets/\(SecretFiles.recipientsFile):\(index + 1): \(error.message)",
                    whatToDo: "One age1… a line; `#` begins a comment.")
            }
        }
        return found
    }
    /// Adds one that is not there yet; false where it is.
    public func add(_ recipient: AgeRecipient) throws -> Bool {
        guard let text = recipient.text, try !recipients().contains(where: { $0.text == text }) else {
            return false
        }
        var old: [UInt8] = []
        if try directory.statusIfPresent(SecretFiles.recipientsFile) != nil {
            old = try directory.openForReading(SecretFiles.recipientsFile).read(upTo: 1 << 20)
            if let last = old.last, last != 0x0A { old.append(0x0A) }
        }
        try AtomicFile.write(
            old + Array("\(text)\n".utf8), to: SecretFiles.recipientsFile, in: directory, mode: 0o600,
            existing: .replace)
        return true
    }
}
