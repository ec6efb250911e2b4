import Lab
import PushProtocol
import PushService
import Testing

@Suite("Push: HTTP for application servers")
struct NotifyTests {
    /// A worker with one device that has registered application "w".
    private func withApplication(
        configure: (inout WorkerConfiguration) -> Void = { _ in }, _ body: (WorkerHarness, PushDevice, String) async throws -> Void
    ) async throws {
        try await WorkerHarness.with(configure: configure) { harness in
            let (device, _) = try await harness.device()
            let url = try await device.registerApplication("w")
            try await body(harness, device, url)
        }
    }

    private func post(_ body: String, to url: String, _ harness: WorkerHarness) async throws -> HTTPClientAnswer {
        try await harness.request("POST", ServerURL(url).path, front: .applicationServers, body: Array(body.utf8))
    }

    private func expect(
        _ answer: HTTPClientAnswer, _ status: Int, _ reason: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(answer.status == status, sourceLocation: sourceLocation)
        #expect(try JSONValue(parsing: answer.body) == ["status": "ERROR", "reason": .text(reason)], sourceLocation: sourceLocation)
        #expect(answer.headers.first(name: "Access-Control-Allow-Origin") == "*", sourceLocation: sourceLocation)
        #expect(answer.headers.first(name: "Content-Type") == "application/json", sourceLocation: sourceLocation)
    }

    @Test("Accepted: 200 with a messageId that the device sees too")
    func accepted() async throws {
        try await withApplication { harness, device, url in
            let messageID = try await harness.push("hello", to: url)
            let notification = try await device.notification()
            #expect(notification.message == "hello" && notification.messageID == messageID && notification.url == url)
        }
    }

    @Test("A path without, with a malformed or with an unknown AppToken: 404")
    func noAppToken() async throws {
        try await withApplication { harness, _, url in
            let good = try ServerURL(url).path
            let unknown = "/notify/" + String(repeating: "0", count: 64)
            for path in ["/", "/notify", "/notify/", "/notify/abc", good + "0", good + "/", good.uppercased(), "/other", unknown] {
                try expect(
                    try await harness.request("POST", path, front: .applicationServers, body: Array("{}".utf8)), 404, "No valid AppToken")
            }
        }
    }

    @Test("Methods other than POST: 405 with Allow, after the path", arguments: ["GET", "PUT", "DELETE", "PATCH"])
    func methods(method: String) async throws {
        try await WorkerHarness.with { harness in
            let path = "/notify/" + String(repeating: "0", count: 64)
            let answer = try await harness.request(method, path, front: .applicationServers)
            try expect(answer, 405, "No valid HTTP method")
            #expect(answer.headers.first(name: "Allow") == "POST, OPTIONS")
            try expect(try await harness.request(method, "/notify/x", front: .applicationServers), 404, "No valid AppToken")
        }
    }

