// What this is: why an archive could not be written or read.
// Owns: ArchiveError and its sentence.
// Never: speaks of steps or jobs; the roof turns it into a Failure.
// On failure: it is the failure.
import CArchive
import LinuxSystem

public enum ArchiveError: Error, Hashable, Sendable, CustomStringConvertible {
    /// libarchive's own words, with the entry it was at.
    case library(String, entry: String?)
    case file(SystemError)
    /// A source had another length when it was packed than when it was opened.
    case changed(String)
    /// What cannot be named in an archive.
    case name(String)
    /// The closure that gets the pieces said no.
    case stopped

    public var description: String {
        switch self {
        case .library(let text, let entry): (entry.map { "\($0): " } ?? "") + text
        case .file(let error): error.description
        case .changed(let path): "\(path) changed while it was packed"
        case .name(let name): "`\(name)` cannot be the name of an archive entry"
        case .stopped: "stopped"
        }
    }

    /// The last error of a libarchive handle.
    static func last(_ handle: OpaquePointer?, entry: String? = nil) -> ArchiveError {
        guard let handle, let text = archive_error_string(handle) else {
            return .library("libarchive gave no reason", entry: entry)
        }
        return .library(String(cString: text), entry: entry)
    }
}
