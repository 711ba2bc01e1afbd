// What this is: the steps that hand work to other programs: pdf_*, ssh, notify.
// Owns: stand-ins for those programs, which write down what they were asked.
// Never: needs the real ones; where qpdf is installed, it is asked too.
// On failure: the arguments that the stand-in got are in the message.
import JobModel
import LinuxSystem
import Testing

@testable import StepLibrary

@Suite struct ToolTests {
    private func context(_ site: TestSite) -> FakeContext {
        let context = FakeContext(site)
        context.searchPath = site.programs
        return context
    }

    // MARK: pdf

    /// A stand-in for qpdf: a "PDF" of it is a file with a line for each page.
    private static let qpdf = """
        if [ "$1" = --show-npages ]; then grep -c . "$3"; exit 0; fi
        [ "$1" = --empty ] && [ "$2" = --pages ] || { echo "what? $*" >&2; exit 2; }
        shift 2; out=""; for last in "$@"; do out=$last; done
        : > "$out"
        while [ "$1" != -- ]; do
          case "$2" in 1-z) cat "$1" ;; *) for p in $(echo "$2" | tr , ' '); do sed -n "$(echo $p | tr - ,)p" "$1"; done ;; esac >> "$out"
          shift 2
        done
        [ -e "$BAD" ] && exit 2; exit 3
        """

    @Test func pagesAreJoinedAndTakenOut() throws {
        let site = try TestSite()
        try site.program("qpdf", ToolTests.qpdf)
        try site.file("in/b.pdf", "b1\nb2\n")
        try site.file("in/a.PDF", "a1\na2\na3\n")
        try site.file("in/note.txt", "x\n")
        let merged = try site.perform(
            "pdf_merge", ["inputs_from": .string("in"), "out": .string("out/all.pdf")], context(site))
        #expect(merged["page_count"] == .int(5) && merged["merged"] == .int(2))
        #expect(site.text("out/all.pdf") == "a1\na2\na3\nb1\nb2\n")
        let some = try site.perform(
            "pdf_extract_pages",
            ["input": .string("out/all.pdf"), "pages": .string("1, 4-end"), "out": .string("out/some.pdf")],
            context(site))
        #expect(some["page_count"] == .int(3) && site.text("out/some.pdf") == "a1\nb1\nb2\n")
        let checked = try site.perform(
            "assert_pdf_pages", ["path": .string("out/all.pdf"), "expected_pages": .int(5)], context(site))
        #expect(checked["status"] == .string("PASS") && checked["actual_pages"] == .int(5))
        #expect(try site.folder("out").names().sorted() == ["all.pdf", "some.pdf"])
    }

