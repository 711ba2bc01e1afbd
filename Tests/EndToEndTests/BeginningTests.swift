// What this is: deaths while a runner begins, one after the other, before it has done anything.
// Owns: the calls that make the journal's files, each killed at twice in a row.
// Never: drops a job before the runner works: what is tested is that it can begin at all.
// On failure: names call and number; BOBBIN_FAULT with them in a shell shows the same.
import Testing

@Suite("beginnings", .onSites) struct BeginningTests {
    /// Killed before the number-th of these, at the first start of a site and at a later one.
    private static let calls = [
        ("pwrite", 1...14), ("fdatasync", 1...4), ("fsync", 1...8), ("renameat2", 1...4), ("unlinkat", 1...8),
    ]

    @Test("two deaths in a row never keep a runner from working", arguments: [true, false])
    func deaths(first: Bool) throws {
        for (call, numbers) in BeginningTests.calls {
            for number in numbers {
                try TestSite.use { try dieTwice($0, "\(call):\(number)", first: first) }
            }
        }
    }

    private func dieTwice(_ site: TestSite, _ point: String, first: Bool) throws {
        if !first { try site.up().killNow() }
        for _ in 1...2 {
            _ = try site.launch("main", ["run", "--until-idle"], ["BOBBIN_FAULT": "\(point):kill"]).end()
        }
        do { try site.up() } catch { throw Trouble("\(point): \(error)") }
        try site.fence("f.yaml")
    }
}
