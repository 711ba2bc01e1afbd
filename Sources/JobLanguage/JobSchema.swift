// What this is: the language as a JSON Schema (draft-07), for editors: from the keys of a job and the table of step types.
// Owns: what an editor can know while somebody types; descriptions of the keys.
// Never: is the judge: the checker is, and knows more (references, types of expressions, templates).
// On failure: nothing here fails.
import JobModel

public enum JobSchema {
    /// `customs`: the step types of the site; `templates`: the names of its templates.
    public static func document(
        _ catalogue: StepCatalogue, customs: [StepType] = [], templates: [String] = []
    )
        -> Value
    {
        let types = catalogue.types + customs
        return .map([
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": .string("Bobbin job, dsl_version \(JobReader.version)"), "type": "object",
            "additionalProperties": .bool(false), "properties": .map(jobKeys(templates)),
            "anyOf": .list([
                required("template"), .map(["required": .list(["dsl_version", "steps"])]),
                required("extends"),
                required("program"),
            ]),
            "definitions": .map([
                "step": step(types), "steps": list(of: reference("step"), least: 1), "duration": duration,
                "retry": retry, "expression": expression,
            ]),
        ])
    }

    // MARK: small words

    private static func reference(_ name: String) -> Value {
        .map(["$ref": .string("#/definitions/\(name)")])
    }
    private static func required(_ name: String) -> Value { .map(["required": .list([.string(name)])]) }
    private static func list(of item: Value, least: Int = 0) -> Value {
        .map(["type": "array", "items": item, "minItems": .int(least)])
    }
    private static func any(_ options: [Value]) -> Value { .map(["anyOf": .list(options)]) }
    private static func whole(_ range: ClosedRange<Int>) -> Value {
        .map(["type": "integer", "minimum": .int(range.lowerBound), "maximum": .int(range.upperBound)])
    }
    private static func object(_ properties: [(String, Value)], required names: [String] = []) -> Value {
        var map: ValueMap = [
            "type": "object", "additionalProperties": .bool(false),
            "properties": .map(ValueMap(distinct: properties)),
        ]
        if !names.isEmpty { map["required"] = .list(names.map(Value.string)) }
        return .map(map)
    }
    private static func described(_ schema: Value, _ text: String) -> Value {
        guard var map = schema.mapValue, !text.isEmpty else { return schema }
        // In draft-07 what stands beside a reference is not read.
        if map["$ref"] != nil { map = ["allOf": .list([schema])] }
        map["description"] = .string(text)
        return .map(map)
    }
    private static let text: Value = .map(["type": .list(["string", "number", "boolean"])])
    private static let anything: Value = .bool(true)
    private static let expression: Value = .map(["type": "string", "pattern": "\\{\\{"])
    private static let duration: Value = .map([
        "anyOf": .list([
            .map(["type": "number", "minimum": .int(0)]),
            .map(["type": "string", "pattern": "^\\s*([0-9.]+\\s*(ns|us|µs|ms|s|m|h|d|w)\\s*)+$|^[0-9.]+$"]),
        ])
    ])
    private static let failures: Value = any([text, .map(["type": "array", "items": text])])
    private static let retry: Value = any([
        whole(1...100),
        object([
            ("max_attempts", whole(1...100)), ("base_delay", reference("duration")),
            ("backoff_multiplier", .map(["type": "number", "minimum": .int(1), "maximum": .int(100)])),
            ("max_delay", reference("duration")),
            ("jitter", .map(["type": "number", "minimum": .int(0), "maximum": .int(1)])),
            ("retry_on", failures), ("never_on", failures), ("only_idempotent", .map(["type": "boolean"])),
        ]),
    ])

    // MARK: the job

    private static func jobKeys(_ templates: [String]) -> ValueMap {
        let name: Value =
            templates.isEmpty
            ? .map(["type": "string"])
            : any([
                .map(["type": "string", "enum": .list(templates.map(Value.string))]),
                .map(["type": "string"]),
            ])
        let keys: [(String, Value, String)] = [
            (
                "dsl_version", .map(["enum": .list(["1.1", .double(1.1)])]),
                "The version of the language: \"1.1\"."
            ),
            ("name", text, "What the job is called; the file's name when absent."),
            ("description", text, "What it is for."),
            (
                "queue", .map(["type": "string", "pattern": "^[a-z0-9_]{1,32}$"]),
                "Its queue; the directory decides where it was dropped into one."
            ),
            ("priority", whole(1...9), "1 (most urgent) to 9."),
            (
                "params", .map(["type": "object"]),
                "What a caller may set: type, default, required, enum, pattern, min, max, description."
            ),
            ("variables", .map(["type": "object"]), "Plain values for expressions."),
            (
                "trigger", .map(["type": "object"]),
                "What made the job come: kind, id, at and more. Schedules, watchers and events write it."
            ),
            ("template", name, "Run this template of the site, with `variables`."),
            ("retry", reference("retry"), "When the run is tried again as a whole."),
            ("timeout", reference("duration"), "How long the main steps may take together."),
            ("max_parallel", whole(1...Limits.mostParallelSteps), "How many steps may run at one time."),
            ("steps", reference("steps"), "What is done."),
            ("on_failure", reference("steps"), "What is done when the steps failed."),
            ("finally", reference("steps"), "What is done in any case, at the end."),
            (
                "outputs", .map(["type": "object"]),
                "What the result hands on: values, or {value, type, description}."
            ),
            ("artifacts", any([text, list(of: text)]), "Files that are kept with the run, however it ends."),
            (
                "concurrency_key",
                any([
                    text,
                    object(
                        [
                            ("key", text),
                            (
                                "when_busy",
                                .map(["enum": .list(BusyKey.allCases.map { .string($0.rawValue) })])
                            ),
                        ], required: ["key"]),
                ]), "At most one run with this key works at one time."
            ),
            (
                "idempotency_key",
                any([text, object([("key", text), ("within", reference("duration"))], required: ["key"])]),
                "Only the first run with this key that succeeds counts; others are skipped."
            ),
            ("not_before", .map(["type": "string"]), "The job waits until this instant."),
            ("expires_at", .map(["type": "string"]), "From this instant on the job does not begin any more."),
            (
                "rate_limit",
                object(
                    [("limit", whole(1...10_000)), ("per", reference("duration")), ("key", text)],
                    required: ["limit", "per"]), "At most so many runs begin in any such span."
            ),
            (
                "execution",
                object([
                    ("queue", text), ("priority", whole(1...9)), ("concurrency_tag", text),
                    ("retry", .map(["type": "object"])),
                ]),
                "The origin's word for queue, priority, concurrency_key and retry."
            ),
            ("tags", any([text, list(of: text)]), "Labels, for lists and reports."),
            ("environment", .map(["type": "string"]), "Runs only at a site of this environment."),
            (
                "include", any([name, list(of: name)]),
                "Files below templates/ with keys that jobs share; what stands here counts more."
            ),
            ("extends", name, "A job below templates/ that this one is, but for the keys that stand here."),
            (
                "program", .map(["type": "string"]),
                "In a manifest in templates/steps/: the executable beside it."
            ),
            (
                "idempotent", .map(["type": "boolean"]),
                "With program: whether it may run again after a crash."
            ),
            ("parent", .map(["type": "object"]), "Written by the step `submit`."),
        ]
        return ValueMap(distinct: keys.map { ($0.0, described($0.1, $0.2)) })
    }

