// What this is: what an archive came to be, written down before it gets its name and sources go.
// Owns: the receipt file of the step; the removal of sources that are as they were.
// Never: removes what it has no mark of.
// On failure: a receipt that cannot be read is E-PLAN; nothing is removed then.
import JobModel
import LinuxSystem

struct ZipReceipt {
    var sha256: String
    var bytes: Int
    var skipped: Int
    var sources: [SourceMark]
    var folders: [SitePath]
    var files: Int { sources.count }
    private static let header = "bobbin zip 1"

    /// Whether `out` is the archive of this receipt: an earlier start got that far.
    func isFor(_ out: SitePath, _ context: any StepContext) throws(Failure) -> Bool {
        // nil: it is not there.
        guard let status = try? FileStatus.of(out.absolute), status.size == bytes else { return false }
        return try SourceFile(reading: out).sum(.sha256, context) == sha256
    }

    /// Sources go only once the archive has its name: where one is missing and the archive too, somebody took
    /// the archive away, and packing the rest again would make a part look like the whole.
    func checkNothingIsLost(_ out: SitePath) throws(Failure) {
        for mark in sources {
            do { _ = try FileStatus.of(mark.path.absolute) } catch {
                throw Failure(
                    "E-PLAN",
                    "an earlier start packed \(mark.path.absolute), but \(out.absolute) is not that archive",
                    whatToDo: "find the archive that was moved or replaced; then submit a job for the rest",
                    retry: .never)
            }
        }
    }

    func keep(_ context: any StepContext) throws(Failure) {
        var text =
            ZipReceipt.header + "\n" + JSONText.write(.texts([sha256, String(bytes), String(skipped)])) + "\n"
        for mark in sources {
            let numbers = [
                String(mark.size), String(mark.modified), String(mark.changed), String(mark.inode),
            ]
            text += JSONText.write(.texts([mark.path.absolute] + numbers)) + "\n"
        }
        for folder in folders { text += JSONText.write(.texts([folder.absolute])) + "\n" }
        try RunFile.write("\(RunFile.label(context)).plan", text, context)
    }

    static func earlier(_ context: any StepContext) throws(Failure) -> ZipReceipt? {
        guard context.isRerun, let text = try RunFile.read("\(RunFile.label(context)).plan", context) else {
            return nil
        }
        var lines = TextLines.split(text)
        guard lines.first == header, lines.count > 1 else {
            throw TransferPlan.unreadable("it is no receipt of an archive")
        }
        lines.removeFirst()
        let first = try parts(lines.removeFirst())
        guard first.count == 3, let bytes = Int(first[1]), let skipped = Int(first[2]) else {
            throw TransferPlan.unreadable("its second line is wrong")
        }
        var receipt = ZipReceipt(sha256: first[0], bytes: bytes, skipped: skipped, sources: [], folders: [])
        for line in lines { try receipt.add(parts(line), context) }
        return receipt
    }

    private mutating func add(_ parts: [String], _ context: any StepContext) throws(Failure) {
        guard let path = parts.first else { throw TransferPlan.unreadable("a line is empty") }
        if parts.count == 1 { return folders.append(try SitePath(path, context)) }
        guard let mark = try SourceMark(SitePath(path, context), parts) else {
            throw TransferPlan.unreadable("a line has not the five parts it should have")
        }
        sources.append(mark)
    }
    private static func parts(_ line: String) throws(Failure) -> [String] {
        do { return (try JSONReader.read(Array(line.utf8)).listValue ?? []).map(\.text) } catch {
            throw TransferPlan.unreadable("\(error)")
        }
    }
}

extension SourceMark {
    fileprivate init?(_ path: SitePath, _ parts: [String]) {
        guard parts.count == 5, let size = Int(parts[1]), let modified = Int64(parts[2]),
            let changed = Int64(parts[3]),
            let inode = UInt64(parts[4])
        else { return nil }
        self.path = path
        (self.size, self.modified, self.changed, self.inode) = (size, modified, changed, inode)
    }
}

struct SourceRemoval {
    let directories: OpenDirectories
    let context: any StepContext

    /// Removes the packed files that are as they were, then the directories that became empty. Returns how
    /// many files are gone, those of an earlier start included.
    func perform(_ receipt: ZipReceipt) throws(Failure) -> Int {
        var removed = 0
        for mark in receipt.sources {
            try context.checkpoint()
            if try remove(mark) { removed += 1 }
        }
        try directories.syncChanged()
        for folder in receipt.folders.reversed() { try removeIfEmpty(folder) }
        return removed
    }

    private func remove(_ mark: SourceMark) throws(Failure) -> Bool {
        guard let directory = try directories.writableIfPresent(mark.path) else { return true }
        let now = try onDisk("remove \(mark.path.absolute)") { () throws(SystemError) in
            try directory.statusIfPresent(mark.path.name)
        }
        guard let now else { return true }
        guard mark.isStill(now) else {
            try context.log("kept: \(mark.path.absolute) changed after it was packed")
            return false
        }
        try onDisk("remove \(mark.path.absolute)") { () throws(SystemError) in
            try directory.remove(mark.path.name)
        }
        directories.noteChange(of: mark.path)
        return true
    }

    private func removeIfEmpty(_ folder: SitePath) throws(Failure) {
        guard let directory = try directories.writableIfPresent(folder) else { return }
        do { try directory.removeDirectory(folder.name) } catch {
            // Not empty (something was kept or is new), or gone with an earlier start: both are right.
            guard error.isMissing || error.fileTrouble == .existing else {
                throw Failure(cannot: "remove \(folder.absolute)", error)
            }
        }
    }
}
