// What this is: the one run a person means, or a sentence why it is not one.
// Owns: the wording for none and for several; the completion of run ids.
// Never: takes the first of several.
// On failure: exit 2 with the candidates.
import ArgumentParser
import BobbinDaemon
import JobModel
import SpoolQueue

enum RunChoice {
    static func one(_ text: String, _ site: Site) throws -> RunLookup.Found {
        let found = try RunLookup(site).find(text)
        if found.count == 1 { return found[0] }
        if found.isEmpty {
            Terminal.complain(
                "no run, ticket or drop is called `\(Terminal.escape(text))`; `bobbin runs` lists runs")
        } else {
            Terminal.complain("`\(Terminal.escape(text))` may be any of:")
            for item in found { Terminal.complain("  " + line(item)) }
        }
        throw ExitCode(Exit.usage)
    }
    private static func line(_ item: RunLookup.Found) -> String {
        switch item {
        case .live(let run), .ended(let run):
            "\(run.id)  \(Terminal.escape(run.acceptance.jobName))  \(run.state.text)"
        case .drop(let path, _): Terminal.escape(path)
        }
    }
}

enum RunCompletion {
    /// Ids of runs in flight and of the latest ended ones.
    static let kind = CompletionKind.custom { _, _, prefix in
        guard let path = try? SiteFinder.find(option: nil),
            let site = try? Site(path: path, mayFoundSpool: false)
        else {
            return []
        }  // no site here: no ids
        let live = Replays.live(site.spool).map(\.id.text)
        let ended = FinalFiles(site.spool).find(prefix: prefix.isEmpty ? "0" : prefix).map(\.run.text)
        return Array(Set(live + ended)).sorted()
    }
}
