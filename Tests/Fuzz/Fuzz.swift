// What this is: the entry of the fuzzer: one program, and $FUZZ_TARGET says which reader gets the bytes.
// Owns: the table of targets; `must`, by which a target states what holds; the limit of one second for each input.
// Never: is part of a normal build (Package.swift wants $BOBBIN_FUZZ); keeps anything from one input to the next.
// On failure: says why and traps; libFuzzer then keeps the input. ops/fuzz is the way to run it.
import Glibc

typealias Target = @Sendable ([UInt8]) -> Void

private let targets: [String: Target] = [
    "yaml": YamlTarget.run, "job": JobTarget.run, "expression": ExpressionTarget.run,
    "journal": JournalTarget.run, "names": NamesTarget.run, "files": FilesTarget.run,
    "crash": CrashTarget.run, "life": LifeTarget.run, "triggers": TriggerTarget.run,
]

private let target: Target = {
    let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
    guard let target = targets[name] else {
        print("FUZZ_TARGET must be one of: \(targets.keys.sorted().joined(separator: " "))")
        exit(2)
    }
    return target
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let began = processorMilliseconds()
    target(Array(UnsafeBufferPointer(start: start, count: count)))
    let took = processorMilliseconds() - began
    must(took <= 1000, "one input took \(took) ms of the processor")
    return 0
}

/// Time of this thread on the processor: others who use the machine do not count.
private func processorMilliseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// What a target states; a lie is a finding.
func must(_ holds: Bool, _ what: @autoclosure () -> String) {
    if !holds { fatalError("finding: " + what()) }
}

func same(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }
