// What this is: paths that are to be looked at, the nearest first; a path is in it once, at its last time.
// Owns: a heap of instants and the table that says which of them still holds.
// Never: reads a clock.
// On failure: nothing here fails.

struct Agenda {
    private var heap: [(due: Int64, path: String)] = []
    private(set) var dues = ByteMap<Int64>()

    var next: Int64? {
        mutating get {
            while let first = heap.first, dues[first.path] != first.due { _ = popHeap() }
            return heap.first?.due
        }
    }
    var count: Int { dues.count }

    mutating func set(_ path: String, _ due: Int64) {
        dues[path] = due
        heap.append((due, path))
        var child = heap.count - 1
        while child > 0, heap[(child - 1) / 2].due > heap[child].due {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }
    mutating func remove(_ path: String) { dues[path] = nil }

    /// The nearest one that is due.
    mutating func pop(now: Int64) -> String? {
        guard let due = next, due <= now, let path = popHeap() else { return nil }
        dues[path] = nil
        return path
    }

    private mutating func popHeap() -> String? {
        guard let first = heap.first else { return nil }
        heap[0] = heap[heap.count - 1]
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].due < heap[least].due {
                least = child
            }
            if least == parent { return first.path }
            heap.swapAt(least, parent)
            parent = least
        }
    }
}