    // MARK: steps

    private static func step(_ types: [StepType]) -> Value {
        let besides: [(String, Value, String)] = [
            (
                "id", .map(["type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]{0,63}$"]),
                "Later steps use it: steps.<id>.<field>."
            ),
            ("name", text, "What people see."),
            (
                "when", .map(["type": .list(["string", "boolean"])]),
                "An expression; the step is skipped where it is false."
            ),
            (
                "needs", any([text, list(of: text)]),
                "Ids of steps above it that must be over; without it, all of them."
            ),
            ("retry", reference("retry"), "When the step is tried again."),
            ("timeout", reference("duration"), "How long one attempt may take."),
            ("idempotent", .map(["type": "boolean"]), "Whether it may run again after a crash."),
            ("continue_on_error", .map(["type": "boolean"]), "Its failure does not end the run."),
            ("env", .map(["type": "object", "additionalProperties": text]), "Environment variables."),
        ]
        var properties = besides.map { ($0.0, described($0.1, $0.2)) }
        properties += types.map { ($0.name, described(body(of: $0), $0.summary)) }
        return .map([
            "type": "object", "additionalProperties": .bool(false),
            "properties": .map(ValueMap(distinct: properties)),
            "oneOf": .list(types.map { required($0.name) }),
        ])
    }

    private static func body(of type: StepType) -> Value {
        var properties: [(String, Value)] = []
        for parameter in type.parameters {
            var schema = described(value(parameter), parameter.summary)
            if !parameter.standard.isNull, var map = schema.mapValue {
                map["default"] = parameter.standard
                schema = .map(map)
            }
            properties.append((parameter.name, schema))
        }
        let long = object(properties, required: type.parameters.filter(\.required).map(\.name))
        let mayBeEmpty = !type.parameters.contains(where: \.required)
        var forms = [long]
        if mayBeEmpty { forms.append(.map(["type": "null"])) }
        if let short = type.parameters.first(where: { $0.name == type.shorthand }) {
            let schema = value(short)
            // A map is the long form, unless the one parameter is a map itself.
            forms.append(schema)
            if short.kind == .map { forms.append(.map(["type": "object"])) }
        }
        return forms.count == 1 ? long : any(forms)
    }

    /// What may be written for a parameter: a value of its kind, or a text with expressions in it.
    private static func value(_ parameter: Parameter) -> Value {
        let plain = kind(parameter)
        switch parameter.kind {
        case .any, .roundValue, .text, .script, .condition, .roundCondition, .steps, .literal, .form:
            return plain
        default: return any([plain, reference("expression")])
        }
    }

    private static func kind(_ parameter: Parameter) -> Value {
        switch parameter.kind {
        case .any, .roundValue: return anything
        case .text: return text
        case .script: return .map(["type": "string"])
        case .condition, .roundCondition: return .map(["type": .list(["string", "boolean"])])
        case .integer: return parameter.range.map(whole) ?? .map(["type": "integer"])
        case .number: return .map(["type": "number"])
        case .flag: return .map(["type": "boolean"])
        case .span: return reference("duration")
        case .size:
            return .map([
                "anyOf": .list([
                    .map(["type": "integer", "minimum": .int(0)]),
                    .map(["type": "string", "pattern": "^[0-9]+\\s*(B|KB|MB|GB|TB|K|M|G|KiB|MiB|GiB|TiB)?$"]),
                ])
            ])
        case .map, .literal, .form: return .map(["type": "object"])
        case .list: return .map(["type": "array"])
        case .items: return .map(["type": .list(["array", "object"])])
        case .texts: return any([text, .map(["type": "array", "items": text])])
        case .choice(let words): return .map(["enum": .list(words.map(Value.string))])
        case .steps: return reference("steps")
        }
    }
}
