// What this is: what a list of steps would do, a row for each, with its values as far as they are known.
// Owns: StepOutline and how names and values of a holder reach the steps inside of it.
// Never: runs a step, shows what is named like a secret.
// On failure: nothing here fails; a value that is not known yet is shown as it is written.
import JobModel

public struct StepOutline: Sendable {
    public var step: StepSpec
    /// How many steps hold it.
    public var depth: Int
    /// As far as they are known, masked.
    public var arguments: ValueMap
    /// `host:port`
    public var target: String?
    public var effect: Effect

    /// `target`: whom a step with these arguments calls.
    public static func rows(
        _ steps: [StepSpec], _ preview: Preview, depth: Int = 0,
        target: (StepSpec, ValueMap) -> String?
    ) -> [StepOutline] {
        steps.flatMap { step -> [StepOutline] in
            var arguments = ValueMap()
            for entry in step.parameters.entries {
                let kind = step.type.parameters.first { $0.name == entry.key }?.kind
                let stays =
                    kind == .literal || kind == .form || kind == .roundCondition || kind == .roundValue
                    || kind?.isCondition == true
                arguments[entry.key] =
                    stays ? Preview.cleared(entry.value) : preview.value(entry.value, named: entry.key)
            }
            // What is masked or not known yet is no address.
            let address = target(step, arguments).flatMap { Preview.isOpen(.string($0)) ? nil : $0 }
            let row = StepOutline(
                step: step, depth: depth, arguments: arguments, target: address,
                effect: step.type.effect(step.parameters))
            return [row]
                + rows(step.steps, inside(step, arguments, preview), depth: depth + 1, target: target)
        }
    }

    private static func inside(_ step: StepSpec, _ arguments: ValueMap, _ preview: Preview) -> Preview {
        if let call = step.call {
            let given =
                step.type.control == .call && step.type.name == "call"
                ? arguments["variables"]?.mapValue : arguments
            var variables = call.variables
            for entry in (given ?? [:]).entries where !entry.value.isNull {
                variables[entry.key] = entry.value
            }
            let absent = call.parameters.map(\.name).filter { variables[$0] == nil }
            return preview.inside(variables, hiding: absent)
        }
        guard step.type.control?.isLoop == true, let key = step.type.control?.nameParameter else {
            return preview
        }
        let name =
            step.parameters[key]?.stringValue
            ?? step.type.parameters.first { $0.name == key }?.standard.stringValue
        return preview.hiding([name, "loop"].compactMap { $0 })
    }
}

extension StepOutline {
    private static let mostRows = 50
    private static let longestText = 400

    /// For a request that a person reads: a map for each step; of many the last says how many more.
    public static func told(_ rows: [StepOutline]) -> [Value] {
        var told = rows.prefix(mostRows).map { row -> Value in
            var map: ValueMap = ["step": .string(row.step.label)]
            if row.step.title != row.step.type.name { map["title"] = .string(row.step.title) }
            map["type"] = .string(row.step.type.name)
            if row.effect != .none { map["does"] = .string(row.effect.rawValue) }
            if let target = row.target { map["calls"] = .string(target) }
            if let when = row.step.when { map["when"] = .string(brief(Preview.masked(when))) }
            var with = ValueMap()
            for entry in row.arguments.entries where !entry.value.isNull {
                let isLong = Value.map(["": entry.value]).roughBytes > longestText
                with[entry.key] = isLong ? .string(brief(entry.value.text)) : entry.value
            }
            if !with.isEmpty { map["with"] = .map(with) }
            return .map(map)
        }
        if rows.count > mostRows {
            told.append(.map(["more_steps": .int(rows.count - mostRows)]))
        }
        return told
    }
    private static func brief(_ text: String) -> String {
        guard text.count > longestText else { return text }
        return "\(text.prefix(longestText))… (\(text.count) characters)"
    }
}
