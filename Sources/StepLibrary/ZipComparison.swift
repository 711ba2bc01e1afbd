// What this is: the proof that an archive holds what was packed: checksums of both directions.
// Owns: one SHA-256 per entry while packing, one while reading back.
// Never: trusts the archive's own CRC alone.
// On failure: E-ZIP-VERIFY names the first entry that differs.
import JobModel

final class ZipComparison {
    private let entries: [ZipRequest.Entry]
    private let context: any StepContext
    private var went: [Int: (sum: RunningSum, size: Int)] = [:]
    /// By the bytes of the name: as texts, two names that look alike are one.
    private var came: [[UInt8]: (sum: RunningSum, size: Int)] = [:]
    /// Why a closure said no.
    private(set) var stop: Failure?

    init(_ entries: [ZipRequest.Entry], _ context: any StepContext) {
        self.entries = entries
        self.context = context
    }

    func packed(_ index: Int, _ piece: UnsafeRawBufferPointer) -> Bool {
        went[index, default: (RunningSum(), 0)].sum.add(piece)
        went[index, default: (RunningSum(), 0)].size += piece.count
        return mayGoOn()
    }
    func unpacked(_ name: String, _ piece: UnsafeRawBufferPointer) -> Bool {
        came[Array(name.utf8), default: (RunningSum(), 0)].sum.add(piece)
        came[Array(name.utf8), default: (RunningSum(), 0)].size += piece.count
        return mayGoOn()
    }
    private func mayGoOn() -> Bool {
        do { try context.checkpoint() } catch { stop = error }
        return stop == nil
    }

    func check(_ outcome: ZipOutcome) throws(Failure) {
        guard outcome.entries.map({ Array($0.name.utf8) }) == entries.map({ Array($0.name.utf8) }) else {
            throw refusal(
                "it holds \(outcome.entries.count) entries instead of \(entries.count), or other names")
        }
        for (index, entry) in entries.enumerated() {
            let (packed, read) = (went[index], came[Array(entry.name.utf8)])
            let isSame = packed?.size == read?.size && packed?.sum.hex == read?.sum.hex
            guard isSame, outcome.entries[index].size == packed?.size ?? 0 else {
                throw refusal("\(entry.name) reads back differently")
            }
        }
    }
    private func refusal(_ what: String) -> Failure {
        Failure(
            "E-ZIP-VERIFY", "the archive is not what was packed: \(what)",
            whatToDo: "look at the disk; the sources are untouched", retry: .transient)
    }
}
