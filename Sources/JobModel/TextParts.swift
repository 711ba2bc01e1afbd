// What this is: texts cut and searched by bytes, as the kernel, a shell and a database do it.
// Owns: the three questions that paths and quoting ask.
// Never: looks at characters: to Swift `/` and a combining mark behind it are one character, and no slash at all.
// On failure: nothing here fails.

extension StringProtocol {
    /// The parts between one ASCII sign; empty ones only where they are wanted.
    public func parts(at sign: Unicode.Scalar, keepingEmpty: Bool = false) -> [String] {
        let byte = UInt8(truncatingIfNeeded: sign.value)
        return utf8.split(separator: byte, omittingEmptySubsequences: !keepingEmpty).map {
            String(decoding: $0, as: UTF8.self)
        }
    }
    /// Whether an ASCII sign is anywhere in it.
    public func has(_ sign: Unicode.Scalar) -> Bool { utf8.contains(UInt8(truncatingIfNeeded: sign.value)) }
    /// Whether it begins with an ASCII sign.
    public func begins(with sign: Unicode.Scalar) -> Bool {
        utf8.first == UInt8(truncatingIfNeeded: sign.value)
    }
}
