// What this is: the hint of an expression's error: the name that was probably meant.
// Owns: the wording of that hint.
// Never: measures likeness itself (YamlText.NearestName does), looks at more than 500 names.
// On failure: no near name gives an empty hint.
import YamlText

extension NearestName {
    static func of(_ wrong: String, among names: [String]) -> String? {
        let near = find(wrong, in: names.prefix(500))
        // A hint that shares no letter with a short name is noise.
        return near.flatMap { wrong.unicodeScalars.count == 1 && $0 != wrong ? nil : $0 }
    }

    /// `did you mean …?`, or nothing.
    static func hint(for wrong: String, among names: [String]) -> String {
        of(wrong, among: names).map { "did you mean `\($0)`?" } ?? ""
    }
}
