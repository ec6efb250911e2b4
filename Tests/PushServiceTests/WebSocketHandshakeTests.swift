import Lab
import Testing

@Suite("Push: WebSocket handshake")
struct WebSocketHandshakeTests {
    private static let good =
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    /// The key and its answer in RFC 6455, section 1.3.
    private static let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    private static let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    private func answer(to request: String, _ harness: WorkerHarness) throws -> String {
        let connection = try RawConnection(port: try #require(harness.worker.userAgentPort))
        connection.send(request)
        return connection.read(until: "\r\n\r\n")
    }

    @Test("The sample of RFC 6455 is answered as there")
    func sample() async throws {
        try await WorkerHarness.with { harness in
            let answer = try answer(to: Self.good + Self.key + "\r\n", harness)
            #expect(answer.hasPrefix("HTTP/1.1 101 "))
            #expect(answer.contains("Sec-WebSocket-Accept: \(Self.accept)\r\n"))
            #expect(!answer.lowercased().contains("sec-websocket-protocol"))
            #expect(!answer.lowercased().contains("sec-websocket-extensions"))
        }
    }

    @Test("Our sub-protocol is selected when it is offered; others are not; compression is not negotiated")
    func subprotocols() async throws {
        try await WorkerHarness.with { harness in
            let ours = try answer(
                to: Self.good + Self.key
                    + "Sec-WebSocket-Protocol: chat, push-notification\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
                harness)
            #expect(ours.hasPrefix("HTTP/1.1 101 "))
            #expect(ours.contains("Sec-WebSocket-Protocol: push-notification\r\n"))
            #expect(!ours.lowercased().contains("sec-websocket-extensions"))
            let others = try answer(to: Self.good + Self.key + "Sec-WebSocket-Protocol: chat\r\n\r\n", harness)
            #expect(others.hasPrefix("HTTP/1.1 101 "))
            #expect(!others.lowercased().contains("sec-websocket-protocol"))
        }
    }

    @Test("Bad handshakes are refused")
    func bad() async throws {
        try await WorkerHarness.with { harness in
            let version = try answer(to: Self.good.replacing("Version: 13", with: "Version: 8") + Self.key + "\r\n", harness)
            #expect(version.hasPrefix("HTTP/1.1 426 "))
            #expect(version.contains("Sec-WebSocket-Version: 13\r\n"))
            let noKey = try answer(to: Self.good + "\r\n", harness)
            #expect(noKey.hasPrefix("HTTP/1.1 400 "))
            let shortKey = try answer(to: Self.good + "Sec-WebSocket-Key: AAAA\r\n\r\n", harness)
            #expect(shortKey.hasPrefix("HTTP/1.1 400 "))
            let noConnection = try answer(to: Self.good.replacing(", Upgrade", with: "") + Self.key + "\r\n", harness)
            #expect(noConnection.hasPrefix("HTTP/1.1 400 "))
            let otherPath = try answer(to: Self.good.replacing("GET / ", with: "GET /token ") + Self.key + "\r\n", harness)
            #expect(otherPath.hasPrefix("HTTP/1.1 200 "))
            let nowhere = try answer(to: Self.good.replacing("GET / ", with: "GET /x ") + Self.key + "\r\n", harness)
            #expect(nowhere.hasPrefix("HTTP/1.1 404 "))
        }
    }

    @Test("White space at the ends of values is no part of them")
    func whiteSpace() async throws {
        try await WorkerHarness.with { harness in
            let padded = (Self.good + Self.key).replacing("\r\n", with: " \t \r\n").replacing("HTTP/1.1 \t ", with: "HTTP/1.1")
            let answer = try answer(to: padded + "Content-Length: 0 \r\nSec-WebSocket-Protocol: push-notification\t\r\n\r\n", harness)
            #expect(answer.hasPrefix("HTTP/1.1 101 "))
            #expect(answer.contains("Sec-WebSocket-Accept: \(Self.accept)\r\n"))
            #expect(answer.contains("Sec-WebSocket-Protocol: push-notification\r\n"))
        }
    }

    @Test("The upgrade may be a later request of a connection, and frames may come with it")
    func laterRequest() async throws {
        try await WorkerHarness.with { harness in
            let connection = try RawConnection(port: try #require(harness.worker.userAgentPort))
            connection.send("GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(connection.read(until: "OK\r\n").hasPrefix("HTTP/1.1 200 OK\r\n"))
            _ = connection.read(until: "\r\n\r\nOK")
            // A masked text frame "PING" right behind the handshake; the mask is zero.
            connection.send(Array((Self.good + Self.key + "\r\n").utf8) + [0x81, 0x84, 0, 0, 0, 0] + Array("PING".utf8))
            #expect(connection.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 101 "))
            #expect(connection.read(until: "PONG").utf8.count == "PONG".utf8.count + "\u{fffd}\u{4}".utf8.count)
        }
    }
}
