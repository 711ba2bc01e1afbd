// What this is: an instant as people give it on the command line.
// Owns: the three forms: an instant, a day, or how long ago.
// Never: knows a zone: days are of UTC.
// On failure: a ValidationError that shows the forms.
import ArgumentParser
import JobModel

enum InstantText {
    static let forms = "2026-11-21T09:00:00Z, 2026-11-21, or how long ago: 24h, 7d"

    static func read(_ text: String, _ option: String) throws -> Timestamp {
        if let instant = Timestamp(rfc3339: text) ?? Timestamp(rfc3339: text + "T00:00:00Z") {
            return instant
        }
        if let span = Span(text), span.nanoseconds >= 0 {
            return Terminal.now.adding(Span(nanoseconds: -span.nanoseconds))
        }
        throw ValidationError("\(option) \(Terminal.escape(text)): write \(forms)")
    }
}
