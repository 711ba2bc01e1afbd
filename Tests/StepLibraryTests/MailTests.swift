// What this is: mails as text, drafts of a run, and their sending.
// Owns: a stand-in for sendmail, and an SMTP server of thirty lines in Python.
// Never: sends anything off this machine.
// On failure: the text of the mail is in the message.
import JobModel
import LinuxSystem
import Testing

@testable import StepLibrary

@Suite struct MailTests {
    static let hasPython = Host.program("python3", path: Host.environment("PATH") ?? "") != nil

    /// What Python's mail parser makes of a file: headers, text and attachments.
    private func parsed(_ file: String, _ site: TestSite) throws -> ValueMap {
        let script = """
            import email, email.policy, json, sys
            m = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
            body = m.get_body(("plain",))
            print(json.dumps({
              "headers": {k: str(v) for k, v in m.items()},
              "to": [a.addr_spec for a in m["To"].addresses] if m["To"] else [],
              "names": [a.display_name for a in m["To"].addresses] if m["To"] else [],
              "text": body.get_content().replace("\\r\\n", "\\n"), "defects": [str(d) for p in m.walk() for d in p.defects],
              "files": {p.get_filename(): p.get_payload(decode=True).decode("latin1") for p in m.iter_attachments()}}))
            """
        let outputs = try site.perform(
            "run",
            [
                "argv": .texts(["python3", "-c", script, file]), "cwd": .string(site.path),
                "parse": .string("json"),
            ])
        return outputs["json"]?.mapValue ?? [:]
    }

