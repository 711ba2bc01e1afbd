// What this is: waiting for runs to end, woken by the directories in which ends appear.
// Owns: the watches on done/, failed/, rejected/ and parked/; a look of its own every second, since hints may be lost.
// Never: needs a daemon or an index.
// On failure: SystemError.
import BobbinDaemon
import JobModel
import LinuxSystem
import SpoolQueue

struct RunWaiter {
    private let site: Site
    init(_ site: Site) { self.site = site }

    /// Waits for all; prints each end. Keys are run ids or tickets. Returns the worst exit code.
    func wait(_ keys: [String], showSteps: Bool) throws -> Int32 {
        var open = keys
        var worst: Int32 = 0
        var shown: [String: Int] = [:]
        while true {
            let watch = try watches()
            for key in open {
                guard let code = try look(key, showSteps: showSteps, &shown) else { continue }
                worst = max(worst, code)
                open.removeAll { $0 == key }
            }
            if open.isEmpty { return worst }
            _ = try Waker.sleep(
                [watch.fd], until: Clocks.monotonic + (showSteps ? 200_000_000 : 1_000_000_000))
        }
    }

    /// Made anew each time: a new day's directory is then watched too.
    private func watches() throws -> DirectoryWatch {
        let watch = try DirectoryWatch()
        let today = Timestamp(nanoseconds: Clocks.wall).utcDay
        for root in site.spool.finalRoots() {
            try watch.add(root, tag: 1)
            // Not there before the first end of the day; the root's watch tells when it is.
            if let day = try? root.directory(today) { try watch.add(day, tag: 1) }
        }
        try watch.add(site.spool.rejected, tag: 1)
        for parked in site.spool.parked.values { try watch.add(parked, tag: 1) }
        return watch
    }

    private func look(_ key: String, showSteps: Bool, _ shown: inout [String: Int]) throws -> Int32? {
        for found in try RunLookup(site).find(key) {
            switch found {
            case .ended(let record):
                if showSteps { show(record, key, &shown) }
                print(RunText.ended(record))
                return RunText.code(record)
            case .live(let record):
                if showSteps { show(record, key, &shown) }
                let code = RunText.code(record)
                if code == Exit.needsHuman {
                    print("\(record.id)  \(Terminal.escape(record.acceptance.jobName))  \(record.state.text)")
                    return code
                }
            case .drop: break
            }
        }
        return try rejection(key)
    }
    private func show(_ record: RunRecord, _ key: String, _ shown: inout [String: Int]) {
        let ended = record.steps.filter { $0.endedAt != nil }
        for step in ended.dropFirst(shown[key] ?? 0) { StepLine.show(step) }
        shown[key] = ended.count
    }

    /// Prints why a drop was sent back; nil when it was not.
    func rejection(_ key: String) throws -> Int32? {
        guard
            let name = try site.spool.rejected.names().first(where: {
                $0.contains(".\(key).") && $0.hasSuffix(FinalName.reasonEnding) && !$0.hasPrefix(".")
            })
        else { return nil }
        let text = String(
            decoding: try site.spool.rejected.openForReading(name).read(upTo: 65_536), as: UTF8.self)
        Terminal.complain("rejected: spool/rejected/\(name)\n\(text)")
        return Exit.malformed
    }

    /// The run that a ticket becomes.
    func untilClaimed(_ ticket: String) throws -> RunRecord {
        while true {
            let watch = try watches()
            for found in try RunLookup(site).find(ticket) {
                switch found {
                case .live(let record), .ended(let record): return record
                case .drop: break
                }
            }
            _ = try Waker.sleep([watch.fd], until: Clocks.monotonic + 200_000_000)
        }
    }
}
