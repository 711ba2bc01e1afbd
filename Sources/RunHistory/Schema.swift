// What this is: the tables of the run history and the numbered migrations that make them.
// Owns: the schema, the names of its tables and the order of their rows.
// Never: changes a migration that was released; a change is the next number.
// On failure: a migration is one transaction; the file keeps the schema it had.

import GRDB

/// Times are whole milliseconds since 1970 and outputs are JSON, since a result file holds them no finer:
/// what is stored here can be read back from result files, and nothing else is stored. States are their
/// spellings.
///
///     runs      one row a run     how it ended; wait_ms (arrival to start, or to the end when it never
///                                 started) and run_ms (start to end, with its waits) follow from the times
///     attempts  1..n of a run     derived from the steps and the waits
///     steps     0..n of a run     one row for each attempt of a step, in the order in which they began
///     waits     0..n of a run     each time it held no slot, and why
///
/// Each table is clustered by its key (WITHOUT ROWID), so every index ends with the run's id and gives the
/// newest first without sorting. There are no foreign keys: HistoryWriter alone writes, a whole run at a
/// time.
enum Schema {
    static let runs = """
        CREATE TABLE runs (
            id            TEXT NOT NULL PRIMARY KEY,
            job           TEXT NOT NULL,
            queue         TEXT NOT NULL,
            priority      INTEGER NOT NULL,
            state         TEXT NOT NULL,
            uid           INTEGER NOT NULL,
            user          TEXT NOT NULL,
            drop_name     TEXT NOT NULL,
            ticket        TEXT,
            requeue_of    TEXT,
            arrived       INTEGER NOT NULL,
            accepted      INTEGER NOT NULL,
            started       INTEGER,
            ended         INTEGER NOT NULL,
            attempts      INTEGER NOT NULL,
            error_code    TEXT,
            error_message TEXT,
            error_step    TEXT,
            sha256        TEXT NOT NULL,
            runner        TEXT NOT NULL,
            outputs       TEXT NOT NULL,
            wait_ms       INTEGER AS (coalesce(started, ended) - arrived) VIRTUAL,
            run_ms        INTEGER AS (ended - started) VIRTUAL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX runs_ended ON runs (ended, state);
        CREATE INDEX runs_job ON runs (job);
        CREATE INDEX runs_queue_state ON runs (queue, state);
        CREATE INDEX runs_ticket ON runs (ticket) WHERE ticket IS NOT NULL;
        """

    static let partsOfRuns = """
        CREATE TABLE attempts (
            run           TEXT NOT NULL,
            attempt       INTEGER NOT NULL,
            state         TEXT NOT NULL,
            started       INTEGER,
            ended         INTEGER,
            PRIMARY KEY (run, attempt)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE steps (
            run           TEXT NOT NULL,
            ordinal       INTEGER NOT NULL,
            section       TEXT NOT NULL,
            number        INTEGER NOT NULL,
            title         TEXT NOT NULL,
            id            TEXT,
            type          TEXT NOT NULL,
            run_attempt   INTEGER NOT NULL,
            attempt       INTEGER NOT NULL,
            state         TEXT NOT NULL,
            started       INTEGER NOT NULL,
            ended         INTEGER,
            error_code    TEXT,
            error_message TEXT,
            outputs       TEXT NOT NULL,
            log           TEXT,
            PRIMARY KEY (run, ordinal)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE waits (
            run           TEXT NOT NULL,
            ordinal       INTEGER NOT NULL,
            reason        TEXT NOT NULL,
            since         INTEGER NOT NULL,
            until         INTEGER,
            ended         INTEGER,
            next_attempt  INTEGER NOT NULL,
            PRIMARY KEY (run, ordinal)
        ) STRICT, WITHOUT ROWID;
        """

    /// A step inside of another has more than one number.
    private static let placesOfSteps = """
        CREATE TABLE steps_2 (
            run           TEXT NOT NULL,
            ordinal       INTEGER NOT NULL,
            place         TEXT NOT NULL,
            title         TEXT NOT NULL,
            id            TEXT,
            type          TEXT NOT NULL,
            run_attempt   INTEGER NOT NULL,
            attempt       INTEGER NOT NULL,
            state         TEXT NOT NULL,
            started       INTEGER NOT NULL,
            ended         INTEGER,
            error_code    TEXT,
            error_message TEXT,
            outputs       TEXT NOT NULL,
            log           TEXT,
            PRIMARY KEY (run, ordinal)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO steps_2 SELECT
            run, ordinal, CASE section WHEN 'steps' THEN '' ELSE section || '.' END || number, title, id, type,
            run_attempt, attempt, state, started, ended, error_code, error_message, outputs, log FROM steps;
        DROP TABLE steps;
        ALTER TABLE steps_2 RENAME TO steps;
        """

    /// Every table, with the order in which its rows are always the same.
    static let tables = [
        (name: "runs", order: "id"), (name: "attempts", order: "run, attempt"),
        (name: "steps", order: "run, ordinal"), (name: "waits", order: "run, ordinal"),
    ]

    static let migrator: DatabaseMigrator = {
        var migrator = DatabaseMigrator().disablingDeferredForeignKeyChecks()
        migrator.registerMigration("1 runs, attempts, steps, waits") { database in
            try database.execute(sql: runs)
            try database.execute(sql: partsOfRuns)
        }
        migrator.registerMigration("2 places of steps") { try $0.execute(sql: placesOfSteps) }
        return migrator
    }()
}
