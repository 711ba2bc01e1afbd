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

    /// What the files say besides results: the audit log and spool/history/. A line is known by its file and the byte at
    /// which it begins there, so that it counts once however often it is read.
    ///
    ///     tags      0..n of a run     for the question which runs have a tag
    ///     totals    per queue         ever growing counts for monitoring; `measure` is `state`, `run` or `wait`, `class` the state,
    ///                                 or the number of a class of DurationBuckets
    ///     facts     one row a line    who was refused, asked, answered; what triggers and secrets did; `detail` is JSON
    ///     samples   per queue, minute how many waited, worked and were parked
    ///     sources   one row a file    how many bytes of it are here
    ///
    /// All results are read again, for the tags and the totals.
    private static let factsOfFiles = """
        DELETE FROM runs; DELETE FROM attempts; DELETE FROM steps; DELETE FROM waits;
        CREATE INDEX waits_since ON waits (since, reason);
        CREATE INDEX runs_requeue ON runs (requeue_of) WHERE requeue_of IS NOT NULL;
        CREATE TABLE tags (
            tag           TEXT NOT NULL,
            run           TEXT NOT NULL,
            PRIMARY KEY (tag, run)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX tags_run ON tags (run);
        CREATE TABLE totals (
            queue         TEXT NOT NULL,
            measure       TEXT NOT NULL,
            class         TEXT NOT NULL,
            number        INTEGER NOT NULL,
            sum_ms        INTEGER NOT NULL,
            PRIMARY KEY (queue, measure, class)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE facts (
            source        TEXT NOT NULL,
            place         INTEGER NOT NULL,
            at            INTEGER NOT NULL,
            kind          TEXT NOT NULL,
            subject       TEXT NOT NULL,
            uid           INTEGER,
            user          TEXT,
            outcome       TEXT NOT NULL,
            detail        TEXT NOT NULL,
            PRIMARY KEY (source, place)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX facts_at ON facts (at, kind);
        CREATE INDEX facts_kind ON facts (kind, at);
        CREATE TABLE samples (
            at            INTEGER NOT NULL,
            queue         TEXT NOT NULL,
            waiting       INTEGER NOT NULL,
            running       INTEGER NOT NULL,
            parked        INTEGER NOT NULL,
            oldest_ms     INTEGER,
            PRIMARY KEY (at, queue)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE sources (
            file          TEXT NOT NULL PRIMARY KEY,
            bytes         INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE VIEW approvals AS SELECT at, subject AS request, outcome, uid, user, kind, detail
            FROM facts WHERE kind LIKE 'approval.%';
        CREATE VIEW denials AS SELECT at, subject, outcome, uid, user, detail
            FROM facts WHERE kind = 'access.denied';
        CREATE VIEW triggers AS SELECT at, subject AS trigger, kind, outcome, detail
            FROM facts WHERE kind LIKE 'trigger.%';
        """

    /// Every table, with the order in which its rows are always the same.
    static let tables = [
        (name: "runs", order: "id"), (name: "attempts", order: "run, attempt"),
        (name: "steps", order: "run, ordinal"), (name: "waits", order: "run, ordinal"),
        (name: "tags", order: "run, tag"), (name: "totals", order: "queue, measure, class"),
        (name: "facts", order: "source, place"), (name: "samples", order: "at, queue"),
        (name: "sources", order: "file"),
    ]

    static let migrator: DatabaseMigrator = {
        var migrator = DatabaseMigrator().disablingDeferredForeignKeyChecks()
        migrator.registerMigration("1 runs, attempts, steps, waits") { database in
            try database.execute(sql: runs)
            try database.execute(sql: partsOfRuns)
        }
        migrator.registerMigration("2 places of steps") { try $0.execute(sql: placesOfSteps) }
        migrator.registerMigration("3 tags, totals, facts of files") { try $0.execute(sql: factsOfFiles) }
        return migrator
    }()
}
