// What this is: a site of its own for each test, and short words for what tests do in it.
// Owns: one directory below /tmp, removed with its content when the test ends.
// Never: is shared between tests.
// On failure: the fixture throws, and the test with it.
import JobModel
import LinuxSystem

@testable import BobbinDaemon
@testable import StepLibrary

final class TestSite {
    let path: String
    private let name: String

    init(in parent: String = "/tmp") throws {
        name = "bobbin-steps-\(Clocks.randomBits().1)"
        path = parent + "/" + name
        let site = try Directory.open(parent).makeDirectory(name)
        for folder in ["ops", "secrets", "spool"] { _ = try site.makeDirectory(folder) }
        for folder in ["approvals", "control", "claimed", ".bobbin"] {
            _ = try site.directory("spool").makeDirectory(folder)
        }
    }
    deinit {
        // Leftovers of a test harm nobody.
        guard let parent = try? Directory.open(String(path.dropLast(name.utf8.count + 1))) else { return }
        TestSite.remove(name, in: parent)
    }
    private static func remove(_ name: String, in parent: Directory) {
        if let directory = try? parent.child(name) {
            for inner in (try? directory.names()) ?? [] { remove(inner, in: directory) }
            try? parent.removeDirectory(name)
        } else {
            try? parent.remove(name)
        }
    }

    func folder(_ relative: String) throws -> Directory {
        var directory = try Directory.open(path)
        for part in relative.split(separator: "/") { directory = try directory.makeDirectory(String(part)) }
        return directory
    }
    /// Writes a file, its directories included; `age` seconds old.
    @discardableResult func file(_ relative: String, _ text: String = "x", age: Int64? = nil) throws -> String
    {
        let parts = relative.split(separator: "/").map(String.init)
        let directory = try folder(parts.dropLast().joined(separator: "/"))
        let file = try directory.create(parts[parts.count - 1])
        try file.append(Array(text.utf8))
        if let age { try file.setModified(Clocks.wall - age * 1_000_000_000) }
        return path + "/" + relative
    }
    /// An executable in `bin/`, for a context whose `searchPath` is that.
    func program(_ name: String, _ script: String) throws {
        let file = try folder("bin").create(name, mode: 0o755)
        try file.append(Array(("#!/bin/sh\n" + script + "\n").utf8))
    }
    var programs: String { path + "/bin" }

    func text(_ relative: String) -> String? {
        guard let file = try? OpenFile.open(path + "/" + relative), let size = try? file.status().size else {
            return nil
        }
        return (try? file.read(upTo: size)).map { String(decoding: $0, as: UTF8.self) }
    }
    func exists(_ relative: String) -> Bool { (try? FileStatus.of(path + "/" + relative)) != nil }
    /// Every file below `relative` with its text, by path.
    func tree(_ relative: String) throws -> [String: String] {
        var found: [String: String] = [:]
        for name in try folder(relative).names() {
            let inner = relative + "/" + name
            if try FileStatus.of(path + "/" + inner).kind == .directory {
                found.merge(try tree(inner)) { first, _ in first }
            } else {
                found[inner] = text(inner)
            }
        }
        return found
    }
    /// The message of a file below the site without the site's own path.
    func relative(_ value: Value?) -> [String] {
        (value?.listValue ?? []).map { String($0.text.dropFirst(path.utf8.count + 1)) }
    }

    /// Binds the arguments as the engine does and performs the step.
    func perform(_ step: String, _ arguments: ValueMap, _ context: FakeContext? = nil) throws -> ValueMap {
        guard let action = TestSite.actions.first(where: { $0.type.name == step }) else {
            throw Failure("E-TEST", "there is no step \(step)")
        }
        return try action.perform(action.type.bind(arguments), context ?? FakeContext(self))
    }
    /// The failure of a step that must fail.
    func failure(_ step: String, _ arguments: ValueMap, _ context: FakeContext? = nil) throws -> Failure {
        do {
            let outputs = try perform(step, arguments, context)
            throw Failure("E-TEST", "\(step) succeeded: \(outputs)")
        } catch let failure as Failure {
            return failure
        }
    }

    /// With the ports as the roof connects them.
    static let actions = StepLibrary.actions(ports: StepConnections.ports)
}
