// NearestName: the name a person may have meant.
// Owns: the measure of likeness.
// Never: compares names longer than 64 characters: nobody mistypes those by a letter.
// On failure: gives nil.
// The distance is that of optimal string alignment: each letter is changed once at most.

/// A search for the name most like a mistyped one.
public enum NearestName {
    private static let longest = 64

    /// The candidate with the fewest insertions, removals, changes and swaps of neighbours.
    ///
    /// It must be within a third of the length of `name`, and within 1 for short names.
    /// Of equally near ones the first is given; nil when none is near.
    public static func find(_ name: String, in candidates: some Sequence<String>) -> String? {
        let wanted = Array(name.unicodeScalars)
        guard !wanted.isEmpty, wanted.count <= longest else { return nil }
        var limit = max(1, wanted.count / 3)
        var best: String?
        for candidate in candidates {
            let letters = Array(candidate.unicodeScalars)
            guard abs(letters.count - wanted.count) <= limit else { continue }
            let distance = distance(wanted, letters)
            guard distance <= limit else { continue }
            best = candidate
            if distance == 0 { break }
            limit = distance - 1
        }
        return best
    }

    private static func distance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
        var older = [Int](repeating: 0, count: right.count + 1)
        var old = Array(0...right.count)
        for row in left.indices {
            var new = [row + 1]
            for column in right.indices {
                let change = left[row] == right[column] ? 0 : 1
                var cost = min(old[column] + change, old[column + 1] + 1, new[column] + 1)
                let isInner = row > 0 && column > 0
                if isInner, left[row] == right[column - 1], left[row - 1] == right[column] {
                    cost = min(cost, older[column - 1] + 1)
                }
                new.append(cost)
            }
            (older, old) = (old, new)
        }
        return old[right.count]
    }
}
