// What this is: the JSON reader against RFC 8259.
// Owns: nothing.
// Never: touches the disk.
// On failure: the text in question is in the message.
import Testing

@testable import JobModel

@Suite struct JSONReaderTests {
    static let good: [(String, Value)] = [
        ("null", .null), (" true\n", .bool(true)), ("0", .int(0)), ("-12", .int(-12)), ("1.0", .double(1)),
        ("1e2", .double(100)), ("9223372036854775807", .int(.max)),
        ("9223372036854775808", .double(9.223372036854775808e18)),
        ("\"\"", .string("")), (#""\"\\\/\b\f\n\r\t""#, .string("\"\\/\u{8}\u{c}\n\r\t")),
        (#""é😀""#, .string("é😀")), ("\"é😀\"", .string("é😀")), ("[]", .list([])), ("{}", .map([:])),
        ("[1,[2],{}]", .list([.int(1), .list([.int(2)]), .map([:])])),
        (#"{"b":1,"a":{"c":null}}"#, .map(["b": .int(1), "a": .map(["c": .null])])),
        (#"{"a":1,"a":2}"#, .map(["a": .int(2)])),
    ]
    @Test(arguments: good) func goodTextIsRead(text: String, value: Value) throws {
        #expect(try JSONReader.read(Array(text.utf8)) == value)
    }

    @Test(arguments: [
        "", " ", "nul", "NaN", "'a'", "01", "-", "1.", ".5", "1e", "+1", "1 2", "[1,]", "[1", "{\"a\":1,}",
        "{a:1}",
        "{\"a\" 1}", "\"a", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"a\nb\"", "1e999",
        "// x\n1",
        "[1]]", "\u{FEFF}1",
    ])
    func badTextIsRefused(text: String) {
        #expect(throws: JSONProblem.self) { try JSONReader.read(Array(text.utf8)) }
    }

    @Test func bytesThatAreNotTextAreRefused() {
        #expect(throws: JSONProblem.self) { try JSONReader.read([0x22, 0xFF, 0x22]) }
    }
    @Test func depthIsBounded() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: JSONProblem.self) { try JSONReader.read(Array(deep.utf8)) }
    }
    @Test func aProblemHasItsPlace() {
        #expect { try JSONReader.read(Array("{\n  \"a\": x}".utf8)) } throws: { error in
            "\(error)" == "line 2, column 8: this begins no value"
        }
    }
    @Test func whatIsWrittenIsReadBack() throws {
        let value = Value.map([
            "t": .string("ä\u{1}\"\\\n"), "n": .list([.double(0.1), .int(-3), .null, .bool(false)]),
        ])
        #expect(try JSONReader.read(Array(JSONText.write(value).utf8)) == value)
        #expect(try JSONReader.read(Array(JSONText.write(value, pretty: true).utf8)) == value)
    }
}
