// What this is: what must hold for every entry of the step table.
// Owns: nothing.
// Never: runs a step.
// On failure: the message names the step and the parameter.
import JobModel
import Testing

@testable import StepLibrary

@Suite struct TableTests {
    static let types = TestSite.actions.map(\.type)

    @Test func namesAreUnique() {
        #expect(Set(TableTests.types.map(\.name)).count == TableTests.types.count)
    }

    @Test(arguments: types) func anEntryIsComplete(type: StepType) {
        #expect(!type.summary.isEmpty && type.summary.hasSuffix("."))
        #expect(type.example.hasPrefix(type.name + ":"))
        #expect(type.shorthand == nil || type.parameters.contains { $0.name == type.shorthand })
        #expect(Set(type.parameters.map(\.name)).count == type.parameters.count)
        for parameter in type.parameters {
            #expect(!parameter.summary.isEmpty, "\(type.name).\(parameter.name)")
            #expect(
                parameter.standard.isNull || parameter.kind.accept(parameter.standard) != nil,
                "the default of \(type.name).\(parameter.name) does not fit its kind")
        }
    }

    @Test func stepsThatMayActTwiceAreAtMostOnce() {
        let never = TableTests.types.filter { $0.retryClass([:]) == .atMostOnce }.map(\.name)
        #expect(Set(never) == ["run", "shell", "ssh", "notify", "send_email", "step_program"])
        #expect(SqlStep.table.retryClass(["write": .bool(true)]) == .atMostOnce)
        #expect(SqlStep.table.retryClass(["write": .string("{{ w }}")]) == .atMostOnce)
        let request = MakeRequestStep.table
        #expect(request.retryClass(["method": .string("POST")]) == .atMostOnce)
        #expect(request.retryClass(["method": .string("{{ m }}")]) == .atMostOnce)
        #expect(request.retryClass(["method": .string("HEAD")]) == .repeatable)
        #expect(WriteFileStep.table.retryClass(["append": .bool(true)]) == .atMostOnce)
        #expect(WriteFileStep.table.retryClass(["append": .string("{{ a }}")]) == .atMostOnce)
    }
}
