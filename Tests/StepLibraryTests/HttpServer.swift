// What this is: a server for tests of make_request: it answers as told and remembers what it got.
// Owns: one socket on 127.0.0.1 and one thread.
// Never: speaks more HTTP than the tests need.
// On failure: SystemError from the fixture.
import Glibc
import LinuxSystem

final class HttpServer: Sendable {
    struct Request: Sendable {
        var line: String
        var headers: [String: String]
        var body: [UInt8]
        var path: String { String(line.split(separator: " ").dropFirst().first ?? "") }
        var method: String { String(line.split(separator: " ").first ?? "") }
    }
    /// The raw bytes of the answer; nil keeps the connection open without a word until the client leaves.
    typealias Answer = @Sendable (Request) -> [UInt8]?

    let port: UInt16
    private let listener: Int32
    private let received = Monitor<[Request]>([])
    var requests: [Request] { received.with { $0 } }
    var url: String { "http://127.0.0.1:\(port)" }

    init(_ answer: @escaping Answer) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { plain in
                var length = size
                return bind(listener, plain, size) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, plain, &length) == 0
            }
        }
        guard isBound else { throw SystemError("bind", "127.0.0.1", errno: errno) }
        self.listener = listener
        port = UInt16(bigEndian: address.sin_port)
        let received = self.received
        _ = try BlockingThread.start("test-http") { HttpServer.serve(listener, received, answer) }
    }
    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    private static func serve(_ listener: Int32, _ received: Monitor<[Request]>, _ answer: Answer) {
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0 else { break }
            if let request = read(client) {
                received.with { $0.append(request) }
                if let bytes = answer(request) { write(client, bytes) } else { waitForEnd(client) }
            }
            close(client)
        }
        close(listener)
    }

    private static func read(_ client: Int32) -> Request? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            if let request = parse(bytes) { return request }
            let count = recv(client, &buffer, buffer.count, 0)
            guard count > 0 else { return nil }
            bytes += buffer[..<count]
        }
    }
    /// The request, once all of it is there.
    private static func parse(_ bytes: [UInt8]) -> Request? {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        // Swift takes CR LF for one character, so the lines are split as bytes.
        let head = bytes[..<end.lowerBound].split(separator: 10).map { line in
            String(decoding: line.last == 13 ? line.dropLast() : line, as: UTF8.self)
        }
        var headers: [String: String] = [:]
        for line in head.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = String(
                line[line.index(after: colon)...].drop { $0 == " " })
        }
        let body = Array(bytes[end.upperBound...])
        guard body.count >= Int(headers["content-length"] ?? "0") ?? 0 else { return nil }
        return Request(line: head.first ?? "", headers: headers, body: body)
    }
    private static func write(_ client: Int32, _ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
    private static func waitForEnd(_ client: Int32) {
        var buffer = [UInt8](repeating: 0, count: 64)
        while recv(client, &buffer, buffer.count, 0) > 0 {}
    }

    static func answer(
        _ status: String, _ body: String = "", headers: [String] = ["Content-Type: text/plain"]
    ) -> [UInt8] {
        let lines =
            ["HTTP/1.1 " + status, "Content-Length: \(body.utf8.count)", "Connection: close"] + headers
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
    }
}
