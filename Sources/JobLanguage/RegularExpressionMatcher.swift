// What this is: the run of a regular expression over a text: all alternatives at once, in the order of their preference.
// Owns: the threads of a pass, and the places of the groups that each of them carries.
// Never: goes back in the text: a match takes at most text × program steps, and each of them is charged.
// On failure: only what the charge throws.

struct RegularExpressionMatcher {
    typealias Match = [Range<Int>?]
    private let expression: RegularExpression
    private let text: [UInt32]

    init(_ expression: RegularExpression, _ text: String) {
        self.expression = expression
        self.text = text.unicodeScalars.map(\.value)
    }

    func text(_ range: Range<Int>) -> String {
        var view = String.UnicodeScalarView()
        for value in text[range] { Unicode.Scalar(value).map { view.append($0) } }
        return String(view)
    }
    var end: Int { text.count }

    private struct Thread {
        var place: Int
        var saved: [Int]
    }
    /// Threads in order of preference, at most one for each place of the program.
    private struct Threads {
        var list: [Thread] = []
        var seen: [Int]
        init(_ count: Int) { seen = [Int](repeating: -1, count: count) }
    }

    /// The leftmost match that begins at `from` or later; of several there, the preferred one. `charge` is told of the
    /// steps of each character.
    func firstMatch<Failed: Error>(from: Int, charge: (Int) throws(Failed) -> Void) throws(Failed) -> Match? {
        var current = Threads(expression.program.count), next = current
        var found: [Int]?
        let blank = [Int](repeating: -1, count: 2 * (expression.groups + 1))
        var index = from, steps = 0
        while true {
            if found == nil { add(Thread(place: 0, saved: blank), to: &current, at: index, &steps) }
            try charge(current.list.count + steps)
            steps = 0
            // Nothing begins here; but something may begin further on.
            if current.list.isEmpty, found != nil { break }
            let scalar = index < text.count ? text[index] : nil
            next.list.removeAll(keepingCapacity: true)
            scan: for thread in current.list {
                switch expression.program[thread.place] {
                case .scalar(let wanted): if scalar == wanted { advance(thread, &next, index, &steps) }
                case .set(let ranges):
                    if let scalar, ranges.contains(scalar) { advance(thread, &next, index, &steps) }
                case .match:
                    found = thread.saved
                    // Those behind it are less preferred.
                    break scan
                case .split, .jump, .save, .assert: break
                }
            }
            swap(&current, &next)
            guard index < text.count else { break }
            index += 1
        }
        return found.map { saved in
            stride(from: 0, to: saved.count, by: 2).map {
                saved[$0] >= 0 && saved[$0 + 1] >= 0 ? saved[$0]..<saved[$0 + 1] : nil
            }
        }
    }

    private func advance(_ thread: Thread, _ next: inout Threads, _ index: Int, _ steps: inout Int) {
        add(Thread(place: thread.place + 1, saved: thread.saved), to: &next, at: index + 1, &steps)
    }

    /// Follows what takes no character; a stack of our own, since patterns may be long.
    private func add(_ thread: Thread, to threads: inout Threads, at index: Int, _ steps: inout Int) {
        var stack = [thread]
        while let thread = stack.popLast() {
            steps += 1
            guard threads.seen[thread.place] != index else { continue }
            threads.seen[thread.place] = index
            switch expression.program[thread.place] {
            case .jump(let place): stack.append(Thread(place: place, saved: thread.saved))
            case .split(let first, let second):
                stack.append(Thread(place: second, saved: thread.saved))
                stack.append(Thread(place: first, saved: thread.saved))
            case .save(let slot):
                var saved = thread.saved
                saved[slot] = index
                stack.append(Thread(place: thread.place + 1, saved: saved))
            case .assert(let assertion):
                if holds(assertion, index) {
                    stack.append(Thread(place: thread.place + 1, saved: thread.saved))
                }
            case .scalar, .set, .match: threads.list.append(thread)
            }
        }
    }

    private func holds(_ assertion: RegularExpression.Assertion, _ index: Int) -> Bool {
        switch assertion {
        case .start: index == 0
        case .end: index == text.count
        case .lineStart: index == 0 || text[index - 1] == 0x0A
        case .lineEnd: index == text.count || text[index] == 0x0A
        case .boundary: isBoundary(index)
        case .noBoundary: !isBoundary(index)
        }
    }
    private func isBoundary(_ index: Int) -> Bool {
        let before = index > 0 && RegularExpression.Ranges.words.contains(text[index - 1])
        let after = index < text.count && RegularExpression.Ranges.words.contains(text[index])
        return before != after
    }
}
