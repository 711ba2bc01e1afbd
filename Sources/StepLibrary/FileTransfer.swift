// What this is: the carrying out of a plan; stopping anywhere and starting again ends the same.
// Owns: the recognition of pairs that are done, the order copy - sync - name - sync - remove.
// Never: replaces a file unless the job said `overwrite`; removes a source before its copy is durable.
// On failure: Failure; the pairs before it are done, the others untouched, and a rerun goes on from there.
import JobModel
import LinuxSystem

struct FileTransfer {
    let keepsSource: Bool
    let collision: Collision
    let directories: OpenDirectories
    let context: any StepContext

    func perform(_ plan: TransferPlan) throws(Failure) {
        for pair in plan.pairs where pair.source != pair.target {
            try context.checkpoint()
            try perform(pair)
            try context.log(
                "\(keepsSource ? "copied" : "moved") \(pair.source.absolute) to \(pair.target.absolute)")
        }
        try directories.syncChanged()
    }

    private func perform(_ pair: TransferPair) throws(Failure) {
        let from =
            try keepsSource ? directories.existing(pair.source.parent) : directories.writable(pair.source)
        let to = try directories.writable(pair.target)
        let (source, target) = try onDisk("look at \(pair.source.absolute)") {
            () throws(SystemError) -> (FileStatus?, FileStatus?) in
            try (from.statusIfPresent(pair.source.name), to.statusIfPresent(pair.target.name))
        }
        guard source != nil else {
            // The source is gone: done by an earlier start, or taken by somebody.
            if context.isRerun, let target, pair.isLike(target) { return }
            throw Failure(
                "E-FILE-MISSING",
                "\(pair.source.absolute) is gone, and \(pair.target.absolute) is not that file",
                whatToDo: "somebody moved it while this step ran; find it, then run the step again")
        }
        if context.isRerun, let target, pair.isLike(target), try haveSameContent(pair, from, to) {
            return try finish(pair, from, to)
        }
        if !keepsSource, try rename(pair, from, to) { return }
        try copy(pair, from, to)
        try finish(pair, from, to)
    }

    /// The copy is in place: what remains of a move is to remove the source.
    private func finish(_ pair: TransferPair, _ from: Directory, _ to: Directory) throws(Failure) {
        guard !keepsSource else { return }
        try onDisk("finish the move of \(pair.source.absolute)") { () throws(SystemError) in
            try to.sync()
            try from.remove(pair.source.name)
        }
        directories.noteChange(of: pair.source)
    }

    /// Moves by renaming; false where the two are on different file systems.
    private func rename(_ pair: TransferPair, _ from: Directory, _ to: Directory) throws(Failure) -> Bool {
        do {
            try publish(from, pair.source.name, to, pair.target.name)
        } catch {
            guard error.isCrossDevice else { throw refusal(pair, error) }
            return false
        }
        directories.noteChange(of: pair.source)
        directories.noteChange(of: pair.target)
        return true
    }

    private func publish(_ from: Directory, _ name: String, _ to: Directory, _ newName: String)
        throws(SystemError)
    {
        guard collision != .overwrite else { return try from.renameReplacing(name, to: to, newName) }
        do { try from.rename(name, to: to, newName) } catch {
            // This file system (NFS, FAT) has no rename that never replaces; look first, then rename.
            guard error.isUnsupported else { throw error }
            guard try to.statusIfPresent(newName) == nil else {
                throw SystemError.existing("rename", newName)
            }
            try from.renameReplacing(name, to: to, newName)
        }
    }

    private func copy(_ pair: TransferPair, _ from: Directory, _ to: Directory) throws(Failure) {
        let source = try SourceFile(pair.source.name, in: from, path: pair.source.absolute)
        let temporary = TemporaryName.of(pair.target.name, context)
        try TemporaryName.clear(temporary, to)
        do throws(Failure) {
            try fill(temporary, to, from: source)
            let now = try onDisk("read \(source.path)") { () throws(SystemError) in
                try from.status(pair.source.name)
            }
            guard source.isUnchanged(now) else {
                throw Failure(
                    "E-FILE-CHANGED", "\(source.path) changed while it was copied",
                    whatToDo: "let its writer finish, then try again", retry: .transient)
            }
            do throws(SystemError) { try publish(to, temporary, to, pair.target.name) } catch {
                throw refusal(pair, error)
            }
        } catch {
            // The copy failed and is reported; a leftover dot file is replaced by the next try.
            try? to.remove(temporary)
            throw error
        }
        directories.noteChange(of: pair.target)
    }

    private func fill(_ name: String, _ to: Directory, from source: SourceFile) throws(Failure) {
        let path = to.path + "/" + name
        let copy = try onDisk("write \(path)") { () throws(SystemError) in try to.create(name, mode: 0o600) }
        try source.forEachPiece(context) { (piece) throws(Failure) in
            try onDisk("write \(path)") { () throws(SystemError) in try copy.append(piece) }
        }
        try onDisk("write \(path)") { () throws(SystemError) in
            // Never the set-uid bits: a copy belongs to whoever copies.
            try copy.setMode(source.status.mode & 0o777)
            try copy.setModified(source.status.modified)
            try copy.sync()
        }
    }

    private func haveSameContent(_ pair: TransferPair, _ from: Directory, _ to: Directory) throws(Failure)
        -> Bool
    {
        let one = try SourceFile(pair.source.name, in: from, path: pair.source.absolute)
        let two = try SourceFile(pair.target.name, in: to, path: pair.target.absolute)
        guard one.status.size == two.status.size else { return false }
        return try one.sum(.sha256, context) == two.sum(.sha256, context)
    }

    private func refusal(_ pair: TransferPair, _ error: SystemError) -> Failure {
        guard error.isExisting else {
            return Failure(cannot: "bring \(pair.source.absolute) to \(pair.target.absolute)", error)
        }
        return Failure(
            "E-FILE-EXISTS", "\(pair.target.absolute) appeared while this step ran",
            whatToDo: "remove or rename that file, then run the step again")
    }
}

/// Names of files that are not complete yet: no scan, watcher or person takes a dot name for the file.
enum TemporaryName {
    /// The same for every start of this step, so that a rerun replaces its own leftover.
    static func of(_ name: String, _ context: any StepContext) -> String {
        let mark = RunningSum.sha256(Array(context.idempotencyKey.utf8)).prefix(12)
        return ".\(name.utf8.count > 200 ? String(name.prefix(50)) : name).\(mark).part"
    }
    static func clear(_ name: String, _ directory: Directory) throws(Failure) {
        try onDisk("write in \(directory.path)") { () throws(SystemError) in
            do throws(SystemError) { try directory.remove(name) } catch  where error.isMissing {}
        }
    }
}
