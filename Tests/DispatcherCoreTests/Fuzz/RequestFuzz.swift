import FuzzSupport

@testable import DispatcherCore

/// Requests: any bytes from a client, to the parsers and to an engine whose server answers each request.
///
/// The parsers must fare the same however the bytes are cut, what goes on must be canonical, and the engine must send to its server what
/// the parsers say, and nothing else.
enum RequestFuzz {
    static let target = FuzzTarget(
        name: "requests",
        words: [
            "\r\n", "\r\n\r\n", "GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n", "Host: a\r\n", "Content-Length: ",
            "Transfer-Encoding: chunked\r\n",
            "Connection: close\r\n", "Connection: keep-alive\r\n", "Expect: 100-continue\r\n", "Upgrade: websocket\r\n", "0\r\n\r\n",
            "5\r\nhello\r\n",
            "HTTP/1.0", "OPTIONS * ", "http://a:80/", "Max-Forwards: 0\r\n", "X-Forwarded-For: b\r\n", ";a=\"b\"", "TE: trailers\r\n",
        ]
    ) { parse($0) + engine($0) }

    static func parse(_ bytes: [UInt8]) -> [String] {
        var faults: [String] = []
        if case .good(let head) = Framing.parse(bytes) {
            var scanner = HeadScanner(leadingEmptyLines: HeadLimits.leadingEmptyLines)
            let scan = bytes.withUnsafeBytes { scanner.scan($0, limit: 16_384) }
            if scan != .complete(length: Int(head.headLength)) { faults.append("the scanner says \(scan), the parser \(head.headLength)") }
        }
        var whole = FramingConnection()
        whole.receive(bytes)
        whole.close()
        var cut = FramingConnection()
        var random = FuzzRandom(for: bytes)
        for piece in random.pieces(of: bytes) { cut.receive(piece) }
        cut.close()
        if whole.forwarded != cut.forwarded || whole.end != cut.end { faults.append("cut \(cut.end), whole \(whole.end)") }
        return faults + whole.forwarded.flatMap(Canonical.violations)
    }

    /// The client whose address the model of the parsers writes.
    static let client = IPAddress("192.0.2.7")!

    static func engine(_ bytes: [UInt8]) -> [String] {
        let small = FuzzWorld { $0.pools[0].servers[0].initialLimit = 1 }
        let world = small.world
        let server = CollectingServer(small.server, port: 8_080) { request in
            let head = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n"
            return [UInt8](text: request.starts(with: Array("HEAD ".utf8)) ? head : head + "ok")
        }
        let host = world.addHost("client", client, side: .client, impairments: world.clientImpairments)
        let endpoint = host.connect(from: 30_000, to: World.service)
        var random = FuzzRandom(for: bytes)
        let pieces = random.pieces(of: bytes)
        endpoint.onConnected = { [unowned endpoint, unowned world] in
            for (number, piece) in pieces.enumerated() {
                world.simulation.after(.milliseconds(Int64(number))) { [weak endpoint] in
                    if let endpoint, endpoint.state == .established { endpoint.write(piece) }
                }
            }
        }
        endpoint.onPeerFinished = { [unowned endpoint] in endpoint.close() }
        world.simulation.run(for: .seconds(20))
        if endpoint.state != .closed { endpoint.close() }
        let faults = small.faults()
        guard faults.isEmpty else { return faults }

        var model = FramingConnection()
        model.receive(bytes)
        let expected = model.forwarded.map { $0.output + $0.body }
        if server.requests != expected {
            let at = zip(server.requests, expected).prefix(while: { $0 == $1 }).count
            func text(_ list: [[UInt8]]) -> String { at < list.count ? SimulatedClient.excerpt(list[at]) : "none" }
            let came = "at the server \(text(server.requests)), expected \(text(expected))"
            return ["request \(at) of \(expected.count) (model: \(model.end)): \(came)"]
        }
        return []
    }
}

/// A server that keeps each request as it came and answers at once. It knows canonical heads only.
final class CollectingServer {
    private(set) var requests: [[UInt8]] = []
    private let answer: ([UInt8]) -> [UInt8]

    init(_ host: TestHost, port: UInt16, answer: @escaping ([UInt8]) -> [UInt8]) {
        self.answer = answer
        host.listen(port) { [unowned self] endpoint in
            var buffer: [UInt8] = []
            endpoint.onData = { [unowned self, unowned endpoint] data in
                buffer += data
                while let length = Self.length(buffer) {
                    let request = Array(buffer.prefix(length))
                    buffer.removeFirst(length)
                    requests.append(request)
                    endpoint.write(self.answer(request))
                }
            }
            endpoint.onPeerFinished = { [unowned endpoint] in endpoint.close() }
        }
    }

    /// Bytes of the first request; nil while it is not all there.
    private static func length(_ bytes: [UInt8]) -> Int? {
        guard let end = (3..<max(3, bytes.count)).first(where: { bytes[$0] == 10 && bytes[$0 - 1] == 13 && bytes[$0 - 2] == 10 }) else {
            return nil
        }
        var body = 0
        for line in bytes[...end].split(separator: 10) {
            let text = String(decoding: line, as: UTF8.self).lowercased()
            if text.hasPrefix("content-length:") { body = Int(text.dropFirst(15).filter(\.isNumber)) ?? 0 }
        }
        return bytes.count >= end + 1 + body ? end + 1 + body : nil
    }
}
