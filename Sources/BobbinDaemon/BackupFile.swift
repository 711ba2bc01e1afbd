// What this is: ops/backup.yaml: where bundles go, what is not in them, which are kept, what is done with a new one.
// Owns: its keys and defaults (docs/BACKUP.md lists them).
// Never: half-applies: a file with a mistake gives nothing at all.
// On failure: ConfigurationProblem with file, line and column.
import Archives
import Bundles
import JobModel
import SecretStore
import YamlText

public struct BackupFile: Hashable, Sendable {
    static let name = "backup.yaml"
    public static let path = "ops/backup.yaml"
    /// nil: ops/backups.
    public var folder: String?
    public var packing = Packing.zstd
    public var without: Set<BundleClass> = []
    public var keep = KeepRules()
    /// For whom bundles are encrypted: `age1…`, or `recipients` for all of secrets/recipients.txt; nobody: they are not.
    public var encryptTo: [String] = []
    /// How old the bundle may be on which increments stand, before one is whole again.
    public var fullEvery = 8
    /// A program and its arguments; `{{ bundle }}` is the new bundle's path.
    public var after: [String] = []

    static let keys = ["folder", "packing", "encrypt_to", "without", "full_every", "keep", "after"]
    static let allRecipients = "recipients"
    static let keepKeys = ["last", "days", "daily", "weekly", "monthly"]
    /// Without these a bundle is still a site.
    public static let droppable: [BundleClass] = [.secrets, .logs, .reports]

    public static func read(_ site: Site) throws -> BackupFile { try read(site.opsBytes(name)) }
    static func read(_ bytes: [UInt8]?) throws(ConfigurationProblem) -> BackupFile {
        var file = BackupFile()
        guard let bytes, let (sheet, tree) = try TriggerSheet.open(bytes, path) else { return file }
        if sheet.pairs(tree, "the file", keys) != nil { file.fill(tree, sheet) }
        try TriggerSheet.finish(sheet)
        return file
    }

    /// What is wrong with a word of `encrypt_to`.
    public static func trouble(recipient word: String) -> String? {
        if word == allRecipients { return nil }
        do throws(AgeProblem) { _ = try AgeRecipient(word) } catch { return error.message }
        return nil
    }
    private mutating func fill(_ tree: YamlNode, _ sheet: ConfigurationSheet) {
        if let folder = sheet.text(tree, "folder") {
            if folder.hasPrefix("/") {
                self.folder = folder
            } else if let field = tree["folder"] {
                sheet.problem(
                    "`folder` must be a full path", field.start, hint: "without it: ops/backups of the site")
            }
        }
        packing = sheet.choice(tree, "packing", Packing.self) ?? packing
        for word in sheet.texts(of: tree, "encrypt_to") {
            if let trouble = BackupFile.trouble(recipient: word), let field = tree["encrypt_to"] {
                sheet.problem(
                    trouble, field.start, hint: "or `recipients`: all of secrets/recipients.txt")
            }
            encryptTo.append(word)
        }
        fullEvery = sheet.integer(tree, "full_every", 1...400) ?? fullEvery
        for word in sheet.texts(of: tree, "without") {
            if let kind = BundleClass(rawValue: word), BackupFile.droppable.contains(kind) {
                without.insert(kind)
            } else if let field = tree["without"] {
                let known = BackupFile.droppable.map(\.rawValue)
                sheet.problem(
                    "`without` knows \(known.joined(separator: ", "))", field.start,
                    hint: NearestName.find(word, in: known).map { "did you mean `\($0)`?" } ?? "")
            }
        }
        after = sheet.texts(of: tree, "after")
        guard let node = tree["keep"], sheet.pairs(node, "`keep`", BackupFile.keepKeys) != nil else { return }
        keep.last = sheet.integer(node, "last", 1...10_000) ?? keep.last
        keep.days = sheet.integer(node, "days", 0...36_500) ?? keep.days
        keep.daily = sheet.integer(node, "daily", 0...3_650) ?? keep.daily
        keep.weekly = sheet.integer(node, "weekly", 0...520) ?? keep.weekly
        keep.monthly = sheet.integer(node, "monthly", 0...1_200) ?? keep.monthly
    }
}