    @Test func whatPdfStepsRefuse() throws {
        let site = try TestSite()
        try site.program("qpdf", ToolTests.qpdf)
        try site.file("a.pdf", "1\n2\n")
        let input: ValueMap = ["input": .string("a.pdf"), "out": .string("o.pdf")]
        for (pages, code) in [
            ("3", "E-PDF-PAGES"), ("0", "E-PDF-PAGES"), ("-1", "E-PDF-PAGES"), ("1-", "E-PDF-PAGES"),
            ("x", "E-PDF-PAGES"), ("", "E-PDF-PAGES"), ("1;2", "E-PDF-PAGES"), ("1-2-3", "E-PDF-PAGES"),
            ("--help", "E-PDF-PAGES"),
        ] {
            var arguments = input
            arguments["pages"] = .string(pages)
            #expect(try site.failure("pdf_extract_pages", arguments, context(site)).code == code, "\(pages)")
        }
        #expect(
            try site.failure(
                "assert_pdf_pages", ["path": .string("a.pdf"), "min_pages": .int(3)], context(site)
            ).code
                == "E-ASSERT-PDF")
        #expect(
            try site.failure("assert_pdf_pages", ["path": .string("a.pdf")], context(site)).code
                == "E-STEP-PARAM")
        #expect(
            try site.failure(
                "pdf_merge", ["inputs": .texts(["none.pdf"]), "out": .string("o.pdf")], context(site)
            ).code == "E-FILE-MISSING")
        #expect(
            try site.failure("pdf_merge", ["inputs": .list([]), "out": .string("o.pdf")], context(site)).code
                == "E-FILE-MISSING")
        try site.file("o.pdf", "old\n")
        #expect(
            try site.failure(
                "pdf_merge",
                ["inputs": .texts(["a.pdf"]), "out": .string("o.pdf"), "collision": .string("fail")],
                context(site)
            ).code == "E-FILE-EXISTS")
        #expect(
            try site.failure(
                "pdf_merge", ["inputs": .texts(["a.pdf"]), "out": .string("ops/o.pdf")], context(site)
            ).code == "E-PATH-PROTECTED")
        let missing = FakeContext(site)
        missing.searchPath = "/nowhere"
        #expect(
            try site.failure("assert_pdf_pages", ["path": .string("a.pdf"), "min_pages": .int(3)], missing)
                .code
                == "E-PDF-TOOL")
        #expect(site.text("o.pdf") == "old\n")
    }

    /// The smallest file that qpdf takes for a PDF of so many pages.
    private static func pdf(pages: Int) -> String {
        let kids = (0..<pages).map { "\($0 + 3) 0 R" }.joined(separator: " ")
        var text = "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
        text += "2 0 obj\n<< /Type /Pages /Kids [ \(kids) ] /Count \(pages) >>\nendobj\n"
        for page in 0..<pages {
            text += "\(page + 3) 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [ 0 0 72 72 ] >>\nendobj\n"
        }
        return text + "trailer\n<< /Root 1 0 R /Size \(pages + 3) >>\nstartxref\n0\n%%EOF\n"
    }

    @Test(.enabled(if: Host.program("qpdf", path: Host.environment("PATH") ?? "") != nil))
    func theRealQpdfDoesTheSame() throws {
        let site = try TestSite()
        try site.file("in/a.pdf", ToolTests.pdf(pages: 3))
        try site.file("in/b.pdf", ToolTests.pdf(pages: 2))
        let merged = try site.perform(
            "pdf_merge", ["inputs": .texts(["in/b.pdf", "in/a.pdf"]), "out": .string("all.pdf")])
        #expect(merged["page_count"] == .int(5))
        let some = try site.perform(
            "pdf_extract_pages",
            ["input": .string("all.pdf"), "pages": .string("1,3-5"), "out": .string("some.pdf")])
        #expect(some["page_count"] == .int(4))
        _ = try site.perform("assert_pdf_pages", ["path": .string("some.pdf"), "expected_pages": .int(4)])
        try site.file("bad.pdf", "no pdf at all")
        #expect(
            try site.failure("assert_pdf_pages", ["path": .string("bad.pdf"), "min_pages": .int(1)]).code
                == "E-PDF")
    }

    // MARK: ssh

    @Test func argumentsReachTheOtherSideAsTheyAre() throws {
        let site = try TestSite()
        // A stand-in for ssh and for the shell of the other side.
        try site.program("ssh", "for last in \"$@\"; do :; done; exec /bin/sh -c \"$last\"")
        let hostile = [
            "a b", "$HOME", "`id`", "'", "''\\''", "\"", "*", ";true", "\n", "-x", "é", "\\",
            "$(touch pwned)", "a'\u{301} ; touch pwned; '", "'\u{200D}; touch pwned; '",
            "'\u{600}$(touch pwned)'",
        ]
        let outputs = try site.perform(
            "ssh", ["host": .string("web1"), "argv": .texts(["printf", "%s|"] + hostile)], context(site))
        #expect(outputs["stdout"]?.text == hostile.map { $0 + "|" }.joined())
        #expect(!site.exists("pwned"))
        #expect(outputs["exit_code"] == .int(0))
    }

    @Test func sshIsCalledWithoutQuestions() throws {
        let site = try TestSite()
        try site.program("ssh", "for a in \"$@\"; do printf '%s\\n' \"$a\"; done")
        let outputs = try site.perform(
            "ssh",
            [
                "host": .string("web1"), "argv": .texts(["true"]), "user": .string("deploy"),
                "port": .int(2222),
                "identity": .string("keys/id"), "known_hosts": .string("keys/known"),
                "parse": .string("lines"),
            ], context(site))
        let words = (outputs["lines"]?.listValue ?? []).map(\.text)
        for wanted in [
            "BatchMode=yes", "StrictHostKeyChecking=yes", "2222", "deploy", "\(site.path)/keys/id",
            "IdentitiesOnly=yes",
        ] {
            #expect(words.contains(wanted), "\(words)")
        }
        #expect(Array(words.suffix(3)) == ["--", "web1", "'true'"])
        for host in ["-oProxyCommand=touch pwned", "a b", "", "a;b", "$(id)", "a\nb"] {
            let failure = try site.failure(
                "ssh", ["host": .string(host), "argv": .texts(["true"])], context(site))
            #expect(failure.code == "E-STEP-PARAM", "\(host)")
        }
    }

    @Test func aHostThatIsNotReachedIsToldFromAProgramThatFails() throws {
        let site = try TestSite()
        try site.program("ssh", "echo 'Host key verification failed.' >&2; exit ${CODE:-255}")
        let lost = try site.failure("ssh", ["host": .string("h"), "argv": .texts(["true"])], context(site))
        #expect(lost.code == "E-SSH" && lost.retry == .transient && lost.message.contains("Host key"))
        #expect(lost.target == .unknown)
        try site.folder("bin").remove("ssh")
        try site.program("ssh", "echo 'ssh: connect to host h port 22: No route to host' >&2; exit 255")
        let down = try site.failure("ssh", ["host": .string("h"), "argv": .texts(["true"])], context(site))
        #expect(down.target == .down("E-SSH"))
        try site.folder("bin").remove("ssh")
        try site.program("ssh", "exit 4")
        let failed = try site.failure("ssh", ["host": .string("h"), "argv": .texts(["true"])], context(site))
        #expect(failed.code == "E-EXIT" && failed.exitCode == 4 && failed.target == .answered)
    }

    // MARK: notify

    private func notifier(_ site: TestSite, _ name: String, _ script: String) throws {
        let file = try site.folder("ops/notify.d").create(name, mode: 0o755)
        try file.append(Array(("#!/bin/sh\n" + script + "\n").utf8))
    }

    @Test func aNotifierGetsTheMessage() throws {
        let site = try TestSite()
        try notifier(site, "ops", "cat > told.json")
        let outputs = try site.perform(
            "notify",
            [
                "to": .string("ops"), "message": .string("disk \"full\""), "title": .string("t"),
                "details": .map(["n": .int(3)]),
            ])
        #expect(outputs["notified"] == .texts(["ops"]))
        let told = try JSONReader.read(Array((site.text("told.json") ?? "").utf8)).mapValue ?? [:]
        #expect(told["message"] == .string("disk \"full\"") && told["details"] == .map(["n": .int(3)]))
        #expect(told["level"] == .string("info") && told["run"]?.text.isEmpty == false)
    }

    @Test func nobodyIsToldHalfOfIt() throws {
        let site = try TestSite()
        try notifier(site, "ops", "touch told")
        try notifier(site, "bad", "echo no such room >&2; exit 1")
        for name in ["none", "../ops/notify.d/ops", ".hidden", "", "a b"] {
            let failure = try site.failure("notify", ["to": .texts(["ops", name]), "message": .string("x")])
            #expect(failure.code == "E-NOTIFY" && failure.retry == .never, "\(name)")
        }
        #expect(!site.exists("told"))
        let failed = try site.failure("notify", ["to": .string("bad"), "message": .string("x")])
        #expect(
            failed.code == "E-NOTIFY" && failed.message.contains("no such room") && failed.retry == .transient
        )
    }

    @Test func anEventIsALineOfJSON() throws {
        let site = try TestSite()
        let context = FakeContext(site)
        _ = try site.perform(
            "log_event",
            ["message": .string("two\nlines"), "level": .string("warn"), "details": .map(["a": .int(1)])],
            context)
        #expect(context.lines.count == 1)
        let event = try JSONReader.read(Array(context.lines[0].utf8)).mapValue ?? [:]
        #expect(event["message"] == .string("two\nlines") && event["details"] == .map(["a": .int(1)]))
    }
}
