// What this is: a file without a name, in memory, for a child that is to read something nobody else may see.
// Owns: its descriptor, high enough that a spawn overwrites none; its bytes, which go with the last descriptor.
// Never: has a name in any directory.
// On failure: SystemError.
import CLinux
import Glibc

public final class MemoryFile: Sendable {
    let fd: Int32

    public init(_ bytes: [UInt8]) throws(SystemError) {
        fd = try SystemCalls.wrapped("memfd_create") { bb_memory_file("bobbin") }
        var written = 0
        while written < bytes.count {
            // Told to no recorder: what is in it is nobody's business.
            written += try SystemCalls.plain("pwrite", "a file in memory") {
                bytes[written...].withUnsafeBytes { pwrite(fd, $0.baseAddress, $0.count, off_t(written)) }
            }
        }
    }
    deinit { close(fd) }

    /// How a child that gets it as its `index`-th names it.
    public static func path(inChild index: Int) -> String { "/dev/fd/\(Int(BB_INHERITED_FIRST) + index)" }
}
