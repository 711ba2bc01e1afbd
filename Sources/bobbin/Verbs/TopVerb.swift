// What this is: `bobbin top`: what goes on, seen as it goes on, and the keys that do something about it.
// Owns: the loop; what is read how often; that a key does what the verb of that name does.
// Never: has a way of its own to change anything.
// On failure: what cannot be read is a line on the screen; the terminal is as it was before, whatever ends it.
import ArgumentParser
import BobbinDaemon
import Glibc
import JobModel
import LinuxSystem
import RunHistory
import SpoolQueue

struct TopVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "Queues, runs, questions and failures as they go on; keys act on them.",
        discussion: """
              bobbin top
            Arrows (or j and k) choose a line; the last line says which keys do what with it: show, log, approve, deny, cancel,
            requeue, mute. What changes something asks first. Works over ssh and in 80 by 24; NO_COLOR is respected.
            Failures in groups and alerts are those of the reporter's last minute.
            """)
    @Flag(help: "Print the screen once and end; so does standard output that is no terminal.") var once =
        false
    @OptionGroup var site: SiteOption
    private static let pause = Span.seconds(2).nanoseconds

    func run() throws {
        let site = try site.open()
        var screen = TopScreen()
        screen.show(TopContent.read(site))
        guard !once, let terminal = RawTerminal() else {
            let size = RawTerminal.size
            return print(screen.lines(columns: size.columns, rows: size.rows).joined(separator: "\n"))
        }
        let signals = try SignalInbox([SIGTERM, SIGINT, SIGHUP, SIGWINCH])
        terminal.enter()
        defer { terminal.leave() }
        var asked: [String]?
        while true {
            let size = RawTerminal.size
            terminal.draw(screen.lines(columns: size.columns, rows: size.rows))
            let ready = try Waker.sleep([0, signals.fd], until: Clocks.monotonic + TopVerb.pause)
            if ready[1], let signal = signals.next(), signal != SIGWINCH { return }
            if ready[0] {
                for key in terminal.keys() {
                    if let verb = asked {
                        asked = nil
                        screen.message = ""
                        if key == .letter("y") { perform(verb, site, terminal, signals) }
                        continue
                    }
                    switch key {
                    case .quit, .letter("q"): return
                    case .up, .letter("k"): screen.move(-1)
                    case .down, .letter("j"): screen.move(1)
                    case .pageUp: screen.move(-10)
                    case .pageDown: screen.move(10)
                    case .enter, .letter: asked = act(key, &screen, site, terminal, signals)
                    }
                }
            }
            if ready == [false, false] || ready[0] { screen.show(TopContent.read(site)) }
        }
    }

    /// Does what a key says, or gives the words that somebody must say yes to.
    private func act(
        _ key: RawTerminal.Key, _ screen: inout TopScreen, _ site: Site, _ terminal: RawTerminal,
        _ signals: SignalInbox
    ) -> [String]? {
        guard let item = screen.chosen else { return nil }
        let letter: Character = if case .letter(let letter) = key { letter } else { "s" }
        guard let deed = TopScreen.deeds(item).first(where: { $0.key == letter }) else { return nil }
        guard TopScreen.needsYes(letter) else {
            perform(deed.verb, site, terminal, signals)
            return nil
        }
        screen.message = "y: yes, else no: bobbin \(deed.verb.joined(separator: " "))"
        return deed.verb
    }

    /// As if it had been typed in the shell, on the shell's screen.
    private func perform(_ verb: [String], _ site: Site, _ terminal: RawTerminal, _ signals: SignalInbox) {
        terminal.leave()
        defer { terminal.enter() }
        print("$ bobbin \(verb.joined(separator: " "))")
        // Ctrl-C ends a long log as it does in the shell, and top with it: the terminal is the shell's.
        signals.letThrough {
            do {
                var command = try Bobbin.parseAsRoot(verb + ["--site", site.path])
                try command.run()
            } catch is ExitCode {
                // The verb has said why.
            } catch { Terminal.complain(Bobbin.fullMessage(for: error)) }
        }
        print("\n(Enter goes back)")
        fflush(nil)
        // A line of the shell's terminal; at its end, or with a signal, there is nobody to wait for.
        while true {
            guard let ready = try? Waker.sleep([0, signals.fd], until: nil) else { return }
            // A window that is made larger, for the words to be read, is no reason to take them away.
            if ready[1] { if signals.next() == SIGWINCH { continue } else { return } }
            guard ready[0] else { continue }
            var byte: UInt8 = 0
            guard read(0, &byte, 1) == 1, byte != UInt8(ascii: "\n") else { return }
        }
    }
}

/// What the screen shows, read now.
enum TopContent {
    private static let most = 200, mostFailed = 20

    static func read(_ site: Site) -> TopScreen.Content {
        var content = TopScreen.Content()
        let now = Terminal.now
        do {
            let view = try SiteView(site)
            content.trouble = trouble(view)
            content.queues = view.queues.map { row in
                TopScreen.Queue(
                    name: row.policy.name.text + (row.isPaused ? " (paused)" : ""),
                    waiting: row.waiting.map { $0 }, running: "\(row.running)/\(row.policy.maxConcurrent)",
                    parked: row.parked.values.reduce(0, +),
                    oldest: row.oldest.map { Terminal.age(now.since($0)) } ?? "·")
            }
            let waiting = view.queues.reduce(0) { $0 + $1.waiting.reduce(0, +) }
            let alive = view.runners.count(where: \.isAlive)
            let time = now.civil(
                offsetSeconds: Clocks.zoneOffset(atSeconds: now.seconds), withMilliseconds: false
            )
            .dropFirst(11).prefix(8)
            content.head =
                "Bobbin  \(time)  \(alive) runner\(alive == 1 ? "" : "s")  \(waiting) waiting  today \(view.doneToday) done, \(view.failedToday) not  \(Terminal.escape(site.path))"
            content.sections = runs(view, now)
        } catch let problem as ConfigurationProblem {
            content.trouble = problem.text.split(whereSeparator: \.isNewline).map(String.init)
        } catch { content.trouble = ["the site cannot be read: \(error)"] }
        do { content.sections += try failed(site) } catch {
            content.trouble.append("the index cannot be read: \(error)")
        }
        content.sections = reported(site, now) + content.sections
        return content
    }

