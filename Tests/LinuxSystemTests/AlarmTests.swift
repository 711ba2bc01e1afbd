// What this is: the alarm on the wall clock, files that are placed without a sync, patterns and addresses.
// Owns: what nobody writing means to a lease.
// Never: sets the machine's clock.
// On failure: the case is in the message.
import TestKit
import Testing

@testable import LinuxSystem

@Suite struct AlarmTests {
    @Test func anInstantThatHasPassedRingsAtOnceAndOneThatIsFarDoesNot() throws {
        let alarm = try WallAlarm()
        #expect(try !alarm.set(Clocks.wall - 1_000_000_000))
        #expect(try Waker.sleep([alarm.fd], until: Clocks.monotonic + 5_000_000_000) == [true])
        #expect(alarm.take() == .rang && alarm.take() == .quiet)
        #expect(try !alarm.set(Clocks.wall + 3_600_000_000_000))
        #expect(try Waker.sleep([alarm.fd], until: Clocks.monotonic) == [false])
        #expect(try !alarm.set(nil) && alarm.take() == .quiet)
    }

    @Test func whoSeesAPlacedFileFindsNobodyWriting() throws {
        let folder = try Folder()
        let held = try AtomicFile.place(Array("text\n".utf8), as: "a", in: folder.directory)
        let other = try folder.directory.openForReading("a")
        #expect(other.takeLease() == .none)
        other.dropLease()
        try held.syncData()
        #expect(try folder.text("a") == "text\n")
        #expect(failure { _ = try AtomicFile.place([], as: "a", in: folder.directory) }?.isExisting == true)
        #expect(try folder.listing() == ["a"])
    }

    @Test(arguments: [
        ("*.pdf", "a.pdf", true), ("*.pdf", "sub/a.pdf", true), ("*.pdf", "a.PDF", false),
        ("in/*", "in/a", true),
        ("in/*", "in/sub/a", false), ("in/*", "other/in/a", false), ("[ab]?", "sub/b1", true),
        ("", "a", false),
    ]) func patternsOfNames(_ pattern: String, _ path: String, _ fits: Bool) {
        #expect(NamePattern.fits(pattern, path: path) == fits)
    }

    @Test func addressesAreBytes() {
        #expect(Host.addressBytes("10.0.0.7") == [10, 0, 0, 7])
        #expect(Host.addressBytes("::1")?.count == 16 && Host.addressBytes("::1")?.last == 1)
        for text in ["", "10.0.0", "10.0.0.256", "1::2::3", "example.org", "10.0.0.7 "] {
            #expect(Host.addressBytes(text) == nil, "\(text)")
        }
    }
}
