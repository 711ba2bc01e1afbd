// What this is: kill -9 at moments that nobody chose, in a stream of jobs of every kind.
// Owns: the seeded campaign.
// Never: accepts a drop that is lost, an at-most-once step that ran twice, a result that is not whole.
// On failure: prints the seed; BOBBIN_SEED repeats it.
import Glibc
import LinuxSystem
import Testing

@Suite("kill -9", .onSites, .serialized) struct KillTests {
    /// Each kind of step that a crash treats differently.
    private func text(_ site: TestSite, _ id: String, _ kind: Int) -> String {
        switch kind % 4 {
        case 0: job([site.effect(id, "once1"), site.effect(id, "once2")])
        case 1: job([site.effect(id, "again") + "\n    idempotent: true", site.effect(id, "once")])
        case 2:
            job([
                "log: one", "log: two",
                "write_file: {path: \(site.path)/outside/\(id).out, content: \"\(id)\"}",
            ])
        default:
            job([
                site.effect(id, "once"),
                "run: [sh, -c, \"test $BOBBIN_ATTEMPT -ge 2\"]\n    retry: {max_attempts: 3, base_delay: 20ms}",
            ])
        }
    }

    @Test("50 random moments in a stream of jobs: nothing lost, nothing twice") func random() throws {
        var chance = Chance("kill -9 at random moments")
        try TestSite.use { try stream($0, &chance) }
    }

    private func stream(_ site: TestSite, _ chance: inout Chance) throws {
        var dropped = 0
        for round in 1...50 {
            let runner = try site.launch("main", ["up"])
            for _ in 0..<Int.random(in: 1...6, using: &chance) {
                dropped += 1
                let queue =
                    ["default", "high_priority", "background"].randomElement(using: &chance) ?? "default"
                try site.drop(
                    "k\(dropped).yaml", text(site, "k\(dropped)", dropped), queue,
                    Int.random(in: 1...9, using: &chance))
                if Bool.random(using: &chance) {
                    _ = try runner.end(withinMilliseconds: Int.random(in: 0...20, using: &chance))
                }
            }
            // Early kills hit the start and its recovery, late ones publishing and the index.
            let early = try runner.end(
                withinMilliseconds: Int.random(in: 0...(round % 3 == 0 ? 400 : 120), using: &chance))
            #expect(early == nil, "the runner ended by itself: \(runner.said)")
            try runner.killNow()
        }
        try site.up()
        let answered = try site.settle(seconds: 120)
        print("kill -9: \(dropped) jobs, \(answered) interrupted and resolved")
        try everythingRan(site, dropped)
    }

    private func everythingRan(_ site: TestSite, _ count: Int) throws {
        for number in 1...count {
            let id = "k\(number)"
            guard let result = try site.results(of: "\(id).yaml").first else { continue }
            // A run that was never interrupted has done all of its steps.
            guard result.node("waits")?.items?.contains(where: { $0.text("reason") == "interrupted" }) != true
            else { continue }
            #expect(result.state == "succeeded", "\(result)")
            switch number % 4 {
            case 0: #expect(site.count(id, "once1") == 1 && site.count(id, "once2") == 1)
            case 1: #expect(site.count(id, "again") >= 1 && site.count(id, "once") == 1)
            case 2: #expect(Disk.text("\(site.path)/outside/\(id).out") == id)
            default: #expect(site.count(id, "once") == 1)
            }
        }
    }
}
