// What this is: when the gauge stops new work, when it lets it go on, and which files it suspects.
// Owns: made-up readings; the clock is a number.
// Never: looks at a real disk.
// On failure: shows the readings.
import JobModel
import LinuxSystem
import Testing

@testable import SpoolQueue

@Suite struct DiskGaugeTests {
    private static let mebibyte: UInt64 = 1 << 20
    private func reading(_ mebibytes: UInt64, of total: UInt64 = 100_000, inodes: UInt64 = 100_000)
        -> FileSystemFacts
    {
        FileSystemFacts(
            freeBytes: mebibytes * DiskGaugeTests.mebibyte, totalBytes: total * DiskGaugeTests.mebibyte,
            freeInodes: inodes, totalInodes: 1_000_000)
    }
    private func instant(_ nanoseconds: Int64) -> Timestamp { Timestamp(nanoseconds: nanoseconds) }

    @Test func stopsBelowTheReserveAndGoesOnAtTwiceThat() {
        var gauge = DiskGauge()
        let steps: [(UInt64, Bool)] = [
            (33, false), (31, true), (33, true), (63, true), (64, false), (32, false), (31, true),
        ]
        for (number, (free, isShort)) in steps.enumerated() {
            gauge.read(reading(free), at: Int64(number))
            #expect(
                (gauge.shortage != nil) == isShort, "step \(number), \(free) MiB: \(gauge.shortage ?? "room")"
            )
        }
    }
    @Test func goesSlowlyBelowFourReservesAndSideBySideAgainAtEight() {
        var gauge = DiskGauge()
        let steps: [(UInt64, UInt64, Bool)] = [
            (129, 100_000, false), (127, 100_000, true), (129, 100_000, true), (255, 100_000, true),
            (256, 100_000, false), (1000, 3_999, true), (1000, 7_999, true), (1000, 8_000, false),
            (31, 8_000, true),
        ]
        for (number, (free, inodes, isScarce)) in steps.enumerated() {
            gauge.read(reading(free, inodes: inodes), at: Int64(number))
            #expect(
                (gauge.scarcity != nil) == isScarce, "step \(number): \(gauge.scarcity ?? "plenty")")
            // It goes slowly before it stops.
            #expect(gauge.shortage == nil || gauge.scarcity != nil, "step \(number)")
        }
    }
    @Test func aSmallDiskHasASmallReserve() {
        var gauge = DiskGauge()
        gauge.read(reading(2, of: 64), at: 1)
        #expect(gauge.shortage == nil)
        gauge.read(
            FileSystemFacts(freeBytes: 600_000, totalBytes: 64 << 20, freeInodes: 9, totalInodes: 9), at: 2)
        #expect(gauge.shortage?.contains("has 0.5 MiB left") == true, "\(gauge.shortage ?? "")")
        gauge.read(reading(0, of: 64), at: 3)
        #expect(gauge.shortage?.contains("2.0 MiB are wanted") == true, "\(gauge.shortage ?? "")")
    }
    @Test func inodesCount() {
        var gauge = DiskGauge()
        gauge.read(reading(1000, inodes: 999), at: 1)
        #expect(gauge.shortage?.contains("999 inodes") == true, "\(gauge.shortage ?? "")")
        gauge.read(reading(1000, inodes: 1999), at: 2)
        #expect(gauge.shortage != nil)
        gauge.read(reading(1000, inodes: 2000), at: 3)
        #expect(gauge.shortage == nil)
        // btrfs counts none.
        gauge.read(
            FileSystemFacts(freeBytes: 1 << 30, totalBytes: 1 << 40, freeInodes: 0, totalInodes: 0), at: 4)
        #expect(gauge.shortage == nil && gauge.full.isEmpty)
    }
    @Test func suspectsWhatWasWrittenWhileNothingWasLeft() {
        var gauge = DiskGauge()
        gauge.read(reading(1000), at: 100)
        gauge.read(reading(10), at: 200)
        #expect(gauge.full.isEmpty, "short of room is not full: what is written then is whole")
        gauge.read(reading(0), at: 300)
        gauge.read(reading(0), at: 400)
        gauge.read(reading(1000), at: 500)
        gauge.read(reading(1000), at: 600)
        let suspects = stride(from: Int64(50), through: 650, by: 50).filter { time in
            gauge.full.contains { $0.holds(instant(time)) }
        }
        // From the last look that saw room to the first that saw some again.
        #expect(suspects == [200, 250, 300, 350, 400, 450, 500])
    }
    @Test func aFirstLookAtAFullDiskSuspectsTheLastMinutes() {
        var gauge = DiskGauge()
        let now = Span.seconds(10_000).nanoseconds
        gauge.read(reading(0), at: now)
        #expect(gauge.full == [FullSpan(from: now - Limits.fullBeforeFirstLook.nanoseconds, until: now)])
    }
    @Test func aClockThatIsSetBackHarmsNothing() {
        var gauge = DiskGauge()
        gauge.read(reading(1000), at: 5_000)
        gauge.read(reading(0), at: 1_000)
        gauge.read(reading(0), at: 900)
        #expect(
            gauge.full.contains { $0.holds(instant(950)) } && gauge.full.contains { $0.holds(instant(4_000)) }
        )
        #expect(!gauge.full.contains { $0.holds(instant(6_000)) })
    }
    @Test func manySpansAreKeptWithoutForgettingAny() {
        var gauge = DiskGauge()
        for round in Int64(0)..<40 {
            gauge.read(reading(1000), at: round * 100)
            gauge.read(reading(0), at: round * 100 + 10)
        }
        #expect(gauge.full.count == 16)
        for round in Int64(0)..<40 { #expect(gauge.full.contains { $0.holds(instant(round * 100 + 5)) }) }
    }
}
