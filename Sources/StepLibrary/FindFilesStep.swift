// What this is: the step `find_files`.
// Owns: its table entry, the limit and the order of what was found.
// Never: follows links; returns FIFOs, sockets or devices.
// On failure: E-FIND-LIMIT for more files than expected, E-FIND-QUERY for a query that means nothing.
import JobModel
import LinuxSystem

struct FindFilesStep: StepAction {
    static let table = StepType(
        "find_files", "Finds files by name, kind, age, size and place. All terms of the query must hold.",
        parameters: [
            Parameter(
                "query", .text, default: .string(""),
                "for example kind:pdf modified:today -draft; every file when empty"),
            Parameter("roots", .texts, default: .list([.string(".")]), "where to look"),
            Parameter("recursive", .flag, default: .bool(true), "also below subdirectories"),
            Parameter(
                "limit", .integer, default: .int(Limits.foundFiles), "more files than this are an error"),
            Parameter("truncate", .flag, default: .bool(false), "return the first `limit` files instead"),
            Parameter("hidden", .flag, default: .bool(false), "also names that begin with a dot"),
            Parameter("include_dirs", .flag, default: .bool(false), "also directories"),
            Parameter(
                "sort", .choice(["name", "mtime", "size"]), default: .string("name"),
                "by path, oldest first, or smallest first"),
        ],
        shorthand: "query",
        outputs: [
            ("count", "how many were found"), ("files", "their absolute paths"),
            ("first", "the first path, or nothing"),
            ("total_bytes", "their sizes together"), ("truncated", "whether there were more"),
            ("skipped", "places that could not be read; the log names them"),
        ],
        example: "find_files: {roots: [/srv/invoices], query: \"kind:pdf modified:today\"}")
    var type: StepType { FindFilesStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let calendar = QueryCalendar(now: Timestamp(nanoseconds: Clocks.wall), zoneOffset: Clocks.zoneOffset)
        let query = try FileQuery(arguments.text("query"), calendar: calendar)
        let walk = FileWalk(context, recursive: arguments.flag("recursive"), hidden: arguments.flag("hidden"))
        var harvest = try Harvest(arguments)
        for root in arguments.texts("roots") {
            try walk.visit(SitePath(root, context)) { (found, _) throws(Failure) in
                guard harvest.takes(found.status.kind), query.matches(FileFacts(found)) else { return }
                try harvest.add(found)
            }
        }
        let found = harvest.sorted
        let first: Value = found.first.map { .string($0.path) } ?? .null
        let bytes = found.reduce(0) { $0 + $1.size }
        let outputs: ValueMap = [
            "count": .int(found.count), "files": .texts(found.map(\.path)), "first": first,
            "total_bytes": .int(bytes),
            "truncated": .bool(harvest.isTruncated), "skipped": .int(walk.skipped),
        ]
        return try outputs.withinLimit(
            instead: "narrow the query or set a smaller `limit` with `truncate: true`")
    }
}

extension FileFacts {
    init(_ found: FileWalk.Found) {
        self.init(
            name: found.name, folders: found.folders,
            size: found.status.kind == .directory ? 0 : found.status.size,
            modified: found.status.modified)
    }
}

/// What was found so far, never much more than the limit.
private struct Harvest {
    struct File {
        var path: String
        var size: Int
        var modified: Int64
    }
    private var files: [File] = []
    private var paths: Set<String> = []
    private let limit: Int
    private let mayTruncate: Bool
    private let takesDirectories: Bool
    private let order: String
    private let rootsMayOverlap: Bool
    private(set) var isTruncated = false

    init(_ arguments: ValueMap) throws(Failure) {
        limit = arguments.integer("limit")
        mayTruncate = arguments.flag("truncate")
        takesDirectories = arguments.flag("include_dirs")
        order = arguments.text("sort")
        rootsMayOverlap = arguments.texts("roots").count > 1
        guard (1...1_000_000).contains(limit) else {
            throw .parameter("`limit` is from 1 to 1000000, not \(limit)")
        }
    }

    func takes(_ kind: FileStatus.Kind) -> Bool { kind == .regular || kind == .directory && takesDirectories }

    mutating func add(_ found: FileWalk.Found) throws(Failure) {
        if rootsMayOverlap, !paths.insert(found.path.absolute).inserted { return }
        files.append(
            File(
                path: found.path.absolute, size: found.status.kind == .directory ? 0 : found.status.size,
                modified: found.status.modified))
        guard files.count > limit else { return }
        guard mayTruncate else {
            throw Failure(
                "E-FIND-LIMIT", "more than \(limit) files match",
                whatToDo: "narrow the query, raise `limit`, or set `truncate: true` to take the first ones",
                retry: .never)
        }
        isTruncated = true
        if files.count >= 2 * limit + 1000 { files = Array(sorted) }
    }

    /// The first `limit` files in the order asked for; equal ones by path.
    var sorted: ArraySlice<File> {
        files.sorted { left, right in
            switch order {
            case "mtime" where left.modified != right.modified: left.modified < right.modified
            case "size" where left.size != right.size: left.size < right.size
            default: left.path < right.path
            }
        }.prefix(limit)
    }
}
