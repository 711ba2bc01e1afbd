// What this is: IP addresses and ranges in CIDR form: `192.30.252.0/22`, `2001:db8::/32`, `10.0.0.7`.
// Owns: reading them (inet_pton) and whether an address lies in a range; an IPv4 address inside IPv6 counts as IPv4.
// Never: asks a resolver.
// On failure: text that is no address gives nil.
import LinuxSystem

public struct AddressRange: Hashable, Sendable {
    private let bytes: [UInt8]
    private let bits: Int

    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        guard let first = parts.first, let bytes = AddressRange.address(first) else { return nil }
        self.bytes = bytes
        guard parts.count == 2 else {
            bits = bytes.count * 8
            return
        }
        guard !parts[1].isEmpty, parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let bits = Int(parts[1]),
            bits <= bytes.count * 8
        else { return nil }
        self.bits = bits
    }

    public func contains(_ text: String) -> Bool {
        guard let other = AddressRange.address(text), other.count == bytes.count else { return false }
        for bit in 0..<bits where (bytes[bit / 8] ^ other[bit / 8]) >> UInt8(7 - bit % 8) & 1 == 1 {
            return false
        }
        return true
    }

    private static func address(_ text: String) -> [UInt8]? {
        guard let bytes = Host.addressBytes(text) else { return nil }
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
        return bytes.count == 16 && Array(bytes.prefix(12)) == mapped ? Array(bytes.suffix(4)) : bytes
    }
}
