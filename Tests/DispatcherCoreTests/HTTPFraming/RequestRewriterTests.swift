import Testing

@testable import DispatcherCore

@Suite struct RequestRewriterTests {
    private static func fields(_ fields: String, line: String = "GET / HTTP/1.1") -> String? {
        Framing.rewrite("\(line)\r\nHost: a\r\n\(fields)\r\n\r\n")
    }

    private static func output(_ fields: String, line: String = "GET / HTTP/1.1") -> String {
        "\(line)\r\nHost: a\r\n\(fields)" + Framing.additions
    }

    @Test func writesTheCanonicalForm() {
        #expect(
            Framing.rewrite("\r\nGET /a?b HTTP/1.1\r\nUser-Agent:x\r\nhOST:\t a \t\r\nAccept:   */*  \r\nX:\r\n\r\n")
                == "GET /a?b HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\nAccept: */*\r\nX: \r\n" + Framing.additions)
    }

    @Test(arguments: [
        "Connection: close", "Connection: keep-alive", "Connection: X\r\nX: 1", "X: 1\r\nConnection: a, x", "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "TE: trailers", "Trailer: X", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
        "Expect: 100-continue",
        "Forwarded: for=1.2.3.4", "X-Forwarded-Proto: https", "Content_Length: 5", "Transfer_Encoding: chunked",
        "transfer.encoding: chunked",
        "X_Forwarded_For: 127.0.0.1", "x-forwarded_proto: https", "X: 1\r\nx: 2\r\nConnection: X",
        "Connection: x\r\nConnection: y\r\nX: 1\r\nY: 2",
    ])
    func dropped(fields: String) { #expect(Self.fields(fields) == Self.output("")) }

    @Test(arguments: [
        "Connection: Host", "Connection: content-type\r\nContent-Type: a", "Cookie: a\r\nConnection: cookie",
        "Authorization: b\r\nConnection: Authorization, x",
    ])
    func keptAlthoughNominated(fields: String) {
        let kept = fields.split(separator: "\r\n").filter { !$0.hasPrefix("Connection") }.map { $0 + "\r\n" }.joined()
        #expect(Self.fields(fields) == Self.output(kept))
    }

    @Test(arguments: [
        "Cookie: a=\"b\"; c", "X: a\tb", "X: \u{e9}", "Proxy-Authorization: x", "Via: 1.0 a", "X-Content-Length: 5", "Max-Forwards: 0",
        "~!#$: %",
    ])
    func kept(field: String) { #expect(Self.fields(field) == Self.output(field + "\r\n")) }

    @Test func bodies() {
        let post = "POST / HTTP/1.1"
        #expect(Self.fields("Content-Length: 010", line: post) == Self.output("Content-Length: 10\r\n", line: post))
        #expect(Self.fields("Content-Length: 0", line: post) == Self.output("Content-Length: 0\r\n", line: post))
        #expect(
            Framing.rewrite("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n", bodyLength: 1234)
                == Self.output("A: b\r\nContent-Length: 1234\r\n", line: post))
        let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(Framing.rewrite(chunked, bodyLength: .max)?.contains("Content-Length: 18446744073709551615\r\n") == true)
        #expect(Framing.rewrite(chunked, bodyLength: 0)?.contains("Content-Length: 0\r\n") == true)
        // Streamed: in chunks again, whatever the field looked like.
        #expect(
            Framing.rewrite("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:  Chunked \r\nTrailer: X\r\nA: b\r\n\r\n")
                == Self.output("A: b\r\nTransfer-Encoding: chunked\r\n", line: post))
    }

    /// A wrong length would let a body be read as a request.
    @Test func aLengthThatTheHeadDoesNotAnnounceIsAnError() async {
        await #expect(processExitsWith: .failure) { _ = Framing.rewrite("POST / HTTP/1.1\r\nHost: a\r\n\r\n", bodyLength: 5) }
        await #expect(processExitsWith: .failure) {
            _ = Framing.rewrite("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", bodyLength: 6)
        }
    }

    @Test func versions() {
        #expect(
            Framing.rewrite("GET / HTTP/1.0\r\nA: b\r\n\r\n")
                == "GET / HTTP/1.0\r\nA: b\r\nConnection: keep-alive\r\n" + Framing.additions.replacing("1.1", with: "1.0"))
        #expect(Self.fields("A: b", line: "GET / HTTP/1.2") == Self.output("A: b\r\n").replacing("Via: 1.1", with: "Via: 1.2"))
    }

    @Test func webSocket() {
        #expect(
            Self.fields("Connection: x, Upgrade\r\nX: 1\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\nContent-Length: 0")
                == Self.output("Sec-WebSocket-Key: k\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"))
    }

    @Test func forwardedForIsOneList() {
        let rest = Framing.additions.replacing("X-Forwarded-For: ", with: "")
        #expect(Self.fields("X-Forwarded-For: 1.2.3.4")?.hasSuffix("X-Forwarded-For: 1.2.3.4, " + rest) == true)
        #expect(
            Self.fields("X-Forwarded-For: a, b\r\nA: b\r\nx-forwarded-for:\r\nX-FORWARDED-FOR: c")
                == "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nX-Forwarded-For: a, b, c, " + rest)
        #expect(Self.fields("X-Forwarded-For: \r\nConnection: X-Forwarded-For") == Self.output(""))
    }

    @Test func maxForwardsCountsDown() {
        for method in ["OPTIONS", "TRACE"] {
            let line = "\(method) / HTTP/1.1"
            #expect(Self.fields("max-forwards: 010", line: line) == Self.output("max-forwards: 9\r\n", line: line))
        }
    }

    /// It writes as much as it says and no byte beyond the memory; less memory gives nil.
    @Test func everyCapacity() throws {
        let head = [UInt8](latin1: "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: b\r\nA:b\r\nContent-Length: 5\r\n\r\n")
        let count = try #require(Framing.rewrite(head)).count
        for capacity in 0..<count { #expect(Framing.rewrite(head, capacity: capacity) == nil) }
        #expect(Framing.rewrite(head, capacity: count)?.count == count)
        #expect(Framing.parse(head) != .bad(.incompleteHead))
    }

    /// The worst heads for the bound: many short fields, a host that is written twice as long, an address of 45 bytes.
    @Test func capacityIsAnUpperBound() throws {
        let address = [UInt8](latin1: "2001:0db8:ffff:ffff:ffff:ffff:255.255.255.255")
        let heads = [
            "GET / HTTP/1.0\r\n" + String(repeating: "a:b\r\n", count: 100) + "\r\n",
            "GET http://b HTTP/1.1\r\nHost:\r\n" + String(repeating: "a:\r\n", count: 99) + "\r\n",
            "GET / HTTP/1.1\r\nHost:a\r\n" + String(repeating: "X-Forwarded-For:a\r\n", count: 99) + "\r\n",
            "TRACE / HTTP/1.1\r\nHost:a\r\nMax-Forwards:1\r\n\r\n", "POST / HTTP/1.1\r\nHost:\r\nTransfer-Encoding:chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\nConnection:upgrade\r\nUpgrade:websocket\r\n\r\n",
        ]
        for text in heads {
            let head = [UInt8](latin1: text)
            guard case .good(let request) = Framing.parse(head) else {
                Issue.record("\(Framing.parse(head))")
                continue
            }
            let length: UInt64? = request.framing == .chunked ? .max : request.framing == .none ? 0 : request.bodyLength
            var output = [UInt8](repeating: 0, count: RequestRewriter.capacity(for: request, forwardedFor: address.count))
            let written = output.withUnsafeMutableBytes { memory in
                head.withUnsafeBytes { bytes in
                    address.withUnsafeBytes {
                        RequestRewriter.write(
                            head: bytes, parsed: request, bodyLength: length, forwardedFor: $0, proto: "https", into: memory)
                    }
                }
            }
            #expect(written != nil)
        }
    }
}
