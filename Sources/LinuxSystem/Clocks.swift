// What this is: the only place that reads a clock or asks for randomness.
// Owns: wall clock, monotonic clock, the zone offset, random bits.
// Never: is called by pure code: decisions take `now` as a parameter.
// On failure: the kernel's clocks do not fail; without random bits the process stops, since ids would repeat.
import CLinux
import Glibc

public enum Clocks {
    /// Nanoseconds since 1970, as the wall shows.
    public static var wall: Int64 { read(CLOCK_REALTIME) + offset }
    /// Nanoseconds that only rise and do not count suspension.
    public static var monotonic: Int64 { read(CLOCK_MONOTONIC) }

    #if DEBUG || SEAM
        /// How far a test lets this process's wall clock be ahead of the machine's (BOBBIN_CLOCK_OFFSET, in seconds).
        static let offset =
            Int64(Host.environment("BOBBIN_CLOCK_OFFSET") ?? "").map { $0 * 1_000_000_000 } ?? 0
    #else
        static let offset: Int64 = 0
    #endif

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
    /// Seconds east of UTC in the site's zone (TZ, else /etc/localtime) at that instant.
    public static func zoneOffset(atSeconds seconds: Int64) -> Int {
        var instant = time_t(seconds)
        var parts = tm()
        localtime_r(&instant, &parts)
        return parts.tm_gmtoff
    }
    public static func randomBits() -> (UInt16, UInt64) {
        var bits: (UInt64, UInt64) = (0, 0)
        let got = withUnsafeMutableBytes(of: &bits) { bb_getrandom($0.baseAddress, $0.count) }
        // getrandom of 16 bytes fails only where the kernel has no random source at all.
        precondition(got == 16, "the kernel gives no random numbers")
        return (UInt16(truncatingIfNeeded: bits.0), bits.1)
    }
    /// 128 random bits in hexadecimal: nobody guesses it.
    public static func nonce() -> String {
        let digits = Array("0123456789abcdef".utf8)
        let bits = [randomBits().1, randomBits().1]
        let text = bits.flatMap { word in
            stride(from: 60, through: 0, by: -4).map { digits[Int(word >> UInt64($0) & 15)] }
        }
        return String(decoding: text, as: UTF8.self)
    }
    /// In 0..<1, for jitter.
    public static func randomShare() -> Double { Double(randomBits().1 >> 11) / Double(1 << 53) }
}
