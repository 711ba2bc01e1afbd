// What this is: binding of rendered values to the typed parameters of a step.
// Owns: which value fits which kind, defaults, required parameters, the sentence of a refusal; what may be repeated.
// Never: performs a step.
// On failure: kind and value are in the message.
// The table says for each kind which of the sample values fit.
import JobModel
import TestKit
import Testing

private let samples: [(name: String, value: Value)] = [
    ("null", .null), ("flag", .bool(true)), ("int", .int(7)), ("double", .double(2.5)),
    ("text", .string("x")), ("span", .string("90s")),
    ("size", .string("64KiB")), ("list", .list(["a", .int(1)])), ("nested", .list([.list([])])),
    ("map", .map(["k": .int(1)])),
]

@Suite struct StepTypeTests {
    static let table: [(Parameter.Kind, Set<String>)] = [
        (.any, ["null", "flag", "int", "double", "text", "span", "size", "list", "nested", "map"]),
        (.text, ["flag", "int", "double", "text", "span", "size"]), (.integer, ["int"]),
        (.number, ["int", "double"]),
        (.flag, ["flag"]), (.span, ["int", "double", "span"]), (.size, ["int", "size"]), (.map, ["map"]),
        (.list, ["list", "nested"]),
        (.texts, ["flag", "int", "double", "text", "span", "size", "list"]), (.choice(["x", "y"]), ["text"]),
        (.script, ["text", "span", "size", "map"]), (.condition, ["flag", "text", "span", "size"]),
    ]

    @Test func whatFitsWhere() {
        for (kind, fitting) in StepTypeTests.table {
            for sample in samples {
                #expect(
                    (kind.accept(sample.value) != nil) == fitting.contains(sample.name),
                    "\(kind) takes \(sample.name)")
            }
        }
    }
    @Test func aSingleFlagIsATextAsInAList() {
        #expect(Parameter.Kind.texts.accept(.list([.bool(true)])) == .list(["true"]))
        #expect(Parameter.Kind.texts.accept(.bool(true)) == .list(["true"]))
    }
    @Test func formsAfterBinding() {
        #expect(Parameter.Kind.span.accept(.int(90)) == .string("1m30s"))
        #expect(Parameter.Kind.size.accept(.string("1KiB")) == .int(1024))
        #expect(Parameter.Kind.texts.accept(.list([.int(1), "a"])) == .list(["1", "a"]))
        #expect(Parameter.Kind.text.accept(.double(2)) == .string("2.0"))
    }

    static let type = StepType(
        "probe", "a probe",
        parameters: [
            Parameter("must", .integer, required: true, ""), Parameter("may", .text, default: "standard", ""),
            Parameter("free", .any, ""),
        ], shorthand: "must", retryClass: .atMostOnce, example: "probe: 1")

    @Test func defaultsAreFilledIn() throws {
        let bound = try StepTypeTests.type.bind(["must": .int(1)])
        #expect(bound == ["must": .int(1), "may": "standard", "free": .null])
        #expect(try StepTypeTests.type.bind(["must": .int(1), "may": .null])["may"] == "standard")
        #expect(try StepTypeTests.type.bind(["must": .int(1), "may": .int(5)])["may"] == "5")
    }
    @Test(
        arguments: [[:], ["must": .null], ["must": "1"], ["must": .int(1), "may": .list([])]] as [ValueMap])
    func refusals(values: ValueMap) {
        let failure = #expect(throws: Failure.self) { try StepTypeTests.type.bind(values) }
        #expect(failure?.code == "E-STEP-PARAM" && failure?.retry == .never)
        #expect(failure?.message.contains("probe") == true)
    }
    @Test func whatMayBeRepeated() {
        func step(
            _ type: StepType, retry: RetryPolicy? = nil, idempotent: Bool? = nil, _ parameters: ValueMap = [:]
        ) -> Bool {
            StepSpec(
                place: StepPlace(.main, [1]), type: type, parameters: parameters, retry: retry,
                idempotent: idempotent
            ).isRepeatable
        }
        let once = StepTypeTests.type, often = StepType("often", "", parameters: [], example: "")
        let depends = StepType(
            "depends", "", parameters: [], retryClass: .atMostOnce, repeatableWhen: { $0["method"] == "GET" },
            example: "")
        #expect(!step(once) && step(often) && step(once, retry: .standard) && step(once, idempotent: true))
        #expect(!step(often, idempotent: false) && !step(once, retry: .standard, idempotent: false))
        #expect(step(depends, ["method": "GET"]) && !step(depends, ["method": "POST"]) && !step(depends))
    }
    @Test func trimming() {
        #expect(" \t\r\n a b \r\n".trimmed == "a b" && "".trimmed == "" && "\n".trimmed == "")
        #expect("\u{A0}x".trimmed == "\u{A0}x")
    }
    @Test func theCatalogueKeepsTheFirstOfAName() {
        let catalogue = StepCatalogue([
            StepType("a", "first", parameters: [], example: ""),
            StepType("a", "second", parameters: [], example: ""),
        ])
        #expect(catalogue["a"]?.summary == "first" && catalogue["b"] == nil && catalogue.names == ["a", "a"])
    }
}
