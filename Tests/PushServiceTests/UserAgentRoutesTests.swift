import Lab
import PushProtocol
import PushService
import Testing

@Suite("Push: HTTP for devices")
struct UserAgentRoutesTests {
    @Test("A token comes by GET and POST, alone in a plain text")
    func token() async throws {
        try await WorkerHarness.with { harness in
            var tokens: Set<String> = []
            for method in ["GET", "POST"] {
                let answer = try await harness.request(method, "/token?x=1")
                #expect(answer.status == 200)
                #expect(answer.headers.first(name: "Content-Type")?.hasPrefix("text/plain") == true)
                #expect(answer.text.count < 128 && answer.text.allSatisfy { $0.isASCII && !$0.isWhitespace })
                tokens.insert(answer.text)
            }
            #expect(tokens.count == 2)
        }
    }

    @Test("Other methods on /token: 405 with Allow", arguments: ["PUT", "DELETE", "HEAD", "PATCH"])
    func tokenMethods(method: String) async throws {
        try await WorkerHarness.with { harness in
            let answer = try await harness.request(method, "/token")
            #expect(answer.status == 405)
            #expect(answer.headers.first(name: "Allow") == "GET, POST, OPTIONS")
        }
    }

    @Test("Status on both fronts: OK with X-Load")
    func status() async throws {
        try await WorkerHarness.with { harness in
            for front in WorkerHarness.Front.allCases {
                let answer = try await harness.request("GET", "/status", front: front)
                #expect(answer.status == 200)
                #expect(answer.text == "OK")
                #expect(answer.headers.first(name: "X-Load").flatMap(Double.init) != nil)
                #expect(answer.headers.first(name: "Content-Type")?.hasPrefix("text/plain") == true)
                #expect(try await harness.request("HEAD", "/status", front: front).status == 200)
            }
        }
    }

    @Test("GET / without Upgrade: 426; other paths: 404 with a reason; every answer may be read across origins")
    func others() async throws {
        try await WorkerHarness.with { harness in
            let upgrade = try await harness.request("GET", "/")
            #expect(upgrade.status == 426)
            #expect(upgrade.headers.first(name: "Upgrade") == "websocket")
            for path in ["/nothing", "/tokens", "/notify/\(String(repeating: "0", count: 64))"] {
                let answer = try await harness.request("GET", path)
                #expect(answer.status == 404)
                #expect(try JSONValue(parsing: answer.body) == ["status": "ERROR", "reason": "Not found"])
                #expect(answer.headers.first(name: "Access-Control-Allow-Origin") == "*")
            }
            for path in ["/", "/token", "/status"] {
                #expect(try await harness.request("GET", path).headers.first(name: "Access-Control-Allow-Origin") == "*")
            }
        }
    }

    @Test("OPTIONS: 204 with methods and headers on our paths, else 404")
    func options() async throws {
        try await WorkerHarness.with { harness in
            let methods = [("/", "GET"), ("/token", "POST"), ("/status", "GET"), ("/notify/", "POST"), ("/notify/anything/at/all", "POST")]
            for front in WorkerHarness.Front.allCases {
                for (path, method) in methods {
                    let answer = try await harness.request("OPTIONS", path, front: front)
                    #expect(answer.status == 204)
                    #expect(answer.body.isEmpty)
                    #expect(answer.headers.first(name: "Access-Control-Allow-Methods")?.contains(method) == true)
                    #expect(answer.headers.first(name: "Access-Control-Allow-Headers") != nil)
                    #expect(answer.headers.first(name: "Access-Control-Allow-Origin") == "*")
                }
                #expect(try await harness.request("OPTIONS", "/nothing", front: front).status == 404)
            }
        }
    }

    @Test("Past the rate tokens are refused with 429 and Retry-After; --token-rate counts clients behind a trusted proxy apart")
    func rate() async throws {
        let configure: (inout WorkerConfiguration) -> Void = {
            $0.tokenRate = RateLimit(rate: 0.01, burst: 2)
            $0.trustedProxies = [IPNetwork("127.0.0.0/8")!, IPNetwork("10.0.0.0/8")!]
        }
        try await WorkerHarness.with(configure: configure) { harness in
            func get(_ forwardedFor: String) async throws -> HTTPClientAnswer {
                try await harness.request("GET", "/token", headers: [("X-Forwarded-For", forwardedFor)])
            }
            for _ in 0..<2 { #expect(try await get("192.0.2.1").status == 200) }
            let refused = try await get("192.0.2.1")
            #expect(refused.status == 429)
            let seconds = try #require(refused.headers.first(name: "Retry-After").flatMap { Int($0) })
            #expect((50...100).contains(seconds))
            #expect(try JSONValue(parsing: refused.body) == ["status": "ERROR", "reason": "Try again later"])
            #expect(try await get("6.6.6.6, 192.0.2.1, 10.1.1.1").status == 429)
            #expect(try await get("192.0.2.2").status == 200)
            #expect(harness.worker.counters[.tokensRefusedRate] == 2)
        }
    }

    @Test("The address in X-Forwarded-For of a peer that is not trusted is ignored")
    func untrusted() async throws {
        try await WorkerHarness.with(configure: { $0.tokenRate = RateLimit(rate: 0.01, burst: 1) }) { harness in
            let first = try await harness.request("GET", "/token", headers: [("X-Forwarded-For", "192.0.2.1")])
            #expect(first.status == 200)
            let second = try await harness.request("GET", "/token", headers: [("X-Forwarded-For", "192.0.2.2")])
            #expect(second.status == 429)
        }
    }

    @Test("Garbage is answered 400, and the connection closes")
    func garbage() async throws {
        try await WorkerHarness.with { harness in
            let connection = try RawConnection(port: try #require(harness.worker.userAgentPort))
            connection.send("THIS IS NOT HTTP\r\n\r\n")
            #expect(connection.readToEnd().hasPrefix("HTTP/1.1 400 "))
            #expect(try await harness.request("GET", "/status").status == 200)
        }
    }

    @Test("Requests on one connection are answered in order, also when they come at once; the absolute form is understood")
    func keepAlive() async throws {
        try await WorkerHarness.with { harness in
            let connection = try RawConnection(port: try #require(harness.worker.userAgentPort))
            connection.send(
                "GET /status HTTP/1.1\r\nHost: x\r\n\r\nGET http://x/nothing HTTP/1.1\r\nHost: x\r\n\r\nGET http://x/status HTTP/1.1\r\n")
            connection.send("Host: x\r\nConnection: close\r\n\r\n")
            let codes = connection.readToEnd().split(separator: "HTTP/1.1 ").map { $0.prefix(3) }
            #expect(codes == ["200", "404", "200"])
        }
    }
}
