// What this is: tests of a message's shape: what is a value and what is language.
// Owns: one line a rule of docs/REPORTS.md.
// Never: holds a line of a data set that the templates are measured on.
// On failure: shows message and shape.
import Testing

@testable import Reporting

private func shape(_ message: String) -> String {
    var scanner = MessageScanner(), message = message
    message.withUTF8 { scanner.scan(UnsafeRawBufferPointer($0)) }
    return String(decoding: scanner.shape, as: UTF8.self).replacing("\u{1}", with: "*")
}

@Suite("message shapes") struct MessageScannerTests {
    @Test(
        "what a rule makes of a message",
        arguments: [
            // numbers and quantities
            ("took 12 ms", "took *"), ("took 12ms.", "took *"), ("1190 bytes (1.2 KB) copied", "* copied"),
            ("lifetime <1 sec", "lifetime *"), ("lifetime 00:01", "lifetime *"), ("5 things", "* things"),
            ("at -1.5 or +3", "at * or *"), ("100 % of 3 GB free", "* of * free"),
            // ids
            ("run 01MCC5RM00000G000000000001 ended", "run * ended"), ("id deadbeefcafe", "id *"),
            ("the facade faded", "the facade faded"),
            ("card FF:AB:cd:EF:AA:BB up", "card * up"), ("peer fe80::1:2 gone", "peer * gone"),
            // paths and hosts
            ("open /var/tmp/x failed", "open * failed"), ("in ~/work", "in *"), ("ran ./configure", "ran *"),
            (#"C:\Users\me\file"#, "C : *"), ("input/output error", "input/output error"),
            ("connect db.example.org:5432", "connect *"), ("to mail.internal:25", "to *"),
            ("java.io.IOException: broken", "java.io.IOException : broken"),
            ("Connection refused.", "Connection refused"), ("user@example.org asked", "user @ * asked"),
            ("host.example.org (10.0.0.1) is gone", "* is gone"),
            // quoted text
            ("unknown key `colour` in \"a b c\"", "unknown key * in *"),
            ("can't open 'x y'", "can ' t open *"),
            ("\"GET /a/b HTTP/1.1\" 404", "GET *"), ("\"DELETE /a HTTP/1.1\" 404", "DELETE *"),
            ("an \"open quote", "an \" open quote"),
            // key=value
            ("uid=root tty=ssh", "uid = * tty = *"), ("logname= uid=0", "logname = uid = *"),
            ("name = Oracle now", "name = * now"), ("a == b", "a = = b"), ("x >= y", "x > = y"),
            // times
            ("Fri Jul 01 08:16:53 PDT 2005 began", "* began"), ("2026-11-28T20:00:00Z began", "* began"),
            ("Sun sets in May", "Sun sets in May"),
            // the shape of it all
            ("", ""), ("   ", ""), ("a  b\tc", "a b c"), ("value........ 5", "value *"), ("wait...", "wait"),
            ("ids 1, 2, 3", "ids *"), ("größe ist falsch", "größe ist falsch"),
        ]) func rule(_ message: String, _ expected: String)
    {
        #expect(shape(message) == expected, "\(message)")
    }

    @Test("any bytes have a shape, and a long message costs no more than its limits") func anything() {
        var scanner = MessageScanner()
        var seed: UInt64 = 7
        for length in [0, 1, 2, 3, 50, 8191, 8192, 8193, 100_000] {
            let bytes = (0..<length).map { _ -> UInt8 in
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: seed >> 33)
            }
            bytes.withUnsafeBytes { scanner.scan($0) }
            #expect(scanner.pieces.count <= MessageScanner.mostPieces + 2)
            #expect(scanner.shape.count <= 2 * MessageScanner.longest)
        }
    }

    @Test("shapes depend on nothing that was read before") func pure() {
        let messages = ["a 1 b", "c /x d", "", "a 1 b"]
        var scanner = MessageScanner()
        var shapes: [[UInt8]] = [], hashes: [UInt64] = []
        for var message in messages {
            message.withUTF8 { scanner.scan(UnsafeRawBufferPointer($0)) }
            shapes.append(scanner.shape)
            hashes.append(scanner.hash)
        }
        #expect(shapes[0] == shapes[3] && hashes[0] == hashes[3] && hashes[0] != hashes[1])
    }
}
