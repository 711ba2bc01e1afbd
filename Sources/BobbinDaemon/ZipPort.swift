// What this is: the link between the zip step and the Archives room, which do not know each other.
// Owns: the translation of their words.
// Never: opens an archive itself.
// On failure: Failure in the step's words.
import Archives
import JobModel
import StepLibrary

enum ZipPort {
    @Sendable static func zip(_ request: ZipRequest) throws(Failure) -> ZipOutcome {
        let sources = request.entries.map { ZipArchive.Source(name: $0.name, path: $0.path) }
        do {
            try ZipArchive.write(sources, to: request.output, packed: request.packed)
            guard request.readBack else { return ZipOutcome(entries: []) }
            let entries = try ZipArchive.read(request.output, piece: request.unpacked)
            return ZipOutcome(entries: entries.map { ($0.name, $0.size) })
        } catch {
            throw Failure(
                "E-ARCHIVE", "the archive could not be written: \(error)",
                whatToDo: "Check the disk's free space.", retry: .transient)
        }
    }
}
