// EventStream: libyaml as a stream of events over bytes that stay in place.
// Owns: the memory of the C parser and of the current event; both are freed on each path.
// Never: builds a tree, or lets a C pointer outlive the event it belongs to.
// On failure: `advance` throws the YamlError that SyntaxProblem makes of libyaml's report.
// The parser points into itself, so it lives on the heap and never moves.

import CYaml

struct EventStream: ~Copyable {
    typealias Bytes = UnsafeBufferPointer<UInt8>

    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let event: UnsafeMutablePointer<yaml_event_t>
    private var places: SourcePlaces
    let bytes: Bytes

    /// `bytes` must outlive the stream.
    init(_ bytes: Bytes, check: InputCheck) throws(YamlError) {
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        guard yaml_parser_initialize(parser) == 1 else {
            parser.deallocate()
            throw YamlError(.syntax, "out of memory", at: .start)
        }
        self.parser = parser
        self.bytes = bytes
        event = .allocate(capacity: 1)
        event.initialize(to: yaml_event_t())
        places = SourcePlaces(bytes, check: check)
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        let text = Bytes(rebasing: bytes[check.lead...])
        yaml_parser_set_input_string(parser, text.baseAddress, text.count)
    }

    deinit {
        yaml_event_delete(event)
        yaml_parser_delete(parser)
        event.deallocate()
        parser.deallocate()
    }

    /// Frees the current event and reads the next one.
    mutating func advance() throws(YamlError) {
        yaml_event_delete(event)
        guard yaml_parser_parse(parser, event) == 1 else {
            let problem = parser.pointee
            throw SyntaxProblem(
                problem: problem.problem.map { String(cString: $0) } ?? "out of memory",
                context: problem.context.map { String(cString: $0) } ?? "",
                place: places.mark(problem.problem_mark),
                contextPlace: places.mark(problem.context_mark)
            ).error(in: bytes)
        }
    }

    var type: yaml_event_type_t { event.pointee.type }
    var start: SourceMark { mutating get { places.mark(event.pointee.start_mark) } }
    var end: SourceMark { mutating get { places.mark(event.pointee.end_mark) } }

    /// The bytes of the current scalar event, valid until the next `advance`.
    var scalarBytes: Bytes {
        let scalar = event.pointee.data.scalar
        return Bytes(start: scalar.value, count: scalar.length)
    }

    /// True for a scalar without quotes, without a block indicator and without a tag.
    var isPlain: Bool {
        let scalar = event.pointee.data.scalar
        // For the lone tag `!` libyaml says "implicit" too, so the tag itself is looked at.
        return scalar.style == YAML_PLAIN_SCALAR_STYLE && scalar.tag == nil
    }

    /// True for a list or map in brackets or braces.
    var isFlow: Bool {
        switch type {
        case YAML_SEQUENCE_START_EVENT:
            event.pointee.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE
        case YAML_MAPPING_START_EVENT:
            event.pointee.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE
        default: false
        }
    }

    var hasAnchor: Bool { properties.anchor != nil }

    /// The resolved tag of the current event.
    var tag: String? { properties.tag.map { String(cString: $0) } }

    private typealias CText = UnsafeMutablePointer<yaml_char_t>

    private var properties: (anchor: CText?, tag: CText?) {
        switch type {
        case YAML_SCALAR_EVENT:
            (event.pointee.data.scalar.anchor, event.pointee.data.scalar.tag)
        case YAML_SEQUENCE_START_EVENT:
            (event.pointee.data.sequence_start.anchor, event.pointee.data.sequence_start.tag)
        case YAML_MAPPING_START_EVENT:
            (event.pointee.data.mapping_start.anchor, event.pointee.data.mapping_start.tag)
        default: (nil, nil)
        }
    }
}
