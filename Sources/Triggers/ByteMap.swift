// What this is: a dictionary whose keys are names of files: two names are the same where their bytes are.
// Owns: that comparison. Swift's texts are equal where they look alike, and a folder may hold `é` in both its spellings.
// Never: changes a key.
// On failure: nothing here fails.

struct ByteMap<Value> {
    private struct Key: Hashable {
        let text: String
        static func == (left: Key, right: Key) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }
        func hash(into hasher: inout Hasher) {
            var text = text
            text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        }
    }
    private var map: [Key: Value] = [:]

    subscript(_ name: String) -> Value? {
        get { map[Key(text: name)] }
        set { map[Key(text: name)] = newValue }
    }
    subscript(_ name: String, default standard: @autoclosure () -> Value) -> Value {
        get { map[Key(text: name), default: standard()] }
        _modify { yield &map[Key(text: name), default: standard()] }
    }
    @discardableResult
    mutating func removeValue(_ name: String) -> Value? { map.removeValue(forKey: Key(text: name)) }
    var isEmpty: Bool { map.isEmpty }
    var count: Int { map.count }
    var keys: [String] { map.keys.map(\.text) }
    var values: some Collection<Value> { map.values }
    func forEach(_ body: (String, Value) -> Void) { for (key, value) in map { body(key.text, value) } }
    mutating func removeAll() { map.removeAll() }
}

extension String {
    /// Byte by byte, as the kernel compares names.
    func hasBytes(of other: String) -> Bool { utf8.elementsEqual(other.utf8) }
    func isInside(_ folder: String) -> Bool {
        folder.isEmpty || utf8.starts(with: folder.utf8) && utf8.dropFirst(folder.utf8.count).first == 0x2F
    }
}