    private static func trouble(_ view: SiteView) -> [String] {
        var lines: [String] = []
        if !view.isAnyoneWorking { lines.append("nobody is working: start with `bobbin up`") }
        if view.isDiskFull { lines.append("the disk is full: drops stay where they are until there is room") }
        if view.isDraining { lines.append("draining: nothing new starts") }
        if !view.troubledFiles.isEmpty { lines.append("errors in a file of ops/: bobbin status") }
        return lines
    }

    private static func runs(_ view: SiteView, _ now: Timestamp) -> [TopScreen.Section] {
        var running: [TopScreen.Item] = [], asking: [TopScreen.Item] = [], waiting: [TopScreen.Item] = []
        for run in view.live where run.finalState == nil {
            let job = Terminal.escape(run.acceptance.jobName)
            func item(_ kind: TopScreen.Item.Kind, _ what: String, _ color: Terminal.Color?) -> TopScreen.Item
            {
                .init(kind: kind, id: run.id.text, text: "\(run.id.text)  \(job)  \(what)", color: color)
            }
            if case .waiting(let wait) = run.state {
                let age = Terminal.age(now.since(wait.since))
                let until = wait.until.map { ", due in \(Terminal.age($0.since(now)))" } ?? ""
                let text = "\(wait.reason.rawValue) for \(age)\(until)"
                if wait.reason == .approval {
                    asking.append(item(.asking, text, .yellow))
                } else {
                    waiting.append(item(.waiting, text, wait.reason == .interrupted ? .red : nil))
                }
                continue
            }
            let steps = run.openSteps
            let what =
                steps.first.map {
                    "step \($0.label) \(Terminal.escape($0.title)), \(Terminal.age(now.since($0.startedAt)))"
                        + (steps.count > 1 ? ", and \(steps.count - 1) beside it" : "")
                } ?? run.state.text
            running.append(item(.running, what, .green))
        }
        func section(_ title: String, _ items: [TopScreen.Item]) -> TopScreen.Section {
            .init(title: title, items: Array(items.prefix(most)), count: items.count)
        }
        return [section("Asking", asking), section("Running", running), section("Waiting", waiting)]
    }

    private static func failed(_ site: Site) throws -> [TopScreen.Section] {
        guard site.spool.isOwn, let history = try RunHistory.reader(path: IndexFiles.path(site.spool)) else {
            return []
        }
        let filter = RunFilter(
            states: [.failed, .timedOut], since: Terminal.now.adding(.seconds(-86_400)), limit: mostFailed)
        let items = try history.runs(filter).map { run in
            let why = run.error.map { "\($0.message) [\($0.code)]" } ?? run.state.rawValue
            let line = why.split(whereSeparator: \.isNewline).joined(separator: " ")
            return TopScreen.Item(
                kind: .failed, id: run.id.text,
                text: "\(run.id.text)  \(Terminal.escape(run.job))  \(Terminal.escape(line))", color: .red)
        }
        return [.init(title: "Failed lately", items: items, count: items.count)]
    }

    /// Alerts and clusters as the reporter wrote them; where it did not, there are none here.
    private static func reported(_ site: Site, _ now: Timestamp) -> [TopScreen.Section] {
        // Guests may not read reports/, and a site without a reporter has none.
        guard let file = try? site.spool.site.directory(SpoolName.reports).openForReading(ReportFiles.json),
            let bytes = try? file.read(upTo: 16 << 20), let map = (try? JSONReader.read(bytes))?.mapValue
        else { return [] }
        let alerts = (map["alerts"]?.listValue ?? []).compactMap { value -> TopScreen.Item? in
            guard let alert = value.mapValue, let level = alert["severity"]?.stringValue,
                let id = alert["alert"]?.stringValue
            else { return nil }
            let known = alert["acknowledged"] == nil ? "" : " (known)"
            return TopScreen.Item(
                kind: .alert, id: id,
                text: "\(level)\(known)  \(Terminal.escape(alert["sentence"]?.stringValue ?? id))",
                color: level == "critical" ? .red : .yellow)
        }
        let clusters = (map["top_failure_clusters_24h"]?.listValue ?? []).compactMap {
            value -> TopScreen.Item? in
            guard let cluster = value.mapValue, let id = cluster["cluster"]?.stringValue else { return nil }
            let count = cluster["count"]?.intValue ?? 0, status = cluster["status"]?.stringValue ?? ""
            return TopScreen.Item(
                kind: .cluster, id: id,
                text:
                    "\(count)  \(Terminal.escape(id))  \(Terminal.escape(cluster["display_name"]?.stringValue ?? ""))\(status == "known" ? "" : "  \(status)")",
                color: status == "known" ? nil : .yellow)
        }
        return [
            .init(title: "Alerts", items: alerts, count: alerts.count),
            .init(title: "Kinds of failures in 24 h", items: clusters, count: clusters.count),
        ]
    }
}
