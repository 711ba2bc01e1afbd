// What this is: texts for pages that are shown around: without mail addresses, people's directories and phone numbers.
// Owns: the three masks (guide 000, PII masking).
// Never: masks secrets: those are gone before a text is ever written (SecretStore).
// On failure: cannot fail; what has another form stays.

public enum PersonalData {
    public static let mail = "<mail>", person = "<user>", phone = "<phone>"

    public static func masked(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var out: [UInt8] = []
        var at = 0
        while at < bytes.count {
            let isStart = at == 0 || !isNamePart(bytes[at - 1])
            if isStart, let end = mailEnd(bytes, at) {
                out += mail.utf8
                at = end
            } else if isStart, let name = homeName(bytes, at) {
                out += bytes[at..<name.lowerBound]
                out += person.utf8
                at = name.upperBound
            } else if isStart, let end = phoneEnd(bytes, at) {
                out += phone.utf8
                at = end
            } else {
                out.append(bytes[at])
                at += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func isNamePart(_ byte: UInt8) -> Bool {
        Sign.isWordLike(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "@")
    }
    private static func isMailPart(_ byte: UInt8) -> Bool {
        Sign.isWordLike(byte)
            || [UInt8(ascii: "."), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "%")].contains(byte)
    }
    /// name@host.tld
    private static func mailEnd(_ bytes: [UInt8], _ start: Int) -> Int? {
        var at = start
        while at < bytes.count, at - start <= 64, isMailPart(bytes[at]) { at += 1 }
        guard at > start, at < bytes.count, bytes[at] == UInt8(ascii: "@") else { return nil }
        let host = at + 1
        at = host
        while at < bytes.count,
            Sign.isWordLike(bytes[at]) || bytes[at] == Sign.dot || bytes[at] == UInt8(ascii: "-")
        {
            at += 1
        }
        while at > host, bytes[at - 1] == Sign.dot { at -= 1 }
        return bytes[host..<at].contains(Sign.dot) ? at : nil
    }
    /// The name in /home/name, /Users/name, C:\Users\name.
    private static func homeName(_ bytes: [UInt8], _ start: Int) -> Range<Int>? {
        for prefix in ["/home/", "/Users/", "\\Users\\"] {
            let prefix = Array(prefix.utf8)
            guard bytes[start...].starts(with: prefix) else { continue }
            var end = start + prefix.count
            while end < bytes.count,
                Sign.isWordLike(bytes[end]) || bytes[end] == Sign.dot || bytes[end] == UInt8(ascii: "-")
            {
                end += 1
            }
            return end > start + prefix.count ? start + prefix.count..<end : nil
        }
        return nil
    }
    /// A plus and seven digits or more; or ten and more in groups with spaces, dashes or brackets that begin with 0 or a bracket.
    private static func phoneEnd(_ bytes: [UInt8], _ start: Int) -> Int? {
        let isAbroad = bytes[start] == UInt8(ascii: "+")
        guard isAbroad || bytes[start] == UInt8(ascii: "0") || bytes[start] == Sign.openParenthesis else {
            return nil
        }
        var at = start, digits = 0, groups = 1, end = start
        while at < bytes.count {
            switch bytes[at] {
            case _ where Sign.isDigit(bytes[at]):
                digits += 1
                end = at + 1
            case Sign.space, UInt8(ascii: "-"), Sign.openParenthesis, Sign.closeParenthesis, Sign.slash:
                if at > start { groups += 1 }
            case UInt8(ascii: "+") where at == start: break
            default:
                return verdict(bytes, at, digits, groups, isAbroad, end)
            }
            at += 1
        }
        return verdict(bytes, at, digits, groups, isAbroad, end)
    }
    private static func verdict(
        _ bytes: [UInt8], _ at: Int, _ digits: Int, _ groups: Int, _ isAbroad: Bool, _ end: Int
    ) -> Int? {
        // Part of a longer word, such as a file's name or an id.
        if end < bytes.count, Sign.isLetter(bytes[end]) || bytes[end] == Sign.dot { return nil }
        let isNumber = isAbroad ? (7...15).contains(digits) : (9...15).contains(digits) && groups > 1
        return isNumber ? end : nil
    }
}
