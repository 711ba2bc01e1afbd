// What this is: the version of this program.
// Owns: its number.
// Never: is anything else.
// On failure: cannot fail.

public enum Version {
    public static let text = "0.1.0"
}
