// OpeningTests: files that are missing, empty, damaged or newer; readers beside the writer.
// Owns: what is history and what is HistoryDamage.
// Never: repairs; the caller moves a damaged file aside.
// On failure: says which file was taken for a history.
// A writer is closed by letting go of it.

import JobModel
import Testing

@testable import RunHistory

@Suite struct OpeningTests {
    let file: HistoryFile

    init() throws { file = try HistoryFile() }

    private func isDamage(_ error: any Error) -> Bool { (error as? HistoryDamage)?.path == file.path }

    @Test func withoutAFileThereIsNoReader() throws {
        #expect(try RunHistory.reader(path: file.path) == nil)
        #expect(file.bytes().isEmpty)
    }

    @Test func anEmptyFileIsNoHistoryUntilTheLeaderOpensIt() throws {
        file.overwrite([])
        #expect(try RunHistory.reader(path: file.path) == nil)
        let writer = try RunHistory(path: file.path)
        try writer.add([sampleRun(1)])
        #expect(try RunHistory.reader(path: file.path)?.contains(sampleID(1)) == true)
        try writer.verify()
    }

    @Test func whatWasAddedOutlivesTheWriter() throws {
        try RunHistory(path: file.path).add([sampleRun(1)])
        #expect(try RunHistory(path: file.path).contains(sampleID(1)))
        #expect(try RunHistory.reader(path: file.path)?.contains(sampleID(1)) == true)
    }

    @Test func aReaderRefusesToWrite() throws {
        let writer = try RunHistory(path: file.path)
        let reader = try #require(try RunHistory.reader(path: file.path))
        #expect { try reader.add([sampleRun(1)]) } throws: { ($0 as? Failure)?.code == "E-HISTORY" }
        #expect(throws: Failure.self) { try reader.clear() }
        #expect(try writer.dump().isEmpty)
    }

    @Test func aFileThatCannotChangeIsReadWithoutCompanions() throws {
        try RunHistory(path: file.path).add([sampleRun(1)])
        let database = try #require(try RunHistory.unchanging(file.path))
        #expect(try RunHistory(path: file.path, reading: database).steps(of: sampleID(1)).count == 2)
        #expect(try RunHistory.unchanging(file.path + "?%23#") == nil)
    }

    @Test func strangeBytesAreDamage() throws {
        file.overwrite(Array(repeating: 0x41, count: 5000))
        #expect(performing: { try RunHistory(path: file.path) }, throws: isDamage)
        #expect(performing: { try RunHistory.reader(path: file.path) }, throws: isDamage)
    }

    @Test func aCutOffFileIsDamage() throws {
        try RunHistory(path: file.path).add((1...200).map { sampleRun($0) })
        file.overwrite(Array(file.bytes().prefix(20_000)))
        #expect(
            performing: {
                let history = try RunHistory(path: file.path)
                try history.verify()
            }, throws: isDamage)
    }

    @Test func aScribbledPageIsDamageAndARebuildHeals() throws {
        let runs = (1...200).map { sampleRun($0) }
        try RunHistory(path: file.path).add(runs)
        var bytes = file.bytes()
        for index in 12_288..<bytes.count { bytes[index] = 0xFF }
        file.overwrite(bytes)
        #expect(performing: { try RunHistory(path: file.path).add(runs) }, throws: isDamage)
        file.overwrite([])
        let healed = try RunHistory(path: file.path)
        try healed.add(runs)
        #expect(try healed.runs(RunFilter(limit: 500)).count == 200)
    }

    @Test func aRowOfAnotherFormIsDamageAndStopsNothing() throws {
        try RunHistory(path: file.path).add([sampleRun(1)])
        file.replace("succeeded", "perhapsso")
        let history = try RunHistory(path: file.path)
        #expect(performing: { try history.runs(RunFilter()) }, throws: isDamage)
        #expect(performing: { try history.steps(of: sampleID(1)) }, throws: isDamage)
        #expect(performing: { try history.counts(since: epoch) }, throws: isDamage)
    }

    @Test func aNewerHistoryIsNotTouched() throws {
        try RunHistory(path: file.path).add([sampleRun(1)])
        file.replace("1 runs, attempts", "9 runs, attempts")
        #expect(performing: { try RunHistory(path: file.path) }, throws: isDamage)
        #expect(performing: { try RunHistory.reader(path: file.path) }, throws: isDamage)
    }

    @Test func aDirectoryThatIsNotThereIsAFailureInWords() {
        #expect { try RunHistory(path: file.path + "/no/index.sqlite") } throws: {
            ($0 as? Failure)?.message.contains("cannot be opened") == true
        }
    }

    @Test func readersSeeWholeBatchesWhileTheWriterAdds() async throws {
        let (path, batch, batches) = (file.path, 10, 30)
        _ = try RunHistory(path: path)
        let writing = Task.detached {
            let writer = try RunHistory(path: path)
            for first in 0..<batches { try writer.add((1...batch).map { sampleRun(first * batch + $0) }) }
        }
        let reader = try #require(try RunHistory.reader(path: path))
        var seen = 0
        for _ in 0..<100_000 where seen < batch * batches {
            let lines = try reader.dump().split(separator: "\n").count { !$0.hasPrefix("totals ") }
            #expect(lines % (batch * 5) == 0)
            #expect(lines / 5 >= seen)
            seen = lines / 5
            await Task.yield()
        }
        try await writing.value
        #expect(seen == batch * batches)
    }
}
