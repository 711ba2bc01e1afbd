// What this is: the basket of findings when it is full.
// Owns: the case of many warnings before an error.
// Never: tests what is found; the tests of the rooms and of the command line do.
// On failure: a job with an error would be taken for a good one.
import JobModel
import Testing

@testable import JobLanguage

@Suite struct FindingsTests {
    @Test func warningsHideNoError() {
        let reader = JobReader(catalogue: StepCatalogue([])) { _ in Array("dsl_version: \"1.1\"\n".utf8) }
        let variables = (0..<60).map { "v\($0): 1" }.joined(separator: ", ")
        let reading = reader.read(
            Array("template: t.yaml\nvariables: {\(variables)}\n".utf8), name: "job.yaml", stem: "job")
        #expect(reading.job == nil)
        #expect(reading.errors.map(\.diagnostic.code) == ["E-STEPS"])
        #expect(reading.findings.count == 50)
    }
}
