// What this is: standard error and standard output without buffers.
// Owns: whole messages, one write where the kernel takes it.
// Never: buffers.
// On failure: nothing is left to tell it to; `append` is for output that somebody relies on, and throws.
import Glibc

public enum StandardError {
    public static func write(_ text: String) {
        var copy = text
        // See the head of the file.
        copy.withUTF8 { _ = Glibc.write(2, $0.baseAddress, $0.count) }
    }
}

public enum StandardOutput {
    /// All bytes, or SystemError.
    public static func append(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        try SystemCalls.writeAll(1, bytes, "standard output")
    }
    /// Bytes as they are; a reader that has gone ends the program by SIGPIPE as everywhere.
    public static func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(1, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
