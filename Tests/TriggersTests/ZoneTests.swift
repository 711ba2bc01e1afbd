// What this is: zones against glibc, hour by hour and around every change; rules without a table; damaged files.
// Owns: which zones are compared.
// Never: has an offset typed in that `date` can say.
// On failure: the zone and the instant are in the message.
import Foundation
import JobModel
import TestKit
import Testing

@testable import Triggers

@Suite struct ZoneTests {
    static let zones = [
        "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu",
        "Africa/Cairo", "Asia/Tehran", "Pacific/Chatham", "America/St_Johns", "Asia/Beirut",
        "Africa/Casablanca", "Pacific/Apia", "America/Nuuk", "Asia/Gaza", "Europe/Dublin",
    ]

    @Test(arguments: zones) func everyHourOfFourYearsAsGlibcSays(_ name: String) throws {
        let zone = try ZoneFiles.named(name)
        // 2025 and 2026; 2044 and 2045, where most zones have their rule alone.
        for first in [1_735_689_600, 2_335_219_200] as [Int64] {
            let hours = (0..<(2 * 365 * 24)).map { first + $0 * 3600 }
            let wanted = try glibcOffsets(name, at: hours)
            for (hour, offset) in zip(hours, wanted) where zone.offset(at: hour) != offset {
                Issue.record("\(name) at \(hour): \(zone.offset(at: hour)), not \(offset)")
                return
            }
        }
    }

    @Test(arguments: zones) func theSecondsAroundEveryChangeSince1970(_ name: String) throws {
        let zone = try ZoneFiles.named(name)
        var changes: [Int64] = []
        var at: Int64 = 0
        while at < 3_000_000_000 {
            let stretch = zone.stretch(at: at)
            #expect(stretch.start <= at && stretch.end > at)
            if stretch.end == .max { break }
            #expect(zone.stretch(at: stretch.end).before == stretch.offset)
            changes.append(stretch.end)
            at = stretch.end
        }
        let instants = changes.flatMap { [$0 - 1, $0] }
        guard !instants.isEmpty else { return }
        let wanted = try glibcOffsets(name, at: instants)
        for (instant, offset) in zip(instants, wanted) {
            #expect(zone.offset(at: instant) == offset, "\(name) at \(instant)")
        }
    }

    @Test(arguments: [
        "CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT,M3.2.0,M11.1.0", "AEST-10AEDT,M10.1.0,M4.1.0/3",
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "IST-1GMT0,M10.5.0,M3.5.0/1",
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
        "AAA3BBB,J60/0,J300/0", "AAA3BBB,59/0,299/0",
    ]) func aRuleWithoutATable(_ rule: String) throws {
        let zone = try #require(Zone(rule: rule))
        let hours = (0..<(3 * 366 * 24)).map { 1_704_067_200 + $0 * 3600 as Int64 }
        for (hour, offset) in zip(hours, try glibcOffsets(rule, at: hours))
        where zone.offset(at: hour) != offset {
            Issue.record("\(rule) at \(hour): \(zone.offset(at: hour)), not \(offset)")
            return
        }
    }

    @Test func damagedFilesGiveNothingOrAZoneAndNeverEndTheProcess() throws {
        let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: "/usr/share/zoneinfo/Europe/Berlin")))
        #expect(Zone(tzif: bytes, name: "x") != nil)
        #expect(Zone(tzif: [], name: "x") == nil && Zone(tzif: Array("TZif".utf8), name: "x") == nil)
        var random = SeededRandom(seed: 7)
        for _ in 0..<3000 {
            var bad = bytes
            for _ in 0...random.below(6) { bad[random.below(bad.count)] = UInt8(random.below(256)) }
            if random.chance(3) { bad = Array(bad.prefix(random.below(bad.count))) }
            if let zone = Zone(tzif: bad, name: "x") {
                let stretch = zone.stretch(at: Int64(random.below(4_000_000_000)))
                #expect(stretch.start < stretch.end)
            }
        }
    }

    @Test func aNameThatIsNoneIsRefused() {
        for name in [
            "", "Europe/Nowhere", "../../etc/passwd", "/etc/localtime", "Europe//Berlin", "Europe/", "a b",
        ] {
            #expect(throws: ZoneProblem.self, "\(name)") { _ = try ZoneFiles.named(name) }
        }
    }
}
