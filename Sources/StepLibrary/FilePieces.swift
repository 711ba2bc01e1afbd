// What this is: reading a file from end to end in pieces, with checksums on the way.
// Owns: the size of a piece; SHA-256 and SHA-512 in hex.
// Never: holds a whole file in memory unless its caller bounds it.
// On failure: Failure with the path, or whatever ended the run between two pieces.
import Crypto
import JobModel
import LinuxSystem

/// An open regular file and its status at that moment.
struct SourceFile {
    let file: OpenFile
    let status: FileStatus
    let path: String

    /// Opens a path as any program would, links followed.
    init(reading path: SitePath) throws(Failure) {
        let opened = try onDisk("read \(path.absolute)") { () throws(SystemError) in
            try OpenFile.open(path.absolute)
        }
        try self.init(opened, path.absolute)
    }
    /// Opens a name in a directory; a link there is refused.
    init(_ name: String, in directory: Directory, path: String) throws(Failure) {
        let opened = try onDisk("read \(path)") { () throws(SystemError) in try directory.openForReading(name)
        }
        try self.init(opened, path)
    }
    private init(_ file: OpenFile, _ path: String) throws(Failure) {
        self.file = file
        self.path = path
        status = try onDisk("read \(path)") { () throws(SystemError) in try file.status() }
        guard status.kind == .regular else {
            throw Failure(
                "E-FILE-KIND", "\(path) is a \(status.kindName), not a file", whatToDo: "name a plain file")
        }
    }

    /// Calls `body` for each piece in order and returns the number of bytes.
    @discardableResult
    func forEachPiece(
        _ context: any StepContext, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) -> Int {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        var done = 0
        while true {
            let count = try onDisk("read \(path)") { () throws(SystemError) in
                try file.read(into: buffer, from: done)
            }
            guard count > 0 else { return done }
            done += count
            try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            try context.checkpoint()
        }
    }

    func sum(_ algorithm: RunningSum.Algorithm, _ context: any StepContext) throws(Failure) -> String {
        var sum = RunningSum(algorithm)
        try forEachPiece(context) { (piece) throws(Failure) in sum.add(piece) }
        return sum.hex
    }

    /// Whether the file is still what it was when it was opened.
    func isUnchanged(_ now: FileStatus) -> Bool {
        now.identity == status.identity && now.size == status.size && now.modified == status.modified
            && now.changed == status.changed
    }
}

struct RunningSum {
    enum Algorithm: String, CaseIterable { case sha256, sha512 }
    private enum State {
        case short(SHA256)
        case long(SHA512)
    }
    private var state: State

    init(_ algorithm: Algorithm = .sha256) {
        state = algorithm == .sha256 ? .short(SHA256()) : .long(SHA512())
    }

    mutating func add(_ piece: UnsafeRawBufferPointer) {
        switch state {
        case .short(var hash):
            hash.update(bufferPointer: piece)
            state = .short(hash)
        case .long(var hash):
            hash.update(bufferPointer: piece)
            state = .long(hash)
        }
    }
    var hex: String {
        switch state {
        case .short(let hash): RunningSum.hex(hash.finalize())
        case .long(let hash): RunningSum.hex(hash.finalize())
        }
    }

    static func sha256(_ bytes: [UInt8]) -> String { hex(SHA256.hash(data: bytes)) }

    private static func hex(_ digest: some Sequence<UInt8>) -> String {
        digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
