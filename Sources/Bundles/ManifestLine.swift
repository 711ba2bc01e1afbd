// What this is: one file in a manifest: a line of text, written, and read in the one form in which it is written.
// Owns: the order of its parts; odd bytes of a path as `%XX`, and no others.
// Never: takes a line that it would have written otherwise: a number with a zero before it, an escape that needs none.
// On failure: nil for a line that is none.

enum ManifestLine {
    typealias Row = BundleManifest.Row
    private static let hexadecimal = Array("0123456789ABCDEF".utf8)
    private static let words: [(kind: BundleClass, bytes: [UInt8])] = BundleClass.allCases.map {
        ($0, Array($0.rawValue.utf8))
    }
    private static let equals = UInt8(ascii: "="), blank: UInt8 = 0x20, percent = UInt8(ascii: "%")
    private static func isOdd(_ byte: UInt8) -> Bool { byte <= 0x20 || byte == percent || byte == 0x7F }

    /// With its line end.
    static func write(_ row: Row, _ out: inout [UInt8]) {
        if row.isInBase { out.append(equals) }
        row.hash.write(&out)
        out.append(blank)
        out += row.kind.rawValue.utf8
        out.append(blank)
        out += String(row.mode, radix: 8).utf8
        out.append(blank)
        out += String(row.size).utf8
        out.append(blank)
        out += String(row.modified).utf8
        out.append(blank)
        for byte in row.path.utf8 {
            if isOdd(byte) {
                out += [percent, hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]]
            } else {
                out.append(byte)
            }
        }
        out.append(0x0A)
    }

    /// Without its line end.
    static func read(_ line: Slice<UnsafeBufferPointer<UInt8>>) -> Row? {
        var rest = line[...]
        let isInBase = rest.first == equals
        if isInBase { rest = rest.dropFirst() }
        guard let hash = part(&rest).flatMap(ContentHash.init), let kind = part(&rest).flatMap(kind),
            let mode = part(&rest).flatMap({ number($0, radix: 8, most: 0o777) }),
            let size = part(&rest).flatMap({ number($0, radix: 10, most: 1 << 50) }),
            let modified = part(&rest).flatMap(time), let path = path(rest)
        else { return nil }
        var row = Row(
            path: path, kind: kind, mode: UInt32(mode), size: Int(size), modified: modified, hash: hash)
        row.isInBase = isInBase
        return row
    }
    /// Up to the next blank, which goes with it.
    private static func part(_ rest: inout Slice<UnsafeBufferPointer<UInt8>>) -> Slice<
        UnsafeBufferPointer<UInt8>
    >? {
        guard let end = rest.firstIndex(of: blank) else { return nil }
        defer { rest = rest[(end + 1)...] }
        return rest[..<end]
    }
    private static func kind(_ part: Slice<UnsafeBufferPointer<UInt8>>) -> BundleClass? {
        words.first { part.elementsEqual($0.bytes) }?.kind
    }
    private static func number(_ part: Slice<UnsafeBufferPointer<UInt8>>, radix: UInt64, most: UInt64)
        -> UInt64?
    {
        // No sign, and no zero before another digit.
        guard let first = part.first, part.count <= 20, first != 0x30 || part.count == 1 else { return nil }
        var value: UInt64 = 0
        for byte in part {
            guard byte >= 0x30, UInt64(byte - 0x30) < radix else { return nil }
            let (product, isTooMuch) = value.multipliedReportingOverflow(by: radix)
            let (sum, isMore) = product.addingReportingOverflow(UInt64(byte - 0x30))
            guard !isTooMuch, !isMore, sum <= most else { return nil }
            value = sum
        }
        return value
    }
    private static func time(_ part: Slice<UnsafeBufferPointer<UInt8>>) -> Int64? {
        guard part.first == UInt8(ascii: "-") else {
            return number(part, radix: 10, most: UInt64(Int64.max)).map(Int64.init)
        }
        guard let value = number(part.dropFirst(), radix: 10, most: 1 << 63), value > 0 else { return nil }
        return value == 1 << 63 ? Int64.min : -Int64(value)
    }
    private static func path(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> String? {
        guard bytes.contains(where: isOdd) else { return String(validating: bytes, as: UTF8.self) }
        var out: [UInt8] = [], rest = bytes
        out.reserveCapacity(bytes.count)
        while let byte = rest.popFirst() {
            guard byte == percent else {
                if isOdd(byte) { return nil }
                out.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexadecimal.firstIndex),
                let low = rest.popFirst().flatMap(hexadecimal.firstIndex), isOdd(UInt8(high << 4 | low))
            else { return nil }
            out.append(UInt8(high << 4 | low))
        }
        return String(validating: out, as: UTF8.self)
    }
}
