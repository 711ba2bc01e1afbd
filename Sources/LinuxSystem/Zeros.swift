// What this is: the search for the end of a run of zeros, which is what most of a preallocated file is.
// Owns: nothing.
// Never: reads beyond the bytes it is given.
// On failure: nothing here fails.
import CLinux

public enum Zeros {
    /// The first index from `start` on whose byte is not zero, or the number of bytes.
    public static func end(in bytes: [UInt8], from start: Int) -> Int {
        guard start < bytes.count else { return bytes.count }
        return bytes.withUnsafeBytes { bb_first_nonzero($0.baseAddress, max(0, start), $0.count) }
    }
}
