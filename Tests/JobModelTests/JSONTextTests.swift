// What this is: values as JSON, read back by Foundation.
// Owns: validity, exactness and the pretty form.
// Never: compares with a JSON writer of its own.
// On failure: the JSON text is in the message.
// Foundation is the oracle here and nowhere in the code under test.
import Foundation
import TestKit
import Testing

@testable import JobModel

private func randomText(_ random: inout SeededRandom) -> String {
    var text = ""
    for _ in 0..<random.below(12) {
        let scalar = Unicode.Scalar(
            UInt32(
                random.pick([
                    random.below(0x20), random.below(0x80), random.below(0x100), random.below(0x11_0000),
                ])))
        if let scalar { text.unicodeScalars.append(scalar) }
    }
    return text
}
private func randomValue(_ random: inout SeededRandom, depth: Int = 0) -> Value {
    switch random.below(depth > 4 ? 5 : 7) {
    case 0: return .null
    case 1: return .bool(random.chance(2))
    case 2: return .int(random.pick([0, -1, .max, .min, random.below(1000)]))
    case 3:
        return .double(
            random.pick([0, -0.0, 1.5, 1e300, .leastNonzeroMagnitude, -2.5e-9, 1e16, 0.1, 123_456_789.125]))
    case 4: return .string(randomText(&random))
    case 5: return .list((0..<random.below(5)).map { _ in randomValue(&random, depth: depth + 1) })
    default:
        var map = ValueMap()
        for number in 0..<random.below(5) {
            map["\(number)" + randomText(&random)] = randomValue(&random, depth: depth + 1)
        }
        return .map(map)
    }
}
/// The same value as Foundation read it.
private func isSame(_ value: Value, _ read: Any) -> Bool {
    switch value {
    case .null: return read is NSNull
    case .bool(let flag): return (read as? Bool) == flag
    case .int(let number): return (read as? NSNumber)?.int64Value == Int64(number)
    case .double(let number): return (read as? NSNumber)?.doubleValue == number
    case .string(let text):
        return (read as? String).map { Array($0.unicodeScalars) == Array(text.unicodeScalars) } ?? false
    case .list(let items):
        guard let list = read as? [Any], list.count == items.count else { return false }
        return zip(items, list).allSatisfy { isSame($0, $1) }
    case .map(let map):
        guard let found = read as? [String: Any], found.count == map.count else { return false }
        return map.entries.allSatisfy { entry in found[entry.key].map { isSame(entry.value, $0) } ?? false }
    }
}

@Suite struct JSONTextTests {
    @Test(arguments: [
        ("\u{2028}", "2028"), ("\u{2029}", "2029"), ("\u{FEFF}", "feff"), ("\u{FFFE}", "fffe"),
        ("\u{FFFF}", "ffff"),
        ("\u{85}", "0085"), ("\u{0}", "0000"),
    ])
    func whatReadersRefuseIsEscaped(text: String, digits: String) {
        #expect(JSONText.write(.string("a" + text)) == "\"a\\u\(digits)\"")
    }

    @Test(arguments: [false, true]) func foundationReadsIt(pretty: Bool) throws {
        var random = SeededRandom(seed: pretty ? 1 : 2)
        for number in 0..<1500 {
            let value = randomValue(&random)
            let text = JSONText.write(value, pretty: pretty)
            let read = try JSONSerialization.jsonObject(with: Data(text.utf8), options: [.fragmentsAllowed])
            #expect(isSame(value, read), "case \(number): \(text)")
            let isPlain = text.unicodeScalars.allSatisfy {
                $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) || pretty && $0 == "\n"
            }
            #expect(isPlain, "case \(number) holds a control character")
        }
    }
    @Test func oneLineStaysOneLine() {
        #expect(
            JSONText.write(.map(["a": .list([.int(1), "x\ny"]), "b": .map([:])]))
                == #"{"a":[1,"x\ny"],"b":{}}"#)
        #expect(JSONText.write(.map(["a": .list([.int(1)])]), pretty: true) == "{\n  \"a\": [\n    1\n  ]\n}")
    }
    @Test func whatJSONCannotSayIsNull() {
        for number in [Double.nan, .infinity, -.infinity] {
            #expect(JSONText.write(.double(number)) == "null")
        }
    }
    @Test func aWholeDoubleKeepsItsType() {
        #expect(JSONText.write(.double(2)) == "2.0" && Value.double(2).text == "2.0")
    }
    @Test func textOfAValue() {
        #expect(Value.null.text == "" && Value.bool(true).text == "true" && Value.int(-3).text == "-3")
        #expect(Value.list(["a"]).text == #"["a"]"# && Value.map(["k": .null]).text == #"{"k":null}"#)
    }
    @Test func aMapKeepsTheOrderOfItsKeys() {
        var map: ValueMap = ["b": .int(1), "a": .int(2)]
        map["c"] = .int(3)
        map["b"] = .int(4)
        map["a"] = nil
        #expect(map.keys == ["b", "c"] && map["b"] == .int(4) && map.count == 2)
        map.merge(["c": .int(5), "d": .int(6)])
        #expect(map.keys == ["b", "c", "d"] && map["c"] == .int(5))
    }
}
