// What this is: the memory of ended runs, an SQLite file that can always be made anew from the result files.
// Owns: the connection and its settings; one per RunHistory, calls wait for each other.
// Never: is the truth of anything; is added to by anybody but the leader; knows of runs that have not ended.
// On failure: HistoryDamage when the file is no usable history, else a Failure; a failed add changes nothing.

import GRDB
import JobModel

/// Its calls block; make them off the hot path and off the cooperative threads.
public final class RunHistory: Sendable {
    public let path: String
    let database: DatabaseQueue

    /// Opens for writing (the leader only); makes the file and brings its schema up to date.
    public init(path: String) throws {
        self.path = path
        database = try translated(path, .opening) {
            let database = try DatabaseQueue(
                path: path, configuration: RunHistory.configuration(readonly: false))
            try database.read { try RunHistory.refuseNewer($0, path) }
            try Schema.migrator.migrate(database)
            return database
        }
    }

    init(path: String, reading database: DatabaseQueue) {
        self.path = path
        self.database = database
    }

    /// Opens for reading; nil when there is no file for this process to read, or the leader has still to
    /// bring its schema up to date.
    public static func reader(path: String) throws -> RunHistory? {
        try translated(path, .opening) {
            guard let database = try readOnly(path) ?? unchanging(path) else { return nil }
            let isReady = try database.read { connection in
                try refuseNewer(connection, path)
                return try Schema.migrator.hasCompletedMigrations(connection)
            }
            return isReady ? RunHistory(path: path, reading: database) : nil
        }
    }

    /// Opens to forget runs in it; nil where the leader has still to make it, or to bring it up to date: two who do that at one
    /// time get into each other's way.
    public static func pruner(path: String) throws -> RunHistory? {
        try translated(path, .opening) {
            var configuration = configuration(readonly: false)
            // The mode is the file's own; setting it would be a write.
            configuration.journalMode = .default
            let database = try DatabaseQueue(path: path, configuration: configuration)
            let isReady = try database.read { connection in
                try refuseNewer(connection, path)
                return try Schema.migrator.hasCompletedMigrations(connection)
            }
            return isReady ? RunHistory(path: path, reading: database) : nil
        }
    }

    /// The file and its companions, which are moved or deleted together, with nobody writing.
    public static func files(of path: String) -> [String] { [path, path + "-wal", path + "-shm"] }

    static func configuration(readonly: Bool) -> Configuration {
        var configuration = Configuration()
        configuration.readonly = readonly
        configuration.foreignKeysEnabled = false
        configuration.busyMode = .timeout(5)
        if readonly { return configuration }
        // While retention shortens the file nobody else can write; that takes as long as the file is large.
        configuration.busyMode = .timeout(120)
        configuration.journalMode = .wal
        configuration.prepareDatabase { database in
            // After a power cut the last batches may be missing (never half there): the next start adds them.
            try database.execute(sql: "PRAGMA synchronous = NORMAL")
            // 8 MB keep the inner pages of the indexes at hand.
            try database.execute(sql: "PRAGMA cache_size = -8000")
            try database.execute(sql: "PRAGMA journal_size_limit = 16777216")
        }
        return configuration
    }

    private static func readOnly(_ path: String) throws -> DatabaseQueue? {
        do {
            return try DatabaseQueue(path: path, configuration: configuration(readonly: true))
        } catch let error as DatabaseError {
            // The second is said where the companions are missing and may not be made.
            guard error.resultCode == .SQLITE_CANTOPEN || error.resultCode == .SQLITE_READONLY else {
                throw error
            }
            return nil
        }
    }

    /// For a reader who may not create files beside the history, while no leader runs (the leader's
    /// companions are gone then): the file is read as one that nobody changes.
    static func unchanging(_ path: String) throws -> DatabaseQueue? {
        var address = "file:"
        for character in path {
            switch character {
            case "%": address += "%25"
            case "?": address += "%3f"
            case "#": address += "%23"
            default: address.append(character)
            }
        }
        return try readOnly(address + "?immutable=1")
    }

    private static func refuseNewer(_ database: Database, _ path: String) throws {
        guard try Schema.migrator.hasBeenSuperseded(database) else { return }
        throw HistoryDamage(path: path, reason: "a newer Bobbin made it")
    }

    /// Adds ended runs in one transaction; a run that is here already is replaced.
    public func add(_ runs: [RunRecord]) throws {
        try write { database in
            var writer = try HistoryWriter(database)
            for run in runs { try writer.add(run) }
            try writer.finish()
        }
    }

    /// Forgets runs whose files are gone. What they have added to the totals stays: a counter of all that ever ran.
    public func forget(_ runs: [RunID]) throws {
        try write { database in
            let removals = try HistoryWriter.removals(database)
            for run in runs { for removal in removals { try removal.execute { $0.add(run.text) } } }
        }
    }

    /// Gives the disk what deleted rows had, where that is worth it, and lets SQLite look anew at how its tables are filled.
    /// Returns how many bytes the file is shorter.
    public func tidy() throws -> Int {
        let (pages, free, size) = try read { database in
            (
                try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0,
                try Int.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0,
                try Int.fetchOne(database, sql: "PRAGMA page_size") ?? 0
            )
        }
        try write { try $0.execute(sql: "PRAGMA optimize") }
        // A fifth of it empty; below a megabyte nobody gains anything.
        guard free * 5 > pages, free * size > 1 << 20 else { return 0 }
        try translated(path, .writing) { try database.vacuum() }
        return free * size
    }

    /// Forgets every run.
    public func clear() throws {
        try write { database in
            for table in Schema.tables { try database.execute(sql: "DELETE FROM \(table.name)") }
        }
    }

    /// Reads the whole file; throws HistoryDamage when something in it does not fit together.
    public func verify() throws {
        let answer = try read { try String.fetchOne($0, sql: "PRAGMA quick_check(1)") }
        guard answer == "ok" else {
            throw HistoryDamage(path: path, reason: answer ?? "it cannot be checked")
        }
    }

    func read<Result>(_ body: (Database) throws -> Result) throws -> Result {
        try translated(path, .reading) { try database.read(body) }
    }

    func write(_ body: (Database) throws -> Void) throws {
        try translated(path, .writing) { try database.write(body) }
    }
}
