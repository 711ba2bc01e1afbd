// What this is: the filters that code and decode texts: base64, base64_decode, sha256, from_json, url_encode.
// Owns: base64 (RFC 4648, section 4) and percent-encoding (RFC 3986, section 2.3: all but the unreserved characters).
// Never: decodes to what is no UTF-8 text: values are texts, not bytes.
// On failure: E-EXPR-TYPE with what was wrong in the text.
import Crypto
import FoundationEssentials
import JobModel

extension ExpressionEvaluator {
    mutating func coded(_ call: FilterCall) throws(ExpressionError) -> Value {
        let text = try call.text()
        // A hash or a JSON tree costs more than a copy.
        try spend(text.utf8.count / 8, at: call.offset)
        switch call.filter {
        case .sha256:
            let digest = SHA256.hash(data: Array(text.utf8))
            return .string(digest.map { Coding.hex[Int($0 >> 4)] + Coding.hex[Int($0 & 15)] }.joined())
        case .base64: return .string(try bounded(Coding.base64(text), call))
        case .base64Decode:
            guard let bytes = Coding.bytes(base64: text) else { throw call.wrongType("a text in base64") }
            guard let decoded = String(validating: bytes, as: UTF8.self) else {
                throw call.wrongType("the base64 of a UTF-8 text")
            }
            return .string(decoded)
        case .urlEncode: return .string(try bounded(Coding.percent(text), call))
        default:
            do throws(JSONProblem) {
                return try deepEnough(try JSONReader.read(Array(text.utf8)), call)
            } catch {
                throw ExpressionError("E-EXPR-TYPE", "`from_json`: \(error)", offset: call.offset)
            }
        }
    }

    private func deepEnough(_ value: Value, _ call: FilterCall) throws(JSONProblem) -> Value {
        guard !value.isNested(deeperThan: ExpressionLimits.nesting) else {
            throw JSONProblem(what: "nested deeper than \(ExpressionLimits.nesting)", line: 1, column: 1)
        }
        return value
    }
}

private enum Coding {
    static let hex = "0123456789abcdef".map(String.init)

    static func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    /// White space is left out, as in a file that was wrapped, and padding may be missing. Whatever else is not as it would
    /// be written is refused, or two texts would mean the same.
    static func bytes(base64 text: String) -> [UInt8]? {
        var letters = String(text.filter { !$0.isWhitespace })
        if !letters.contains("=") {
            letters += String(repeating: "=", count: (4 - letters.utf8.count % 4) % 4)
        }
        guard let data = Data(base64Encoded: letters), data.base64EncodedString() == letters else {
            return nil
        }
        return Array(data)
    }

    static func percent(_ text: String) -> String {
        var out: [UInt8] = []
        for byte in text.utf8 {
            let isPlain =
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || [0x2D, 0x2E, 0x5F, 0x7E].contains(byte)
            if isPlain {
                out.append(byte)
            } else {
                out += Array("%\(hex[Int(byte >> 4)])\(hex[Int(byte & 15)])".uppercased().utf8)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
