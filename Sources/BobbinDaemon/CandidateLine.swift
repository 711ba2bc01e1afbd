// What this is: the files that wait in one drop directory, in the order in which they were seen, users taking turns.
// Owns: that one user's hundred thousand files do not keep another's one waiting.
// Never: knows priorities, or whether a file is whole.
// On failure: nothing here fails.

struct CandidateLine {
    private var byUser: [UInt32: Fifo<Candidate>] = [:]
    /// Users with files, in the order of their turns.
    private var turns: [UInt32] = []
    private var next = 0

    var isEmpty: Bool { turns.isEmpty }
    func count(of user: UInt32) -> Int { byUser[user]?.count ?? 0 }
    /// When the longest waiting one was seen.
    var oldest: Int64? { byUser.values.compactMap { $0.first?.seenAt }.min() }
    var all: some Sequence<Candidate> { turns.lazy.flatMap { byUser[$0]?.all ?? [] } }

    mutating func append(_ candidate: Candidate) {
        enrol(candidate.user)
        byUser[candidate.user, default: Fifo()].append(candidate)
    }
    /// Gives back what was taken and could not be used: it is that user's first again.
    mutating func putBack(_ candidate: Candidate) {
        enrol(candidate.user)
        byUser[candidate.user, default: Fifo()].putBack(candidate)
    }
    private mutating func enrol(_ user: UInt32) {
        if byUser[user] == nil { turns.append(user) }
    }

    mutating func popFirst() -> Candidate? {
        guard !turns.isEmpty else { return nil }
        if next >= turns.count { next = 0 }
        let user = turns[next]
        let candidate = byUser[user]?.popFirst()
        if byUser[user]?.isEmpty ?? true { strike(user) } else { next += 1 }
        return candidate
    }
    mutating func removeAll(where matches: (Candidate) -> Bool) {
        for user in turns {
            byUser[user]?.removeAll(where: matches)
            if byUser[user]?.isEmpty ?? true { strike(user) }
        }
    }
    private mutating func strike(_ user: UInt32) {
        byUser[user] = nil
        guard let place = turns.firstIndex(of: user) else { return }
        turns.remove(at: place)
        if place < next { next -= 1 }
    }
}
