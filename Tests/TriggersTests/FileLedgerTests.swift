// What this is: the ledger of a watcher: cut, damaged, rewritten, each call failing.
// Owns: a handful of changes with odd names.
// Never: watches a folder.
// On failure: the length or the call is in the message.
import Foundation
import JobModel
import LinuxSystem
import TestKit
import Testing

@testable import Triggers

@Suite struct FileLedgerTests {
    private static let names = [
        "a", "s/b", "s/t/c", "new\nline", "per%cent", "%0A", "ü b", "x y  z", " lead", "\u{10FF80}odd",
    ]
    private static func known(_ number: Int) -> FileLedger.Known {
        .init(inode: UInt64(number), size: number * 7, modified: Int64(number) * 1_000_000_007)
    }
    private static func content(_ number: Int) throws -> FileLedger.Content {
        try #require(FileLedger.Content(hex: String(repeating: "0", count: 31) + String(number % 10)))
    }

    @Test func whatIsWrittenIsRead() throws {
        let folder = try Folder(in: "/dev/shm")
        let ledger = try FileLedger("l", in: folder.directory, tracksMoves: true)
        #expect(ledger.isNew)
        try ledger.founded()
        try ledger.record(
            FileLedgerTests.names.enumerated().map { (.file($1, FileLedgerTests.known($0)), nil) })
        try ledger.record([(.content(FileLedgerTests.content(3), 77), "T1"), (.file("s/b", nil), "T1")])
        try ledger.confirm(["T1"])
        let read = try FileLedger("l", in: folder.directory, tracksMoves: true)
        #expect(!read.isNew && read.damaged == 0 && read.count == FileLedgerTests.names.count - 1)
        for (number, name) in FileLedgerTests.names.enumerated() where name != "s/b" {
            #expect(read.known(name) == FileLedgerTests.known(number), "\(name)")
            #expect(read.path(inode: UInt64(number)) == name)
        }
        #expect(try read.has(FileLedgerTests.content(3)) && !read.has(FileLedgerTests.content(4)))
        #expect(Set(read.folders(below: "s")) == ["s/t"] && read.unsureTickets.isEmpty)
    }

