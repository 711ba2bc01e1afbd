// What this is: every bound that has no better home, by name, with its reason.
// Owns: the numbers; docs/JOBFILE.md and docs/SPOOL.md quote them.
// Never: is changed by configuration; what an operator may tune is in ops/orchestrator.yaml.
// On failure: nothing here fails.

public enum Limits {
    /// A larger drop is E-SIZE before it is read.
    public static let dropBytes = 1 << 20
    /// So that `<run-id>~<queue>~p5~<name>` stays below the 255 bytes of a file name.
    public static let nameBytes = 150
    public static let steps = 1_000
    /// Of a job, with those of the templates that it calls.
    public static let allSteps = 10_000
    /// Attempts of steps, and rounds, on record for one run.
    public static let runRecords = 25_000
    /// About what all steps of a run may hand on together: its result is read back whole.
    public static let runOutputBytes = 16 << 20
    /// Templates that call templates.
    public static let callDepth = 4
    /// Runs that submit runs that submit runs.
    public static let submitDepth = 8
    /// Steps that hold others inside of each other.
    public static let stepDepth = 8
    /// Steps of a run that run at one time, unless `max_parallel` says otherwise, and the most it may say.
    public static let parallelSteps = 8
    public static let mostParallelSteps = 64
    /// Rounds of a loop: each leaves a record for each of its steps.
    public static let rounds = 10_000
    /// What one step may hand to later steps; more is a failure that says so.
    public static let outputBytes = 1 << 20
    /// What is kept of a step's output on disk: the head, then the tail.
    public static let logHeadBytes = 12 << 20
    public static let logTailBytes = 4 << 20
    /// Files that find_files returns unless told otherwise.
    public static let foundFiles = 10_000
    /// Time between SIGTERM and SIGKILL of a step's process group.
    public static let killGrace = Span.seconds(10)
    /// A file without a proper end is rejected after this.
    public static let arrivalPatience = Span.seconds(60)
    /// An unchanged file found by a scan counts as complete after this.
    public static let settle = Span.seconds(1)
    /// The same where the kernel cannot be asked who writes.
    public static let settleUnproven = Span.seconds(2)
    /// Nothing new begins below this room on the spool's disk (or 1/64 of a small one), and goes on at twice that.
    public static let diskReserveBytes: UInt64 = 32 << 20
    public static let diskReserveInodes: UInt64 = 1_000
    /// Below so many times of that room work goes on one run at a time, and all of it again at twice so many.
    public static let diskScarce: UInt64 = 4
    /// A runner that finds the disk full at its first look takes it to have been so for this long.
    public static let fullBeforeFirstLook = Span.seconds(600)
    /// Waiting files of one user in one directory that a runner keeps in mind; the rest waits on the disk alone.
    public static let activeSet = 100_000
    /// After this many starts from more urgent directories, the oldest other candidate of the queue has its turn.
    public static let starvationBound = 50
}
