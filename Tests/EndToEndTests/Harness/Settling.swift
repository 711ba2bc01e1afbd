// What this is: bringing a battered site to rest: every drop to its end, by a person's answer where one is needed.
// Owns: the loop that resolves what is interrupted.
// Never: resolves with retry: an effect that is at most once must stay so.
// On failure: names what did not come to its end.
import LinuxSystem

extension TestSite {
    /// Waits until every drop has as many results or rejections as it is owed; answers `skip` for what is interrupted. A runner works.
    /// Gives how many answers were needed.
    @discardableResult
    func settle(seconds: Int = Signals.patience) throws -> Int {
        var answered: Set<String> = []
        try Signals.wait(
            "every drop to come to its end",
            in: ["\(spool)/done/*", "\(spool)/failed/*", "\(spool)/parked/*", "\(spool)/rejected"],
            processes: working, seconds: seconds, pace: 100
        ) {
            for name in Disk.names("\(spool)/parked/interrupted") where answered.insert(name).inserted {
                let said = try bobbin("resolve", String(name.prefix(26)), "--skip")
                // It may have gone on in the same moment; then the next look finds it elsewhere.
                if said.code != 0 { answered.remove(name) }
            }
            return owed.isEmpty ? () : nil
        }
        return answered.count
    }

    /// Names that have fewer results and rejections than they were dropped.
    private var owed: [String] {
        var ended: [String: Int] = [:]
        for root in ["done", "failed"] {
            for day in Disk.names("\(spool)/\(root)") {
                let names = Set(Disk.names("\(spool)/\(root)/\(day)"))
                let results = Set(names.filter { $0.hasSuffix(".result.yaml") }.map { $0.prefix(26) })
                for name in names where !name.hasSuffix(".result.yaml") && results.contains(name.prefix(26)) {
                    if let plain = Papers.unprefixed(name) { ended[plain, default: 0] += 1 }
                }
            }
        }
        for name in Disk.names("\(spool)/rejected") where !name.hasSuffix(".reason.yaml") {
            if let plain = Papers.unprefixed(name) { ended[plain, default: 0] += 1 }
        }
        return book.filter { ended[$0.key, default: 0] < $0.value }.map(\.key)
    }
}
