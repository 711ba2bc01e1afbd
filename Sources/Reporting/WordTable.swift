// What this is: the few words that a message's shape must know: units, names of days, months and zones, methods of HTTP.
// Owns: the lists, and a look-up that allocates nothing.
// Never: holds a word of one program's or one data set's.
// On failure: cannot fail; a word that is not here is language.

enum WordTable {
    private static let units = Set(
        """
        b B kb kB KB Kb mb MB Mb gb GB Gb tb TB KiB MiB GiB TiB byte bytes Byte Bytes ns us ms s sec secs second seconds msec
        msecs millisecond milliseconds min mins minute minutes h hr hrs hour hours d day days % percent B/s kB/s KB/s MB/s
        GB/s Hz kHz MHz GHz
        """.split(whereSeparator: \.isWhitespace).map { key(of: String($0)) })
    private static let dateWords = Set(
        """
        Mon Tue Wed Thu Fri Sat Sun Monday Tuesday Wednesday Thursday Friday Saturday Sunday Jan Feb Mar Apr May Jun Jul Aug
        Sep Oct Nov Dec January February March April June July August September October November December UTC GMT CET CEST
        EST EDT CST CDT MST MDT PST PDT BST JST AM PM am pm
        """.split(whereSeparator: \.isWhitespace).map { key(of: String($0)) })
    private static let methods = [
        "GET", "PUT", "POST", "HEAD", "PATCH", "TRACE", "DELETE", "CONNECT", "OPTIONS",
    ]
    .map { Array($0.utf8) }

    static func isUnit(_ text: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
        end > start && end - start <= 12 && units.contains(key(text, start, end))
    }
    static func isDateWord(_ text: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
        let length = end - start
        guard (2...9).contains(length) else { return false }
        return dateWords.contains(key(text, start, end))
    }
    /// How long the method is that a request begins with; 0: it is no request.
    static func methodLength(_ text: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Int {
        guard end - start > 4 else { return 0 }
        for method in methods where end - start > method.count {
            let isIt =
                text[start + method.count] == Sign.space
                && method.indices.allSatisfy { text[start + $0] == method[$0] }
            if isIt { return method.count }
        }
        return 0
    }

    /// The first eight bytes and the length: no two words of the lists share them, and a word outside that shares them with
    /// one inside begins as it does and is as long.
    private static func key(_ text: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> UInt64 {
        var key: UInt64 = 0
        for at in start..<min(end, start + 8) { key = key << 8 | UInt64(text[at]) }
        return key &* 31 &+ UInt64(end - start)
    }
    private static func key(of word: String) -> UInt64 {
        Array(word.utf8).withUnsafeBytes { key($0, 0, $0.count) }
    }
}
