// What this is: the verb by which the program starts itself for a step that acts for somebody else (BobbinDaemon.StepProcess).
// Owns: the reading of its message from standard input.
// Never: is typed by a person; it is not shown.
// On failure: the answer tells it.
import ArgumentParser
import BobbinDaemon
import LinuxSystem

struct StepProcessVerb: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: StepProcess.verb, shouldDisplay: false)

    func run() throws {
        ProcessSetup.prepare()
        print(StepProcess.answer(try OpenFile(fd: 0, label: "standard input").readToEnd(limit: 64 << 20)))
    }
}