    @Test func whatNobodyConfirmedIsUndoneUnlessItWasDecided() throws {
        let folder = try Folder(in: "/dev/shm")
        let ledger = try FileLedger("l", in: folder.directory, tracksMoves: false)
        try ledger.record([(.file("a", FileLedgerTests.known(1)), nil)])
        try ledger.record([
            (.file("a", FileLedgerTests.known(2)), "T1"), (.file("b", FileLedgerTests.known(3)), "T2"),
            (.content(FileLedgerTests.content(5), 1), "T1"), (.file("a", FileLedgerTests.known(4)), "T3"),
        ])
        let read = try FileLedger("l", in: folder.directory, tracksMoves: false)
        #expect(read.unsureTickets == ["T1", "T2", "T3"])
        try read.settle(known: ["T2"])
        for ledger in [read, try FileLedger("l", in: folder.directory, tracksMoves: false)] {
            #expect(
                ledger.known("a") == FileLedgerTests.known(1) && ledger.known("b") == FileLedgerTests.known(3)
            )
            #expect(try !ledger.has(FileLedgerTests.content(5)) && ledger.unsureTickets.isEmpty)
        }
    }

    @Test func cutAnywhereItReadsAsWhatWasWhole() throws {
        let folder = try Folder(in: "/dev/shm")
        let ledger = try FileLedger("l", in: folder.directory, tracksMoves: false)
        for (number, name) in FileLedgerTests.names.enumerated() {
            try ledger.record([(.file(name, FileLedgerTests.known(number)), "T\(number)")])
            if number == 5 { try ledger.confirm(ledger.unsureTickets) }
        }
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/l"))
        for length in 0...bytes.count {
            let other = try Folder(in: "/dev/shm")
            try bytes.prefix(length).write(to: URL(fileURLWithPath: other.path + "/l"))
            let read = try FileLedger("l", in: other.directory, tracksMoves: false)
            #expect(read.damaged == 0)
            try read.record([(.file("after", FileLedgerTests.known(1)), nil)])
            #expect(try FileLedger("l", in: other.directory, tracksMoves: false).known("after") != nil)
        }
    }

    @Test func damageTakesOneLine() throws {
        let folder = try Folder(in: "/dev/shm")
        try folder.put("l", "f - 1 2 3 - a\nf - x 2 3 - b\nnonsense\n\nf - 1 2 3 - c\nC\n")
        let read = try FileLedger("l", in: folder.directory, tracksMoves: false)
        #expect(read.damaged == 3 && read.count == 2)
    }

    @Test func itIsRewrittenAndForgets() throws {
        let folder = try Folder(in: "/dev/shm")
        let ledger = try FileLedger("l", in: folder.directory, tracksMoves: false, rewriteAt: 4000)
        try ledger.set(folder: 42, at: 7)
        for number in 0..<2000 {
            try ledger.record([(.file("f\(number % 9)", FileLedgerTests.known(number)), nil)])
        }
        #expect(try folder.directory.status("l").size < 9000)
        var gone = FileLedgerTests.known(1)
        gone.goneAt = 100
        try ledger.record([(.file("gone", gone), nil), (.content(FileLedgerTests.content(1), 100), nil)])
        try ledger.forget(before: 100)
        #expect(ledger.known("gone") != nil)
        try ledger.forget(before: 101)
        let read = try FileLedger("l", in: folder.directory, tracksMoves: false)
        #expect(try read.known("gone") == nil && !read.has(FileLedgerTests.content(1)) && read.count == 9)
        #expect(read.folder.inode == 42 && read.folder.since == 7)
    }

    private struct Wrong: Error, CustomStringConvertible { var description: String }

    @Test func anUndoThatCannotBeWrittenIsOwed() throws {
        final class World {
            let folder: Folder
            let ledger: FileLedger
            init() throws {
                folder = try Folder(in: "/dev/shm")
                ledger = try FileLedger("l", in: folder.directory, tracksMoves: false)
                try ledger.record([(.file("a", FileLedgerTests.known(1)), "T1")])
            }
        }
        let points = try FaultLoop.run(mustThrow: false, make: { try World() }) { world in
            try world.ledger.settle(known: [])
        } check: { world, outcome in
            guard world.ledger.known("a") == nil else { throw Wrong(description: "not undone in memory") }
            // A process that died is another matter: the next one asks about the ticket.
            if outcome.blow == .death { return }
            try world.ledger.record([(.file("b", FileLedgerTests.known(2)), "T2")])
            try world.ledger.confirm(["T2"])
            let read = try FileLedger("l", in: world.folder.directory, tracksMoves: false)
            guard read.known("a") == nil, read.known("b") != nil, read.unsureTickets.isEmpty else {
                throw Wrong(description: "a file that nobody decided counts as processed")
            }
        }
        #expect(points > 10)
    }

    @Test func eachCallOfRecordingFails() throws {
        final class World {
            let folder: Folder
            init() throws { folder = try Folder(in: "/dev/shm") }
            func open() throws -> FileLedger {
                try FileLedger("l", in: folder.directory, tracksMoves: false, rewriteAt: 50)
            }
        }
        let points = try FaultLoop.run(mustThrow: false, make: { try World() }) { world in
            let ledger = try world.open()
            try ledger.record([
                (.file("a", FileLedgerTests.known(1)), "T1"), (.file("b", FileLedgerTests.known(2)), "T1"),
            ])
            try ledger.confirm(["T1"])
            try ledger.record([(.file("c", FileLedgerTests.known(3)), nil)])
        } check: { world, outcome in
            let read = try world.open()
            if read.damaged > 0 { throw Wrong(description: "damaged") }
            let both = [read.known("a") != nil, read.known("b") != nil]
            // A write that was cut has whole lines in front of the cut; the ticket tells that nobody decided.
            if outcome.error == nil, both != [true, true] {
                throw Wrong(description: "told, but not there: \(both)")
            }
            try read.settle(known: [])
            if outcome.error != nil, read.known("a") == nil, read.known("b") != nil {
                throw Wrong(description: "one of a ticket without the other")
            }
        }
        #expect(points > 50)
    }
}
