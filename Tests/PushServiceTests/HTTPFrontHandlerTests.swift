import Lab
import NIOCore
import NIOPosix
import NIOSSL
import PushProtocol
import Testing

@testable import PushService

@Suite("Push: connections of HTTP")
struct HTTPFrontHandlerTests {
    private static let get = "GET /status HTTP/1.1\r\nHost: x\r\n\r\n"

    /// A worker with a registered device, and a POST for its application.
    private func withApplication(
        configure: (inout WorkerConfiguration) -> Void = { _ in }, _ body: (WorkerHarness, PushDevice, Post) async throws -> Void
    ) async throws {
        try await WorkerHarness.with(configure: configure) { harness in
            let (device, _) = try await harness.device()
            let path = try ServerURL(try await device.registerApplication("w")).path
            try await body(harness, device, Post(path: path))
            await device.close()
        }
    }

    private struct Post {
        let path: String
        let body = String(decoding: JSONValue.object(PushSender.body(message: "m", id: "i", key: TestKeys.one)).bytes, as: UTF8.self)

        func text(_ fields: String = "", version: String = "1.1") -> String {
            "POST \(path) HTTP/\(version)\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)"
        }

        func chunked(coding: String = "chunked", _ chunks: String) -> String {
            "POST \(path) HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \(coding)\r\n\r\n\(chunks)"
        }
    }

    private enum Port { case userAgents, applicationServers }

