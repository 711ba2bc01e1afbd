// What this is: what is remembered of a schedule, as a fact of the log of fires.
// Owns: the names of its fields on disk.
// Never: decides anything.
// On failure: a fact that cannot be read is none: the schedule is then a new one.
import JobModel
import Triggers

extension ScheduleBook.Memory {
    var map: ValueMap {
        var map: ValueMap = [
            "mark": .int(Int(mark)), "timing": .string(timing),
            "fired": .list(fired.map { .list([.int(Int($0.lowerBound)), .int(Int($0.upperBound))]) }),
            "fires": .int(fires), "skips": .int(skips),
        ]
        if isHeld { map["held"] = .bool(true) }
        if let lastSkip { map["last_skip"] = .string(lastSkip) }
        if let last {
            map["last"] = .map([
                "instant": .int(Int(last.instant)), "ticket": .string(last.ticket),
                "lane": .string(last.lane),
                "name": .string(last.name), "at": .int(Int(last.at)),
            ])
        }
        return map
    }
    init?(_ map: ValueMap) {
        guard let mark = map["mark"]?.intValue, let timing = map["timing"]?.stringValue else { return nil }
        self.init(mark: Int64(mark), timing: timing)
        fired = (map["fired"]?.listValue ?? []).compactMap { pair in
            let ends = (pair.listValue ?? []).compactMap { $0.intValue.map(Int64.init) }
            return ends.count == 2 && ends[0] <= ends[1] ? ends[0]...ends[1] : nil
        }
        fires = map["fires"]?.intValue ?? 0
        skips = map["skips"]?.intValue ?? 0
        isHeld = map["held"]?.boolValue ?? false
        lastSkip = map["last_skip"]?.stringValue
        guard let inner = map["last"]?.mapValue, let instant = inner["instant"]?.intValue,
            let ticket = inner["ticket"]?.stringValue, let lane = inner["lane"]?.stringValue,
            let name = inner["name"]?.stringValue, let at = inner["at"]?.intValue
        else { return }
        last = Last(instant: Int64(instant), ticket: ticket, lane: lane, name: name, at: Int64(at))
    }
}
