// What this is: the forms in which a secret may turn up in an output and that cannot be read as escapes.
// Owns: the list: as it is, line by line, in a shell's quotes, base64 (three alignments, both alphabets), hexadecimal.
// Never: knows a form that depends on what stands around the secret, other than the alignment of base64; compressed or
//   enciphered it is not recognised, and the documents say so.
// On failure: what is too short to be told from ordinary text has no form.

enum MaskForms {
    /// Shorter than this nothing is masked: it would blacken half of every log.
    static let shortest = 8

    struct Forms {
        /// To be found as they are, or written with escapes.
        var plain: Set<[UInt8]> = []
        /// That may be wrapped: in them blanks and line ends count for nothing.
        var wrapped: Set<[UInt8]> = []
    }

    static func forms(of secret: [UInt8]) -> Forms {
        var forms = Forms()
        let whole = trimmed(secret)
        guard whole.count >= shortest else { return forms }
        add(whole, to: &forms)
        let lines = whole.split { $0 == 0x0A || $0 == 0x0D }.map { trimmed(Array($0)) }
        if lines.count > 1 {
            for line in lines where line.count >= shortest { add(line, to: &forms) }
        }
        return forms
    }

    private static func add(_ bytes: [UInt8], to forms: inout Forms) {
        forms.plain.insert(bytes)
        // A cell of a table.
        forms.plain.insert(bytes.flatMap { $0 == 0x22 ? [0x22, 0x22] : [$0] })
        // Inside of a shell's single quotes: as most write it, and as Python does.
        for quote in ["'\\''", "'\"'\"'"] {
            forms.plain.insert(bytes.flatMap { $0 == 0x27 ? Array(quote.utf8) : [$0] })
        }
        for digits in ["0123456789ABCDEF", "0123456789abcdef"] {
            let digits = Array(digits.utf8)
            forms.wrapped.insert(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
        }
        for alphabet in [standard, url] {
            for shift in 0..<3 {
                let text = base64(bytes, shift: shift, alphabet)
                if text.count >= shortest { forms.wrapped.insert(text) }
            }
            // Alone, or at the end of a text: the last sign has bits of it too.
            for shift in 0..<3 {
                let text = base64(bytes, shift: shift, alphabet, toTheEnd: true)
                if text.count >= shortest { forms.wrapped.insert(text) }
            }
        }
    }

    private static func trimmed(_ bytes: [UInt8]) -> [UInt8] {
        let isBlank: (UInt8) -> Bool = { $0 == 0x0A || $0 == 0x0D || $0 == 0x20 || $0 == 0x09 }
        guard let first = bytes.firstIndex(where: { !isBlank($0) }),
            let last = bytes.lastIndex(where: { !isBlank($0) })
        else { return [] }
        return Array(bytes[first...last])
    }

    private static let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    private static let standard = Array("\(letters)+/".utf8)
    private static let url = Array("\(letters)-_".utf8)
    /// The signs that are the same whatever stands before and behind, where it begins `shift` bytes into a group of three;
    /// `toTheEnd`: where nothing stands behind, with the sign that is filled up.
    private static func base64(_ bytes: [UInt8], shift: Int, _ alphabet: [UInt8], toTheEnd: Bool = false)
        -> [UInt8]
    {
        let all = [UInt8](repeating: 0, count: shift) + bytes
        var out: [UInt8] = []
        // Of sign i, the bits 6i to 6i + 5.
        let first = (8 * shift + 5) / 6, end = (8 * all.count + (toTheEnd ? 5 : 0)) / 6
        for sign in first..<max(first, end) {
            let bit = 6 * sign
            let high = UInt16(all[bit / 8]) << 8, low = bit / 8 + 1 < all.count ? UInt16(all[bit / 8 + 1]) : 0
            out.append(alphabet[Int((high | low) >> (10 - UInt16(bit % 8)) & 63)])
        }
        return out
    }
}