    /// What comes in answer to `parts`, which are sent one after the other, until the connection ends.
    private func answers(
        to parts: [String], _ harness: WorkerHarness, _ port: Port = .applicationServers
    ) async throws -> [(status: Int, head: String, body: String)] {
        let worker = harness.worker
        let connection = try RawConnection(
            port: try #require(port == .applicationServers ? worker.applicationServerPort : worker.userAgentPort))
        for (index, part) in parts.enumerated() {
            if index > 0 { try await Task.sleep(for: .milliseconds(20)) }
            connection.send(part)
        }
        var rest = connection.readToEnd()[...]
        var found: [(status: Int, head: String, body: String)] = []
        while let end = rest.firstRange(of: "\r\n\r\n") {
            let head = String(rest[..<end.lowerBound])
            let length = head.firstMatch(of: /Content-Length: ([0-9]+)/).flatMap { Int($0.output.1) } ?? 0
            let status = try #require(Int(head.dropFirst("HTTP/1.1 ".count).prefix(3)))
            let body = String(rest[end.upperBound...].prefix(length))
            found.append((status, head, body))
            rest = rest[end.upperBound...].dropFirst(length)
        }
        #expect(rest.isEmpty)
        return found
    }

    private func isRefusal(_ answer: (status: Int, head: String, body: String)) throws -> Bool {
        let object = try JSONValue(parsing: Array(answer.body.utf8)).object
        return object?["status"] == "ERROR" && object?["reason"]?.text?.isEmpty == false && answer.head.contains("\r\nConnection: close")
            && answer.head.contains("\r\nContent-Type: application/json")
    }

    // MARK: Errors behind requests

    @Test("What was read whole before an error is answered; the error is, unless the answer before it announced the end")
    func errorBehindRequest() async throws {
        try await withApplication { harness, device, post in
            let bad = post.chunked("zz\r\n")
            let cases: [([String], [Int])] = [
                ([post.text("Connection: close\r\n") + post.text()], [200]),
                ([post.text(version: "1.0") + "xx"], [200]),
                ([post.text() + bad], [200, 400]),
                ([post.text() + post.text() + bad + post.text()], [200, 200, 400]),
                ([post.text() + Self.get + Self.get + bad], [200, 200, 200, 400]),
                ([post.text() + "\u{1}\u{2}", "more", post.text()], [200, 400]),
                ([post.text() + "{}" + post.text()], [200, 400]),
                ([post.text() + "FOO \(post.path) HTTP/1.1\r\nHost: x\r\n\r\n" + post.text()], [200, 405]),
                ([post.text() + "GET / HTTP/3.0\r\n\r\n" + post.text()], [200, 400]),
                ([post.text() + "GET / HTTP/1.1\r\nX: " + String(repeating: "x", count: 20_000) + "\r\n\r\n" + post.text()], [200, 431]),
            ]
            var accepted = 0
            for (parts, statuses) in cases {
                let found = try await answers(to: parts, harness)
                #expect(found.map(\.status) == statuses, "\(parts)")
                for answer in found.dropLast() { #expect(!answer.head.contains("Connection: close")) }
                let last = try #require(found.last)
                #expect(last.head.contains("\r\nConnection: close"))
                if last.status != 200 { #expect(try isRefusal(last), "\(last)") }
                accepted += statuses.filter { $0 == 200 }.count - (parts[0].contains(Self.get) ? 2 : 0)
            }
            // Nothing behind an error was done.
            #expect(harness.worker.counters[.notifiesAccepted] == accepted)
            for _ in 0..<accepted { device.acknowledge(try await device.notification().messageID) }
            try await device.expectQuiet()
        }
    }

    @Test("Many requests behind one that waits for the store are all answered")
    func manyBehind() async throws {
        try await withApplication { harness, _, post in
            // The receive buffer grows with what comes.
            let many = String(repeating: Self.get, count: 1500)
            let found = try await answers(
                to: [many, many, many, post.text() + many, post.text() + many, post.text("Connection: close\r\n")], harness)
            #expect(found.count == 5 * 1500 + 3 && found.allSatisfy { $0.status == 200 })
            #expect(harness.worker.counters[.notifiesAccepted] == 3)
        }
    }

    // MARK: Errors alone

    @Test("Bad chunks and transfer codings: 400, or 501 for one that is not understood, in the shape of errors")
    func transferCodings() async throws {
        try await withApplication { harness, device, post in
            let chunks = "\(String(post.body.utf8.count, radix: 16))\r\n\(post.body)\r\n0\r\n\r\n"
            let cases: [(String, Int)] = [
                (post.chunked("zz\r\n"), 400), (post.chunked("5\r\nabcdefgh\r\n"), 400), (post.chunked("fffffffffffffffffff\r\n"), 400),
                (post.chunked(coding: "xchunked", "zz\r\n"), 400), (post.chunked(coding: "xchunked", chunks), 400),
                (post.chunked(coding: "chunked, gzip", chunks), 400), (post.chunked(coding: "chunked, chunked", chunks), 400),
                (post.chunked(coding: "identity", chunks), 400), (post.chunked(coding: "gzip, chunked", chunks), 501),
                (post.chunked(coding: "chunked\r\nContent-Length: 5", chunks), 400),
                (post.chunked(chunks).replacing("HTTP/1.1", with: "HTTP/1.0"), 400),
                (post.text("Content-Length: 3\r\n"), 400), (post.text().replacing("Length: ", with: "Length: -"), 400),
            ]
            for (text, status) in cases {
                let found = try await answers(to: [text + post.text()], harness)
                #expect(found.map(\.status) == [status], "\(text)")
                #expect(try isRefusal(try #require(found.first)), "\(text)")
            }
            let good = try await answers(to: [post.chunked(coding: "Chunked ", chunks) + post.text("Connection: close\r\n")], harness)
            #expect(good.map(\.status) == [200, 200])
            for _ in 0..<2 { device.acknowledge(try await device.notification().messageID) }
            try await device.expectQuiet()
        }
    }

    @Test("A method that nobody knows: 405 with Allow where the path has methods, else 404")
    func unknownMethods() async throws {
        try await withApplication { harness, _, post in
            let unknown = "/notify/" + String(repeating: "0", count: 64)
            let cases: [(String, Port, Int, String, String)] = [
                ("/token", .userAgents, 405, "No valid HTTP method", "GET, POST, OPTIONS"),
                ("/token?x=1", .userAgents, 405, "No valid HTTP method", "GET, POST, OPTIONS"),
                ("/", .userAgents, 404, "Not found", ""), ("/nothing", .userAgents, 404, "Not found", ""),
                (post.path, .applicationServers, 405, "No valid HTTP method", "POST, OPTIONS"),
                (unknown, .applicationServers, 405, "No valid HTTP method", "POST, OPTIONS"),
                ("/notify/x", .applicationServers, 404, "No valid AppToken", ""),
            ]
            for (path, port, status, reason, allow) in cases {
                for parts in [
                    ["FOO \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"],
                    ["F", "OO \(path) HT", "TP/1.1\r", "\nHost: x\r\n\r\n"],
                    ["get \(path) HTTP/1.1\r\nHost: x\r\n\r\n" + Self.get],
                ] {
                    let found = try await answers(to: parts, harness, port)
                    #expect(found.map(\.status) == [status], "\(parts)")
                    let answer = try #require(found.first)
                    #expect(answer.body == #"{"status":"ERROR","reason":"\#(reason)"}"#)
                    #expect(answer.head.contains("\r\nAllow: \(allow)\r\n") == !allow.isEmpty)
                    #expect(answer.head.contains("\r\nConnection: close"))
                }
            }
        }
    }

    @Test("A head that is too long, or has too many fields: 431")
    func headTooBig() async throws {
        try await WorkerHarness.with { harness in
            let field = "X: \(String(repeating: "x", count: 7000))\r\n"
            let many = (0..<101).map { "A\($0): b\r\n" }.joined()
            for fields in ["X: \(String(repeating: "x", count: 9000))\r\n", field + field + field, many] {
                let found = try await answers(to: ["GET /status HTTP/1.1\r\nHost: x\r\n\(fields)\r\n\(Self.get)"], harness, .userAgents)
                #expect(found.map(\.status) == [431])
                #expect(try isRefusal(try #require(found.first)))
            }
            let fits = try await answers(
                to: ["GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\(field)\r\n"], harness, .userAgents)
            #expect(fits.map(\.status) == [200])
        }
    }

    @Test("HTTP/1.1 needs one Host, HTTP/1.0 at most one; a request without is not done")
    func host() async throws {
        try await WorkerHarness.with { harness in
            let cases: [(String, Int)] = [
                ("HTTP/1.1\r\n", 400), ("HTTP/1.1\r\nHost: x\r\nHost: x\r\n", 400), ("HTTP/1.1\r\nHost: x\r\nhost: y\r\n", 400),
                ("HTTP/1.0\r\nHost: x\r\nHost: y\r\n", 400), ("HTTP/1.1\r\nHost: a b\r\n", 400), ("HTTP/1.1\r\nHost: a/b\r\n", 400),
                ("HTTP/1.0\r\n", 200), ("HTTP/1.1\r\nHost:\r\n", 200), ("HTTP/1.1\r\nHost: [::1]:80\r\n", 200),
                ("HTTP/1.1\r\nHost: push.example:8080 \r\n", 200),
            ]
            for (text, status) in cases {
                let found = try await answers(to: ["GET /token \(text)Connection: close\r\n\r\n"], harness, .userAgents)
                #expect(found.map(\.status) == [status], "\(text)")
                if status == 400 { #expect(try isRefusal(try #require(found.first))) }
            }
            #expect(harness.worker.counters[.tokensIssued] == 4)
            #expect(harness.worker.counters[.httpErrors] == 6)
        }
    }

    // MARK: Answers

    @Test("HTTP/1.0 gets no interim answer to Expect: 100-continue")
    func expectInOldVersion() async throws {
        try await withApplication { harness, _, post in
            let found = try await answers(to: [post.text("Expect: 100-continue\r\n", version: "1.0")], harness)
            #expect(found.map(\.status) == [200])
        }
    }

    @Test("Every answer has a Date")
    func date() async throws {
        try await WorkerHarness.with { harness in
            let format = /\r\nDate: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n/
            for text in [
                "GET /status HTTP/1.1\r\nHost: x\r\n", "OPTIONS / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\r\nHost: x\r\n", "what\r\n",
            ] {
                let found = try await answers(
                    to: [text.replacing("Host: x\r\n", with: "Host: x\r\nConnection: close\r\n") + "\r\n"], harness, .userAgents)
                #expect(found.count == 1 && found.allSatisfy { $0.head.contains(format) }, "\(found)")
            }
        }
    }

    // MARK: Ends

    @Test("Requests that are followed at once by the end of the stream are answered", arguments: [1, 2, 3])
    func closedAtOnce(count: Int) async throws {
        try await withApplication { harness, _, post in
            let connection = try RawConnection(port: try #require(harness.worker.applicationServerPort))
            connection.send(String(repeating: post.text(), count: count))
            connection.sendEnd()
            let answers = connection.readToEnd()
            #expect(answers.matches(of: /HTTP\/1.1 200 OK/).count == count, "\(answers)")
            #expect(harness.worker.counters[.notifiesAccepted] == count)
        }
    }

    @Test("Who sends many requests and the end, and reads late, gets every answer")
    func readsLate() async throws {
        try await WorkerHarness.with { harness in
            let connection = try RawConnection(port: try #require(harness.worker.userAgentPort))
            let count = 30_000
            var requests = Array(String(repeating: Self.get, count: count).utf8)[...]
            var answers = ""
            while !requests.isEmpty {
                let sent = connection.sendSome(Array(requests.prefix(1 << 20)))
                requests = requests.dropFirst(sent)
                if sent == 0 { answers += connection.read(until: "OK") }
            }
            connection.sendEnd()
            try await Task.sleep(for: .milliseconds(1_500))
            answers += connection.readToEnd()
            #expect(answers.matches(of: /HTTP\/1.1 200 OK/).count == count)
            try await eventually { harness.worker.context.connections[.userAgents].open == 0 }
        }
    }

    @Test("Who does not read answers is not read from")
    func readsNothing() async throws {
        try await WorkerHarness.with { harness in
            let connection = try RawConnection(port: try #require(harness.worker.userAgentPort))
            let some = Array(String(repeating: Self.get, count: 10_000).utf8)
            var (sent, refusals) = (0, 0)
            // What both sockets buffer is less; without an end of reading nothing would be refused for long.
            while refusals < 20, sent < 64 << 20 {
                let taken = connection.sendSome(some)
                sent += taken
                refusals = taken == 0 ? refusals + 1 : 0
                if taken == 0 { try await Task.sleep(for: .milliseconds(50)) }
            }
            #expect(sent < 32 << 20)
        }
    }

    @Test("After the last answer a connection is gone as soon as its peer is")
    func goneAtOnce() async throws {
        try await WorkerHarness.with(configure: { $0.idleConnection = .seconds(60) }) { harness in
            let port = try #require(harness.worker.userAgentPort)
            for _ in 0..<50 {
                let connection = try RawConnection(port: port)
                connection.send(Self.get.replacing("Host: x", with: "Host: x\r\nConnection: close"))
                #expect(connection.readToEnd().contains("200 OK"))
                connection.sendEnd()
                let begin = ContinuousClock.now
                try await eventually { harness.worker.context.connections[.userAgents].open == 0 }
                if ContinuousClock.now - begin < .milliseconds(700) { return }
            }
            Issue.record("it lingered each time, though its peer had closed")
        }
    }

    // MARK: TLS

    /// Collects what a server sends to the end.
    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private var bytes = ByteBuffer()
        private let text: EventLoopPromise<String>

        init(_ text: EventLoopPromise<String>) { self.text = text }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { bytes.writeImmutableBuffer(unwrapInboundIn(data)) }
        func channelInactive(context: ChannelHandlerContext) { text.succeed(String(buffer: bytes)) }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    /// What comes in TLS in answer to `text` and the end of the stream behind it, until the connection ends.
    private func answersInTLS(to text: String, _ harness: WorkerHarness, _ files: TestCertificate) async throws -> String {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(files.certificate)
        let context = try NIOSSLContext(configuration: configuration)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let answers = loop.makePromise(of: String.self)
        let channel = try await ClientBootstrap(group: loop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = try NIOSSLClientHandler(context: context, serverHostname: "localhost")
                    try channel.pipeline.syncOperations.addHandlers([handler, Collector(answers)])
                }
            }
            .connect(host: "127.0.0.1", port: try #require(harness.worker.tlsPort)).get()
        channel.write(ByteBuffer(string: text), promise: nil)
        channel.flush()
        try await channel.close(mode: .output).get()
        loop.scheduleTask(in: .seconds(10)) { channel.close(promise: nil) }
        return try await answers.futureResult.get()
    }

    @Test("In TLS too, requests that are followed at once by the end of the stream are answered", arguments: [1, 2])
    func closedAtOnceInTLS(count: Int) async throws {
        let files = try TestCertificate()
        let tls = TLSFiles(port: 0, certificate: files.certificate, key: files.key)
        try await withApplication(configure: { $0.tls = tls }) { harness, _, post in
            let answers = try await answersInTLS(to: String(repeating: post.text(), count: count), harness, files)
            #expect(answers.matches(of: /HTTP\/1.1 200 OK/).count == count, "\(answers)")
            #expect(harness.worker.counters[.notifiesAccepted] == count)
            #expect(harness.worker.counters[.tlsErrors] == 0)
        }
    }

    @Test("A handshake behind a message, and the end of the stream: both are answered, and the WebSocket ends at once")
    func upgradeBehindMessage() async throws {
        let files = try TestCertificate()
        let tls = TLSFiles(port: 0, certificate: files.certificate, key: files.key)
        try await withApplication(configure: { $0.tls = tls }) { harness, _, post in
            let upgrade =
                "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            let begin = ContinuousClock.now
            let answers = try await answersInTLS(to: post.text() + upgrade, harness, files)
            #expect(
                answers.matches(of: /HTTP\/1.1 (200 OK|101 Switching Protocols)\r\n/).map { $0.output.1 } == [
                    "200 OK", "101 Switching Protocols",
                ])
            #expect(ContinuousClock.now - begin < .seconds(9))
            #expect(harness.worker.counters[.notifiesAccepted] == 1)
        }
    }
}