    @Test(.enabled(if: hasPython)) func aDraftGrowsAndIsSaved() throws {
        let site = try TestSite()
        try site.file("out/Übersicht \"3\".pdf", "PDF\r\n\u{0}bytes")
        try site.file("out/plain.txt", "x")
        let long =
            "Nachtlauf — alles grün, 3 Fragen offen und noch ein langer Satz dahinter, der umbrochen wird 🙂"
        let mail = try site.perform(
            "compose_mail",
            [
                "to": .texts(["Ada Byron <ada@example.com>", "\"Böse, Hexe\" <hexe@example.com>", "root"]),
                "bcc": .string("secret@example.com"), "from": .string("Bobbin <night@example.com>"),
                "subject": .string(long), "body": .string("Zeile 1\n.\nFrom here\n\nGrüße"),
            ], FakeContext(site, step: "1"))
        let draft = mail["draft_id"] ?? .null
        let attached = try site.perform(
            "attach_files", ["paths": .texts(["out/Übersicht \"3\".pdf", "out/plain.txt"])],
            FakeContext(site, step: "2"))
        #expect(attached["attached"] == .int(2) && attached["draft_id"] == draft)
        // Again, as after a crash: no file is attached twice.
        _ = try site.perform(
            "attach_files", ["paths": .texts(["out/plain.txt"])], FakeContext(site, step: "2"))
        _ = try site.perform(
            "save_draft", ["path": .string("out/night.eml"), "draft": draft], FakeContext(site, step: "3"))
        let read = try parsed("out/night.eml", site)
        #expect(read["headers"]?.mapValue?["Subject"] == .string(long))
        #expect(read["to"] == .texts(["ada@example.com", "hexe@example.com", "root"]))
        #expect(read["names"] == .texts(["Ada Byron", "Böse, Hexe", ""]))
        #expect(read["text"] == .string("Zeile 1\n.\nFrom here\n\nGrüße\n"))
        #expect(read["defects"] == .list([]))
        let files = read["files"]?.mapValue ?? [:]
        #expect(files.keys == ["Übersicht \"3\".pdf", "plain.txt"] && files["plain.txt"] == .string("x"))
        #expect(files.entries.first?.value == .string("PDF\r\n\u{0}bytes"))
        let text = site.text("out/night.eml") ?? ""
        #expect(!text.contains("secret@example.com"))
        for line in text.split(separator: "\r\n", omittingEmptySubsequences: false) {
            #expect(
                line.utf8.count <= 998 && !line.contains("\n") && line.utf8.allSatisfy { $0 < 0x80 },
                "\(line)")
        }
    }

    @Test func nothingBecomesAHeader() throws {
        let site = try TestSite()
        let cases: [(ValueMap, String)] = [
            (["subject": .string("a\r\nBcc: x@y.z")], "E-MAIL-HEADER"),
            (["to": .string("a@b\r\nBcc: x@y.z")], "E-MAIL-ADDRESS"),
            (["to": .string("A\nB <a@b>")], "E-MAIL-ADDRESS"),
            (["to": .string("-oQ/tmp@b")], "E-MAIL-ADDRESS"),
            (["to": .string("a@b@c")], "E-MAIL-ADDRESS"), (["to": .string("@b")], "E-MAIL-ADDRESS"),
            (["to": .string("a b@c.de")], "E-MAIL-ADDRESS"), (["to": .string("")], "E-MAIL-ADDRESS"),
            (["to": .string("a@b, c@d")], "E-MAIL-ADDRESS"), (["from": .string("<>")], "E-MAIL-ADDRESS"),
            (["attachments": .string("none.pdf")], "E-FILE-MISSING"),
        ]
        for (arguments, code) in cases {
            #expect(try site.failure("compose_mail", arguments).code == code, "\(arguments)")
        }
        #expect(try site.failure("attach_files", ["paths": .texts([])]).code == "E-MAIL-DRAFT")
        for id in ["step-9", "../step-1", "x"] {
            #expect(try site.failure("save_draft", ["draft": .string(id)]).code == "E-MAIL-DRAFT")
        }
    }

    @Test func anAddressIsNoArgumentOfSendmail() throws {
        let site = try TestSite()
        let message = try MailMessage(
            SendEmailStep.table.bind([
                "to": .texts(["a@example.com", "b@example.com"]), "subject": .string("s"),
                "body": .string("b"),
            ]),
            FakeContext(site))
        #expect(message.recipients == ["a@example.com", "b@example.com"])
        #expect(try site.failure("send_email", ["subject": .string("s")]).code == "E-MAIL-ADDRESS")
        #expect(
            try site.failure("send_email", ["to": .string("a@b.c"), "draft": .string("step-2")]).code
                == "E-STEP-PARAM")
        #expect(
            try site.failure("send_email", ["to": .string("a@b.c"), "server": .string("http://x")]).code
                == "E-STEP-PARAM")
        #expect(
            try site.failure("send_email", ["to": .string("a@b.c"), "server": .string("smtp://x")]).message
                .contains("from"))
    }

    @Test(.enabled(if: hasPython && Host.program("curl", path: Host.environment("PATH") ?? "") != nil))
    func anSmtpServerGetsTheMail() throws {
        let site = try TestSite()
        // The smallest server that curl speaks with; it writes down the conversation and says its port first.
        let server = """
            import socket
            s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(1)
            open("port", "w").write(str(s.getsockname()[1]))
            c, _ = s.accept(); f = c.makefile("rwb"); log = open("talk", "wb")
            def say(t): f.write(t.encode() + b"\\r\\n"); f.flush()
            say("220 test"); data = False
            while True:
                line = f.readline()
                if not line: break
                log.write(line); log.flush()
                if data:
                    if line == b".\\r\\n": data = False; say("250 taken")
                    continue
                verb = line[:4].upper()
                if verb == b"EHLO": say("250 test")
                elif verb == b"DATA": data = True; say("354 go on")
                elif verb == b"QUIT": say("221 bye"); break
                else: say("250 ok")
            open("end", "w").write("end")
            """
        try site.file("server.py", server)
        func shell(_ script: String) throws -> String {
            try site.perform("shell", ["script": .string(script), "cwd": .string(site.path)])["stdout"]?.text
                ?? ""
        }
        // Pipes with names: who reads one waits until the server has something to say.
        let port = try shell("mkfifo port end && { python3 server.py >server.log 2>&1 & } && cat port")
        let sent = try site.perform(
            "send_email",
            [
                "server": .string("smtp://127.0.0.1:\(port)"), "tls": .string("optional"),
                "from": .string("night@example.com"), "to": .texts(["a@example.com"]),
                "bcc": .string("b@example.com"),
                "subject": .string("s"), "body": .string("."),
            ])
        #expect(try shell("cat end") == "end")
        let talk = site.text("talk") ?? ""
        #expect(sent["recipients"] == .int(2))
        #expect(
            talk.contains("MAIL FROM:<night@example.com>") && talk.contains("RCPT TO:<b@example.com>"),
            "\(talk)")
        #expect(talk.contains("Subject: s\r\n") && !talk.contains("Bcc"))
        // Nothing stays of the mail beside the run.
        let left = try site.tree("spool/runs").keys.filter { $0.hasSuffix(".mail") }
        #expect(left.isEmpty)
    }
}
