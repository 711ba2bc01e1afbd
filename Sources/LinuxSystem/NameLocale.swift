// What this is: UTF-8 file names for a C library that converts names by the thread's locale.
// Owns: the thread's locale during one call.
// Never: changes the locale of the process or of another thread.
// On failure: without C.UTF-8 the locale stays; names beyond ASCII then fail with the library's own text.
import Glibc

public enum NameLocale {
    /// Made once, and never changed or freed: any number of threads may have it.
    nonisolated(unsafe) private static let ours = newlocale(LC_CTYPE_MASK, "C.UTF-8", nil)

    /// Runs `body` with C.UTF-8 as this thread's locale, whatever locale the service was started in.
    public static func utf8<Out, Failed: Error>(_ body: () throws(Failed) -> Out) throws(Failed) -> Out {
        guard let ours else { return try body() }
        let before = uselocale(ours)
        defer { uselocale(before) }
        return try body()
    }
}
