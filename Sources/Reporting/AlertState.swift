// What this is: an alert's state, moved by one look at its number: quiet, pending, firing at a level, and told or not.
// Owns: the timing of each level (`for`, hysteresis, `keep_firing_for`), what an acknowledgement silences, when to tell.
// Never: tells anybody; reads a clock.
// On failure: cannot fail; a clock that was set back, or a long pause between looks, begins the waiting anew.
import JobModel

/// Somebody knows, and wants to hear no more of it for a while.
public struct AlertAcknowledgement: Hashable, Sendable {
    public var at: Timestamp
    public var until: Timestamp
    /// A higher level is told all the same.
    public var level: AlertLevel
    public var by: String
    public var note: String
    public init(at: Timestamp, until: Timestamp, level: AlertLevel, by: String, note: String) {
        self.at = at
        self.until = until
        self.level = level
        self.by = by
        self.note = note
    }
}

public struct AlertState: Hashable, Sendable {
    public enum Change: String, Hashable, Sendable { case fired, raised, lowered, resolved }
    /// What is to be said now.
    /// `again`: the same once more, for people only.
    public enum Telling: Hashable, Sendable { case firing(AlertLevel), again(AlertLevel), resolved }
    /// Between looks further apart than this nobody knows what the number was.
    public static let longestPause = Span.seconds(300)

    /// One level's way in and out.
    struct Stage: Hashable, Sendable {
        var beyond: Timestamp?
        var isActive = false
        var back: Timestamp?
    }
    var stages: [AlertLevel: Stage] = [:]
    public internal(set) var level: AlertLevel?
    /// Since when it fires, at whatever level.
    public internal(set) var firingSince: Timestamp?
    public internal(set) var looked: Timestamp?
    public var value: Double?
    public internal(set) var told: (level: AlertLevel, at: Timestamp)? {
        get { toldLevel.flatMap { level in toldAt.map { (level, $0) } } }
        set {
            toldLevel = newValue?.level
            toldAt = newValue?.at
        }
    }
    var toldLevel: AlertLevel?
    var toldAt: Timestamp?

    public init() {}

    /// The highest level that is beyond its threshold and has not been for long enough, and since when.
    public var pending: (level: AlertLevel, since: Timestamp)? {
        for level in AlertLevel.allCases.reversed() {
            if let stage = stages[level], !stage.isActive, let since = stage.beyond { return (level, since) }
        }
        return nil
    }
    /// Nothing of it needs to be remembered.
    public var isQuiet: Bool { level == nil && toldLevel == nil && stages.isEmpty }

    /// But for the number and the time of the look.
    public func isLike(_ other: AlertState) -> Bool {
        var same = other
        same.value = value
        same.looked = looked
        return same == self
    }

    /// One look. What changed; nil where the level is the same.
    public mutating func look(_ rule: AlertRule, _ value: Double?, now: Timestamp) -> Change? {
        if let looked, now < looked || now.since(looked) > AlertState.longestPause {
            for level in stages.keys where stages[level]?.isActive == false { stages[level] = nil }
            for level in stages.keys { stages[level]?.back = nil }
        }
        looked = now
        self.value = value
        for level in AlertLevel.allCases {
            guard rule.thresholds[level] != nil else { stages[level] = nil; continue }
            var stage = stages[level] ?? Stage()
            if stage.isActive {
                if let value, rule.isHeld(value, level) {
                    stage.back = nil
                } else {
                    let back = stage.back ?? now
                    stage.back = back
                    if now.since(back) >= rule.keepFiring { stage = Stage() }
                }
            } else if let value, rule.isBeyond(value, level) {
                let since = stage.beyond ?? now
                stage.beyond = since
                stage.isActive = now.since(since) >= rule.hold
            } else {
                stage.beyond = nil
            }
            stages[level] = stage == Stage() ? nil : stage
        }
        let before = level
        level = AlertLevel.allCases.last { stages[$0]?.isActive == true }
        switch (before, level) {
        case (nil, nil): return nil
        case (nil, _?):
            firingSince = now
            return .fired
        case (_?, nil):
            firingSince = nil
            return .resolved
        case (let old?, let new?): return new > old ? .raised : new < old ? .lowered : nil
        }
    }

    /// What is to be told after a look; it counts as told.
    public mutating func telling(
        _ rule: AlertRule, _ acknowledgement: AlertAcknowledgement?, now: Timestamp
    ) -> Telling? {
        guard let level else {
            defer { told = nil }
            return told == nil ? nil : .resolved
        }
        let known = acknowledgement.flatMap { isOfThisTime($0) && level <= $0.level ? $0 : nil }
        if let known, known.at <= now, now < known.until { return nil }
        if let told, level <= told.level {
            let isDue = rule.repeatEvery.map { now.since(told.at) >= $0 } ?? false
            // Whoever knew has had the time that was asked for, and it fires still.
            let isOver = known.map { told.at < $0.until } ?? false
            guard isDue || isOver || now < told.at else { return nil }
            // Told at critical, then lowered: it is still what was told.
            self.told = (told.level, now)
            return .again(level)
        }
        told = (level, now)
        return .firing(level)
    }

    /// Somebody said so of this time that the number is beyond, not of an earlier one.
    public func isOfThisTime(_ acknowledgement: AlertAcknowledgement) -> Bool {
        stages.values.compactMap(\.beyond).min().map { $0 <= acknowledgement.at } ?? false
    }
}

// MARK: as it is remembered

extension AlertState {
    public var map: ValueMap {
        func time(_ moment: Timestamp?) -> Value { moment.map { .string($0.rfc3339) } ?? .null }
        var map = ValueMap()
        map["level"] = level.map { .string($0.rawValue) } ?? .null
        map["firing_since"] = time(firingSince)
        map["looked"] = time(looked)
        map["value"] = value.map(Value.double) ?? .null
        map["told_level"] = toldLevel.map { .string($0.rawValue) } ?? .null
        map["told_at"] = time(toldAt)
        for (level, stage) in stages {
            map[level.rawValue] = .map([
                "active": .bool(stage.isActive), "beyond": time(stage.beyond), "back": time(stage.back),
            ])
        }
        return map
    }
    /// What is not understood is as if it had not been.
    public init(_ map: ValueMap) {
        func time(_ value: Value?) -> Timestamp? { value?.stringValue.flatMap(Timestamp.init(rfc3339:)) }
        func word(_ key: String) -> AlertLevel? { map[key]?.stringValue.flatMap(AlertLevel.init(rawValue:)) }
        looked = time(map["looked"])
        value = map["value"]?.doubleValue
        toldLevel = word("told_level")
        toldAt = time(map["told_at"])
        for level in AlertLevel.allCases {
            guard let row = map[level.rawValue]?.mapValue else { continue }
            stages[level] = Stage(
                beyond: time(row["beyond"]), isActive: row["active"]?.boolValue ?? false,
                back: time(row["back"]))
        }
        level = AlertLevel.allCases.last { stages[$0]?.isActive == true }
        firingSince = level == nil ? nil : time(map["firing_since"]) ?? looked
    }
}
