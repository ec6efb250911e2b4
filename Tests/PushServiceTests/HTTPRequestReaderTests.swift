import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import PushService

@Suite("Push: reading requests")
struct HTTPRequestReaderTests {
    private let channel: EmbeddedChannel
    private let reader: ByteToMessageHandler<HTTPRequestReader>

    init() throws {
        reader = ByteToMessageHandler(HTTPRequestReader(limits: NIOHTTPDecoderLimitConfiguration()))
        channel = EmbeddedChannel(handler: reader)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    /// The request lines and errors that come of `text`, given in pieces of `size` bytes.
    private func read(_ text: String, size: Int) throws -> [String] {
        var found: [String] = []
        var bytes = ByteBuffer(string: text)
        while let piece = bytes.readSlice(length: min(size, bytes.readableBytes)), piece.readableBytes > 0 {
            var failure: String?
            do {
                try channel.writeInbound(piece)
            } catch {
                failure = "\(error)"
            }
            while let part = try channel.readInbound(as: HTTPServerRequestPart.self) {
                if case .head(let head) = part { found.append("\(head.method.rawValue) \(head.uri)") }
            }
            if let failure { found.append(failure) }
        }
        return found
    }

    @Test("An unknown method comes as a request, however it is cut; nothing comes after it", arguments: [1, 2, 7, 1000])
    func unknownMethod(size: Int) throws {
        let good = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
        #expect(try read(good + "BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n" + good, size: size).last?.hasSuffix("/pot") == true)
        #expect(try read(good, size: size) == [])
        _ = try? channel.finish()
    }

    @Test("An error comes once, and nothing comes after it", arguments: [1, 1000])
    func once(size: Int) throws {
        let found = try read("GET /a HTTP/1.1\r\n\r\n{\r\n\r\nGET /b HTTP/1.1\r\n\r\n", size: size)
        #expect(found == ["GET /a", "\(HTTPParserError.invalidMethod)"])
        _ = try? channel.finish()
    }

    @Test("What may become a request line is awaited; its end decides")
    func awaited() throws {
        #expect(try read("BRE", size: 3) == [])
        #expect(throws: HTTPParserError.invalidMethod) { try channel.finish() }
    }

    @Test("The line with an unknown method is found")
    func look() {
        let cases: [(String, UnknownMethod.Finding)] = [
            ("FOO / HTTP/1.1\r\n", .found(method: "FOO", target: "/")), ("FOO / HTTP/1.0\n", .found(method: "FOO", target: "/")),
            ("GET /a HTTP/1.1\r\nHost: x\r\n\r\nFOO /b HTTP/1.1\r\n", .found(method: "FOO", target: "/b")),
            ("get /a HTTP/1.1\r\n", .found(method: "get", target: "/a")), ("FOO", .unfinished), ("FOO / HTTP/1.1\r", .unfinished),
            ("GET /a HTTP/1.1\r\n\r\nFOO", .unfinished), ("FOO  / HTTP/1.1\r\n", .none), ("FOO / HTTP/2.0\r\n", .none),
            ("{}FOO /a HTTP/1.1\r\n", .found(method: "FOO", target: "/a")),
            ("{\"a\": 1}FOO /a HTTP/1.1\r\n", .found(method: "FOO", target: "/a")),
            ("{}FO", .unfinished), ("{}FOO ", .unfinished), ("{}FOO /a", .unfinished), ("{\"a\": \"b\"}", .none),
            ("{}GET /a HTTP/1.1\r\n", .none),
            ("FOO\r\n", .none), ("{}", .none), ("\u{16}\u{3}\u{1}", .none), ("F\u{1}", .none), ("FOO /\u{e9} HTTP/1.1\r\n", .none),
            (" FOO / HTTP/1.1", .unfinished), (String(repeating: "F", count: 25_000), .none), ("GET / HTTP/1.1\r\n", .none),
        ]
        for (text, finding) in cases { #expect(UnknownMethod.look(in: Array(text.utf8)) == finding, "\(text)") }
    }
}
