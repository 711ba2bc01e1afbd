// What this is: a text whose signs may be written as escapes, read byte by byte for what it stands for.
// Owns: percent signs (RFC 3986, and `+` as forms have it), backslashes (JSON, C, `printf %q`), entities of XML.
// Never: decides which escapes a writer would have used: any mix of them and of plain bytes is read.
// On failure: what begins like an escape and is none stands for itself.

struct EscapeReader: Sendable {
    enum Escapes: Sendable {
        case none, percent, form, backslash, entity
        /// What an escape begins with.
        var sign: UInt8? {
            switch self {
            case .none: nil
            case .percent, .form: UInt8(ascii: "%")
            case .backslash: UInt8(ascii: "\\")
            case .entity: UInt8(ascii: "&")
            }
        }
    }
    struct Unit {
        var byte: UInt8
        /// Of the bytes that stand for it.
        var place: ClosedRange<Int>
    }
    let escapes: Escapes
    /// An escape that is not whole yet.
    private var raw: [Unit] = []
    /// `\\U0010FFFF` and a pair of `\\uD83D` are the longest.
    private static let longest = 12

    init(_ escapes: Escapes) { self.escapes = escapes }

    /// Where an escape began that may still become whole.
    var open: Int? { raw.first?.place.lowerBound }
    /// Whether this byte, here, may not stand for itself alone.
    func isEscape(_ byte: UInt8) -> Bool {
        !raw.isEmpty || byte == escapes.sign || escapes == .form && byte == 0x2B
    }

    private enum Reading { case partial, none, bytes([UInt8]) }

    /// What this one, which may itself have been read from an escape, makes certain.
    mutating func take(_ unit: Unit) -> [Unit] {
        guard !raw.isEmpty || unit.byte == escapes.sign else { return [plain(unit)] }
        raw.append(unit)
        var units: [Unit] = []
        while let first = raw.first {
            if first.byte != escapes.sign {
                units.append(plain(raw.removeFirst()))
                continue
            }
            switch read(raw.map(\.byte)) {
            case .partial where raw.count < EscapeReader.longest: return units
            case .bytes(let bytes):
                let place = first.place.lowerBound...unit.place.upperBound
                units += bytes.map { Unit(byte: $0, place: place) }
                raw = []
            case .none, .partial:
                // The sign stands for itself; what comes behind it is looked at anew.
                units.append(raw.removeFirst())
            }
        }
        return units
    }

    private func plain(_ unit: Unit) -> Unit {
        Unit(byte: escapes == .form && unit.byte == 0x2B ? 0x20 : unit.byte, place: unit.place)
    }

    private func read(_ raw: [UInt8]) -> Reading {
        switch escapes {
        case .none: .none
        case .percent, .form:
            EscapeReader.number(raw.dropFirst(), digits: 2, radix: 16) { [UInt8(truncatingIfNeeded: $0)] }
        case .backslash: EscapeReader.backslash(raw)
        case .entity: EscapeReader.entity(raw)
        }
    }

    private static func number(
        _ digits: ArraySlice<UInt8>, digits count: Int, radix: Int, _ bytes: (UInt32) -> [UInt8]?
    ) -> Reading {
        let text = String(decoding: digits.prefix(count), as: UTF8.self)
        guard text.isEmpty || UInt32(text, radix: radix) != nil && text.first != "+" else { return .none }
        guard digits.count >= count else { return .partial }
        return UInt32(text, radix: radix).flatMap(bytes).map(Reading.bytes) ?? .none
    }

    private static let letters: [UInt8: UInt8] = [
        UInt8(ascii: "n"): 10, UInt8(ascii: "r"): 13, UInt8(ascii: "t"): 9, UInt8(ascii: "b"): 8,
        UInt8(ascii: "f"): 12, UInt8(ascii: "v"): 11, UInt8(ascii: "a"): 7, UInt8(ascii: "e"): 27,
        UInt8(ascii: "E"): 27,
    ]
    private static func backslash(_ raw: [UInt8]) -> Reading {
        guard raw.count > 1 else { return .partial }
        switch raw[1] {
        case UInt8(ascii: "u"): return raw.count > 2 && raw[2] == UInt8(ascii: "{") ? braced(raw) : utf16(raw)
        case UInt8(ascii: "U"): return number(raw.dropFirst(2), digits: 8, radix: 16, utf8)
        case UInt8(ascii: "x"):
            return number(raw.dropFirst(2), digits: 2, radix: 16) { [UInt8(truncatingIfNeeded: $0)] }
        case UInt8(ascii: "0")...UInt8(ascii: "7"):
            return number(raw.dropFirst(1), digits: 3, radix: 8) {
                $0 < 256 ? [UInt8(truncatingIfNeeded: $0)] : nil
            }
        default: return .bytes([letters[raw[1]] ?? raw[1]])
        }
    }
    /// `\\u{e9}`.
    private static func braced(_ raw: [UInt8]) -> Reading {
        guard raw.last == UInt8(ascii: "}") else { return .partial }
        let digits = String(decoding: raw.dropFirst(3).dropLast(), as: UTF8.self)
        return UInt32(digits, radix: 16).flatMap(utf8).map(Reading.bytes) ?? .none
    }
    /// `\u00e9`, and the pairs for what is beyond 16 bits.
    private static func utf16(_ raw: [UInt8]) -> Reading {
        var high: UInt32 = 0
        let first = number(raw.dropFirst(2), digits: 4, radix: 16) { value in
            high = value
            return (0xD800...0xDBFF).contains(value) ? [] : utf8(value)
        }
        guard case .bytes(let bytes) = first, bytes.isEmpty else { return first }
        let rest = raw.dropFirst(6)
        if rest.isEmpty || rest.elementsEqual([0x5C]) { return .partial }
        guard rest.starts(with: Array("\\u".utf8)) else { return .none }
        return number(rest.dropFirst(2), digits: 4, radix: 16) { low in
            guard (0xDC00...0xDFFF).contains(low) else { return nil }
            return utf8(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
        }
    }

    private static let names = ["amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'"]
    private static func entity(_ raw: [UInt8]) -> Reading {
        guard raw.last == UInt8(ascii: ";") else {
            let isPart = raw.dropFirst().allSatisfy {
                $0 == 0x23 || (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20)
            }
            return isPart ? .partial : .none
        }
        let name = String(decoding: raw.dropFirst().dropLast(), as: UTF8.self)
        if let text = names[name] { return .bytes(Array(text.utf8)) }
        guard name.hasPrefix("#") else { return .none }
        let digits = name.dropFirst()
        let isHex = digits.first == "x" || digits.first == "X"
        let value = UInt32(isHex ? digits.dropFirst() : digits, radix: isHex ? 16 : 10)
        return value.flatMap(utf8).map(Reading.bytes) ?? .none
    }
    private static func utf8(_ value: UInt32) -> [UInt8]? {
        Unicode.Scalar(value).map { Array(String(Character($0)).utf8) }
    }
}
