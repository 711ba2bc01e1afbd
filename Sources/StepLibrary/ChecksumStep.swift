// What this is: the step `checksum`.
// Owns: its table entry; the comparison with what the job expects.
// Never: writes.
// On failure: E-CHECKSUM names the file and both sums.
import JobModel

struct ChecksumStep: StepAction {
    static let table = StepType(
        "checksum", "Computes checksums and compares them with what is expected.",
        parameters: [
            Parameter("files", .texts, required: true, "the files"),
            Parameter(
                "algorithm", .choice(RunningSum.Algorithm.allCases.map(\.rawValue)),
                default: .string("sha256"), "which sum"),
            Parameter("expect", .any, "the sum of the one file, or a map from path to sum"),
        ],
        shorthand: "files",
        outputs: [
            ("sums", "list of {path, sum}"), ("sum", "the sum of the first file"),
            ("count", "how many files"),
        ],
        example: "checksum: {files: in/image.iso, algorithm: sha512}")
    var type: StepType { ChecksumStep.table }

    func perform(_ arguments: ValueMap, _ context: any StepContext) throws(Failure) -> ValueMap {
        let algorithm = RunningSum.Algorithm(rawValue: arguments.text("algorithm")) ?? .sha256
        let files = arguments.texts("files")
        let expected = try Expectation(arguments["expect"] ?? .null, files, context)
        var sums: [(path: SitePath, sum: String)] = []
        for file in files {
            let path = try SitePath(file, context)
            sums.append((path, try SourceFile(reading: path).sum(algorithm, context)))
        }
        try expected.check(sums)
        let list = sums.map { Value.map(["path": .string($0.path.absolute), "sum": .string($0.sum)]) }
        let first: Value = sums.first.map { .string($0.sum) } ?? .null
        let outputs: ValueMap = ["sums": .list(list), "sum": first, "count": .int(sums.count)]
        return try outputs.withinLimit(instead: "take fewer files at a time (`limit` of find_files)")
    }

    private struct Expectation {
        private var sums: [SitePath: String] = [:]

        init(_ value: Value, _ files: [String], _ context: any StepContext) throws(Failure) {
            switch value {
            case .null: break
            case .map(let map):
                for entry in map.entries {
                    sums[try SitePath(entry.key, context)] = entry.value.text.trimmed.lowercased()
                }
            case .string(let sum) where files.count == 1:
                sums[try SitePath(files[0], context)] = sum.trimmed.lowercased()
            case .string:
                throw .parameter(
                    "one sum in `expect` fits one file, not \(files.count)", whatToDo: "use a map")
            default:
                throw .parameter("`expect` must be a text or a map from path to sum, not a \(value.kindName)")
            }
        }

        func check(_ found: [(path: SitePath, sum: String)]) throws(Failure) {
            guard !sums.isEmpty else { return }
            for (path, sum) in found {
                // A file that nobody vouches for must not pass as checked.
                guard let wanted = sums[path] else {
                    throw refusal("`expect` has no sum for \(path.absolute)")
                }
                guard wanted == sum else {
                    throw refusal("\(path.absolute) has \(sum), expected was \(wanted)")
                }
            }
            let unseen = sums.keys.filter { key in !found.contains { $0.path == key } }.map(\.absolute)
                .sorted()
            guard unseen.isEmpty else {
                throw refusal("`expect` names \(unseen[0]), which is not among the files")
            }
        }
        private func refusal(_ message: String) -> Failure {
            Failure("E-CHECKSUM", message, whatToDo: "fetch or make the file again, or correct `expect`")
        }
    }
}
