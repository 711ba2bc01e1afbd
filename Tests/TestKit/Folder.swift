// What this is: a fresh temporary directory for one test, and a few looks at it that do not go through LinuxSystem.
// Owns: the directory and its removal.
// Never: is shared between tests.
// On failure: throws, and the test fails.
// Foundation is the second opinion on what is on disk.
import Foundation
import LinuxSystem

public final class Folder: Sendable {
    public let path: String
    public let directory: Directory

    public init(in parent: String = NSTemporaryDirectory()) throws {
        path = parent + (parent.hasSuffix("/") ? "" : "/") + "bobbin-test-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        directory = try Directory.open(path)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    public func put(_ name: String, _ text: String, mode: Int = 0o644) throws {
        try text.write(toFile: path + "/" + name, atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path + "/" + name)
    }
    public func text(_ name: String) throws -> String {
        try String(contentsOfFile: path + "/" + name, encoding: .utf8)
    }
    public func folder(_ name: String) throws -> Directory {
        try FileManager.default.createDirectory(atPath: path + "/" + name, withIntermediateDirectories: true)
        return try Directory.open(path + "/" + name)
    }
    public func link(_ name: String, to target: String) throws {
        try FileManager.default.createSymbolicLink(atPath: path + "/" + name, withDestinationPath: target)
    }
    /// Every name below, sorted.
    public func listing() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    }
}

/// The error of a body that must fail.
public func failure(_ body: () throws -> Void) -> SystemError? {
    do { try body() } catch { return error as? SystemError }
    return nil
}
