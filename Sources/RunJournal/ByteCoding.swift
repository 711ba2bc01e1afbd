// What this is: the smallest binary coding the journal needs: bytes out, bytes in.
// Owns: varints, length-counted texts, values.
// Never: traps on any input: decoding is total (every byte string gives a value or DecodeError).
// On failure: DecodeError with the offset.
import JobModel

struct DecodeError: Error, Hashable {
    var offset: Int
    var expected: String
}

struct ByteWriter {
    var bytes: [UInt8] = []

    mutating func byte(_ value: UInt8) { bytes.append(value) }
    mutating func number(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
    /// Zigzag, so that small negative numbers stay small.
    mutating func signed(_ value: Int64) { number(UInt64(bitPattern: value << 1 ^ value >> 63)) }
    mutating func text(_ value: String) {
        var copy = value
        copy.withUTF8 {
            number(UInt64($0.count))
            bytes.append(contentsOf: $0)
        }
    }
    mutating func data(_ value: [UInt8]) {
        number(UInt64(value.count))
        bytes.append(contentsOf: value)
    }
    mutating func flag(_ value: Bool) { bytes.append(value ? 1 : 0) }
    mutating func time(_ value: Timestamp) { signed(value.nanoseconds) }
    mutating func optional<T>(_ value: T?, _ write: (inout ByteWriter, T) -> Void) {
        flag(value != nil)
        if let value { write(&self, value) }
    }
    mutating func list<T>(_ values: [T], _ write: (inout ByteWriter, T) -> Void) {
        number(UInt64(values.count))
        for value in values { write(&self, value) }
    }

    mutating func value(_ value: Value) {
        switch value {
        case .null: byte(0)
        case .bool(let flag): byte(flag ? 2 : 1)
        case .int(let number): byte(3); signed(Int64(number))
        case .double(let number): byte(4); self.number(number.bitPattern)
        case .string(let text): byte(5); self.text(text)
        case .list(let items): byte(6); list(items) { $0.value($1) }
        case .map(let map): byte(7); self.map(map)
        }
    }
    mutating func map(_ map: ValueMap) {
        list(map.entries) {
            $0.text($1.key)
            $0.value($1.value)
        }
    }
}

struct ByteReader {
    let bytes: ArraySlice<UInt8>
    var position: Int
    /// Of the record's format.
    let version: UInt8
    /// Nested values deeper than any job can hold are damage.
    private static let deepest = 128

    init(_ bytes: ArraySlice<UInt8>, version: UInt8 = EventCoding.version) {
        self.bytes = bytes
        self.version = version
        position = bytes.startIndex
    }

    func fail(_ expected: String) -> DecodeError {
        DecodeError(offset: position - bytes.startIndex, expected: expected)
    }

    mutating func byte() throws -> UInt8 {
        guard position < bytes.endIndex else { throw fail("a byte") }
        let next = bytes[position]
        position += 1
        return next
    }
    mutating func number() throws -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            let next = try byte()
            if shift == 63 && next > 1 { throw fail("a number below 2^64") }
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return value }
        }
        throw fail("the end of a number")
    }
    mutating func signed() throws -> Int64 {
        let raw = try number()
        return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
    }
    mutating func count() throws -> Int {
        let raw = try number()
        // Each element takes a byte at least, so a larger count is damage, and never an allocation.
        guard raw <= UInt64(bytes.endIndex - position) else { throw fail("a count that fits") }
        return Int(raw)
    }
    mutating func data() throws -> [UInt8] {
        let length = try count()
        let data = Array(bytes[position..<(position + length)])
        position += length
        return data
    }
    mutating func text() throws -> String { String(decoding: try data(), as: UTF8.self) }
    mutating func flag() throws -> Bool {
        switch try byte() {
        case 0: false
        case 1: true
        default: throw fail("a flag")
        }
    }
    mutating func time() throws -> Timestamp { Timestamp(nanoseconds: try signed()) }
    mutating func optional<T>(_ read: (inout ByteReader) throws -> T) throws -> T? {
        guard try flag() else { return nil }
        return try read(&self)
    }
    mutating func list<T>(_ read: (inout ByteReader) throws -> T) throws -> [T] {
        let length = try count()
        var items: [T] = []
        // A count fits when each element is one byte, but elements in memory are hundreds: no room on trust.
        items.reserveCapacity(min(length, 64))
        for _ in 0..<length { items.append(try read(&self)) }
        return items
    }
    mutating func word<T: RawRepresentable>(_ type: T.Type) throws -> T where T.RawValue == String {
        guard let word = T(rawValue: try text()) else { throw fail("a \(T.self)") }
        return word
    }

    mutating func value(depth: Int = 0) throws -> Value {
        guard depth < ByteReader.deepest else { throw fail("a flatter value") }
        switch try byte() {
        case 0: return .null
        case 1: return .bool(false)
        case 2: return .bool(true)
        case 3: return .int(Int(try signed()))
        case 4: return .double(Double(bitPattern: try number()))
        case 5: return .string(try text())
        case 6: return .list(try list { try $0.value(depth: depth + 1) })
        case 7: return .map(try map(depth: depth + 1))
        default: throw fail("a value")
        }
    }
    mutating func map(depth: Int = 0) throws -> ValueMap {
        let entries = try list { reader in
            (try reader.text(), try reader.value(depth: depth))
        }
        return ValueMap(distinct: entries)
    }
}
