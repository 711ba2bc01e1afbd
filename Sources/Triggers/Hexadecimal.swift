// What this is: bytes as hexadecimal digits.
// Owns: that one way of writing them.
// Never: reads them.
// On failure: nothing here fails.

extension Sequence<UInt8> {
    /// Two lower-case digits a byte.
    var hexadecimal: String { map { String(UInt16($0) + 0x100, radix: 16).dropFirst() }.joined() }
}