    @Test("A body over 16 KiB: 413 before the AppToken is looked up; announced, and in chunks that are not")
    func bodyTooBig() async throws {
        try await WorkerHarness.with { harness in
            let path = "/notify/" + String(repeating: "0", count: 64)
            let body = [UInt8](repeating: 0x20, count: 16 * 1024 + 1)
            try expect(try await harness.request("POST", path, front: .applicationServers, body: body), 413, "Body too big")
            let connection = try RawConnection(port: try #require(harness.worker.applicationServerPort))
            connection.send("POST \(path) HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<17 { connection.send("400\r\n" + String(repeating: " ", count: 1024) + "\r\n") }
            #expect(connection.readToEnd().hasPrefix("HTTP/1.1 413 "))
        }
    }

    @Test("A message over 4096 bytes or an id over 256: 413; at the limit they are taken")
    func sizes() async throws {
        try await withApplication { harness, device, url in
            let sender = try await harness.sender(url)
            let message = String(repeating: "é", count: 2048)
            #expect(try await sender.send(message, id: .text(String(repeating: "i", count: 256))).status == 200)
            #expect(try await device.notification().message == message)
            try expect(try await sender.send(message + "x", id: "i"), 413, "Body too big")
            try expect(try await sender.send("m", id: .text(String(repeating: "i", count: 257))), 413, "Body too big")
        }
    }

    @Test(
        "The refusals of the table",
        arguments: [
            ("{", 400, "JSON not valid"), ("[]", 400, "JSON not valid"), ("", 400, "JSON not valid"), (#""\ud800""#, 400, "JSON not valid"),
            ("{}", 400, "Not messageType=notification"), (#"{"messageType":"x"}"#, 400, "Not messageType=notification"),
            (#"{"messageType":"notification"}"#, 400, "Not id"), (#"{"messageType":"notification","id":""}"#, 400, "Not id"),
            (#"{"messageType":"notification","id":1}"#, 400, "Not message"),
            (#"{"messageType":"notification","id":1,"message":2}"#, 400, "Not message"),
            (#"{"messageType":"notification","id":1,"message":"m","ttl":-1}"#, 400, "Not valid ttl"),
            (#"{"messageType":"notification","id":1,"message":"m","ttl":0.5}"#, 400, "Not valid ttl"),
            (#"{"messageType":"notification","id":1,"message":"m","timestamp":{}}"#, 400, "Not valid timestamp"),
            (#"{"messageType":"notification","id":1,"message":"m","priority":[]}"#, 400, "Not valid priority"),
            (#"{"messageType":"notification","id":1,"message":"m"}"#, 401, "You must sign your message with your Private Key"),
            (
                #"{"messageType":"notification","id":1,"message":"m","signature":""}"#, 401,
                "You must sign your message with your Private Key"
            ),
            (
                #"{"messageType":"notification","id":1,"message":"m","signature":7}"#, 401,
                "You must sign your message with your Private Key"
            ),
            (#"{"messageType":"notification","id":1,"message":"m","signature":"AAAA"}"#, 403, "Bad signature, dropping notification"),
        ])
    func refusals(body: String, status: Int, reason: String) async throws {
        try await withApplication { harness, device, url in
            try expect(try await post(body, to: url, harness), status, reason)
            try await device.expectQuiet()
        }
    }

    @Test("A signature of another key, or of another message: 403")
    func badSignature() async throws {
        try await withApplication { harness, device, url in
            let stranger = try await harness.sender(url, key: TestKeys.two)
            try expect(try await stranger.send("m", id: "i"), 403, "Bad signature, dropping notification")
            var body = PushSender.body(message: "m", id: "i", key: TestKeys.one)
            body["message"] = "n"
            try expect(try await stranger.post(JSONValue.object(body).bytes), 403, "Bad signature, dropping notification")
            try await device.expectQuiet()
            #expect(harness.worker.counters[.notifiesRefusedSignature] == 2)
        }
    }

    @Test("Signatures in hexadecimal of either case are taken")
    func hexadecimal() async throws {
        try await withApplication { harness, device, url in
            let sender = try await harness.sender(url)
            for isUpper in [false, true] {
                var body = PushSender.body(message: "m", id: "i", key: TestKeys.one)
                let signature = Hex.encode(TestKeys.one.sign(Array("m".utf8)))
                body["signature"] = .text(isUpper ? signature.uppercased() : signature)
                #expect(try await sender.post(JSONValue.object(body).bytes).status == 200)
                #expect(try await device.notification().message == "m")
            }
        }
    }

    @Test("Past the rate of a client: 429 with Retry-After, before anything else")
    func rate() async throws {
        try await withApplication(configure: { $0.notifyRate = RateLimit(rate: 0.01, burst: 1) }) { harness, _, url in
            try await harness.push("one", to: url)
            let answer = try await harness.request("POST", "/other", front: .applicationServers)
            try expect(answer, 429, "Try again later")
            let seconds = try #require(answer.headers.first(name: "Retry-After").flatMap { Int($0) })
            #expect((50...100).contains(seconds))
        }
    }

    @Test("Expect: 100-continue is answered; the connection is kept")
    func expectContinue() async throws {
        try await withApplication { harness, _, url in
            let connection = try RawConnection(port: try #require(harness.worker.applicationServerPort))
            let body = String(decoding: JSONValue.object(PushSender.body(message: "m", id: "i", key: TestKeys.one)).bytes, as: UTF8.self)
            for _ in 0..<2 {
                connection.send(
                    "POST \(try ServerURL(url).path) HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\nExpect: 100-continue\r\n\r\n"
                )
                #expect(connection.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 100 "))
                connection.send(body)
                #expect(connection.read(until: "}").hasPrefix("HTTP/1.1 200 "))
            }
        }
    }

    @Test("A URL of an application that is unregistered and registered again works at once")
    func registeredAgain() async throws {
        try await withApplication { harness, device, url in
            try await harness.push("one", to: url)
            #expect(try await device.notification().message == "one")
            let pair = #""data":{"watoken":"w","pbkbase64":"\#(TestKeys.one.pbkbase64)"}"#
            _ = try await device.ask(#"{"messageType":"unregisterWA",\#(pair)}"#)
            _ = try await device.ask(#"{"messageType":"registerWA",\#(pair)}"#)
            try await harness.push("two", to: url)
            #expect(try await device.notification().message == "two")
        }
    }
}
