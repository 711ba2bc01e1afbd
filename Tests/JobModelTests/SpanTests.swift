// What this is: lengths of time and sizes: what people write as numbers with a unit.
// Owns: reading and writing of Span and of ByteSize.
// Never: waits.
// On failure: the text or the policy is in the message.
// Expected values are written out or computed in whole numbers, never by the code under test.
import TestKit
import Testing

@testable import JobModel

@Suite struct SpanTests {
    @Test(
        arguments: [
            ("90s", 90_000), ("1h30m", 5_400_000), ("1.5s", 1_500), ("250ms", 250), ("90", 90_000), ("0", 0),
            ("2d", 172_800_000),
            ("1d1h1m1s1ms", 90_061_001), (".5s", 500), ("5.s", 5_000), ("0.25h", 900_000),
            ("30m1h", 5_400_000),
        ] as [(String, Int64)])
    func reads(text: String, milliseconds: Int64) { #expect(Span(text) == .milliseconds(milliseconds)) }

    @Test(arguments: [
        "", " ", "s", "-1s", "+1s", "1x", "1 s", "1s ", "1.2.3s", "1e3", "1s5", "5 5", "inf", "nan", "0x10",
        "1w", "1S", "1M",
        "٣s", "1é", "36601d", "99999999999999999999s", "1\u{0}",
    ])
    func refuses(text: String) { #expect(Span(text) == nil) }

    @Test func valuesOfTheLanguage() {
        #expect(Span(Value.int(90)) == .seconds(90))
        #expect(Span(Value.int(-1)) == nil)
        #expect(Span(Value.double(1.5)) == .milliseconds(1_500))
        #expect(
            Span(Value.double(.nan)) == nil && Span(Value.double(.infinity)) == nil
                && Span(Value.double(-1)) == nil)
        #expect(Span(Value.string("2h")) == .seconds(7_200))
        #expect(Span(Value.bool(true)) == nil && Span(Value.null) == nil && Span(Value.list([])) == nil)
        #expect(Span(Value.int(.max)) == nil && Span(Value.double(3e9)) == nil)
    }
    @Test func aFractionOfSecondsIsNotCutShort() {
        let wrong = (Int64(0)..<3000).filter {
            Span(Value.double(Double($0) / 1000)) != .milliseconds($0)
        }
        #expect(wrong.isEmpty)
    }
    @Test func textReadsBack() {
        var random = SeededRandom(seed: 1)
        for bound in [1000, 100_000, 86_400_000, 500_000_000_000] {
            for _ in 0..<500 {
                let span = Span.milliseconds(Int64(random.below(bound)))
                #expect(Span(span.text) == span, "\(span.text)")
            }
        }
    }
    @Test func longTextReadsBackToo() {
        var random = SeededRandom(seed: 2)
        let spans = (0..<500).map { _ in
            Span.milliseconds(Int64.random(in: 600_000_000_000...3_162_240_000_000, using: &random))
        }
        #expect(spans.filter { Span($0.text) != $0 }.isEmpty)
    }
    @Test func readingIsTotal() {
        var random = SeededRandom(seed: 3)
        let pieces = Array("0123456789.dhms +-ex\u{0}é")
        for _ in 0..<20_000 {
            let text = String((0...random.below(12)).map { _ in random.pick(pieces) })
            if let span = Span(text) {
                #expect((0...Span.longest.nanoseconds).contains(span.nanoseconds), "\(text)")
            }
        }
    }
}

@Suite struct ByteSizeTests {
    @Test(arguments: [
        ("0", 0), ("512", 512), ("512B", 512), ("64KiB", 65_536), ("10MB", 10_000_000), ("1 GiB", 1 << 30),
        ("2TB", 2_000_000_000_000),
        ("3K", 3072), ("1M", 1 << 20), ("1TiB", 1 << 40), ("7KB", 7000),
    ])
    func reads(text: String, bytes: Int) { #expect(ByteSize(.string(text))?.bytes == bytes) }

    @Test(arguments: [
        "", "KB", "-1", "+1", "1.5MB", "1kb", "1 KB MB", "99999999999999999999", "9999999TiB", "0x10", "٣",
        "1_000",
    ])
    func refuses(text: String) { #expect(ByteSize(.string(text)) == nil) }

    @Test func numbers() {
        #expect(ByteSize(.int(7))?.bytes == 7)
        #expect(
            ByteSize(.int(-7)) == nil && ByteSize(.double(7)) == nil && ByteSize(.bool(true)) == nil
                && ByteSize(.null) == nil)
    }
}
