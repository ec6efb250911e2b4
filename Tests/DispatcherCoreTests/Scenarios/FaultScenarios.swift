import DispatcherCore
import Testing

/// Each reason for which a request or a response is refused, through the engine: none reaches the other side, each is counted as what it
/// is. The parsers' own tests say more of each.
@Suite("Faults of requests and responses")
struct FaultScenarios {
    private static func long(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }

    /// A request with that fault; a client that has sent it says nothing more.
    private static func request(_ fault: RequestFault) -> String {
        func head(_ line: String = "GET / HTTP/1.1", _ fields: String...) -> String {
            line + "\r\n" + (["Host: a"] + fields).map { $0 + "\r\n" }.joined() + "\r\n"
        }
        func chunks(_ body: String) -> String { head("POST / HTTP/1.1", "Transfer-Encoding: chunked") + body }
        switch fault {
        case .incompleteHead: return "GET / HTTP/1.1\r\nHost:"
        case .headTooLong: return head("GET / HTTP/1.1", "A: " + long("b", 17_000))
        case .targetTooLong: return "GET /" + long("a", 17_000)
        case .tooManyFields: return head("GET / HTTP/1.1", long("A: b\r\n", 101) + "A: b")
        case .emptyLines: return long("\r\n", 5)
        case .bareCR: return head("GET / HTTP/1.1", "A: b\rc")
        case .bareLF: return head("GET / HTTP/1.1\n")
        case .controlByte: return head("GET / HTTP/1.1", "A: \u{1}")
        case .foldedLine: return head("GET / HTTP/1.1", " b")
        case .emptyName: return head("GET / HTTP/1.1", ": b")
        case .whitespaceInName: return head("GET / HTTP/1.1", "A : b")
        case .nameByte: return head("GET / HTTP/1.1", "A(: b")
        case .missingColon: return head("GET / HTTP/1.1", "A")
        case .requestLineSyntax: return head("GE(T / HTTP/1.1")
        case .methodTooLong: return head(long("A", 33) + " / HTTP/1.1")
        case .connectMethod: return head("CONNECT a:80 HTTP/1.1")
        case .h2Preface: return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        case .versionSyntax: return head("GET / HTTP/1.x")
        case .versionUnsupported: return head("GET / HTTP/2.0")
        case .targetEmpty: return head("GET  HTTP/1.1")
        case .targetByte: return head("GET /%zz HTTP/1.1")
        case .targetFragment: return head("GET /a#b HTTP/1.1")
        case .targetForm: return head("GET * HTTP/1.1")
        case .targetScheme: return head("GET https://a/ HTTP/1.1")
        case .missingHost: return "GET / HTTP/1.1\r\n\r\n"
        case .duplicateHost: return head("GET / HTTP/1.1", "Host: a")
        case .hostSyntax: return "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"
        case .duplicateLength: return head("POST / HTTP/1.1", "Content-Length: 1", "Content-Length: 1")
        case .lengthSyntax: return head("POST / HTTP/1.1", "Content-Length: +1")
        case .lengthAndChunked: return head("POST / HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked")
        case .duplicateCoding: return head("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked")
        case .codingSyntax: return head("POST / HTTP/1.1", "Transfer-Encoding: gzip")
        case .codingUnknown: return head("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked")
        case .codingInOldVersion: return head("POST / HTTP/1.0", "Transfer-Encoding: chunked")
        case .bodyInOldVersion: return head("GET / HTTP/1.0", "Content-Length: 1") + "x"
        case .bodyInTrace: return head("TRACE / HTTP/1.1", "Content-Length: 1") + "x"
        case .bodyInUpgrade: return head("GET / HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Content-Length: 1") + "x"
        case .bodyTooLong: return head("POST / HTTP/1.1", "Content-Length: 2000000")
        case .chunkSize: return chunks("g\r\n")
        case .chunkExtension: return chunks("5;=a\r\n")
        case .chunkEnd: return chunks("1\r\nxX")
        case .chunkTrailer: return chunks("0\r\n:")
        case .chunkLineTooLong: return chunks("1;" + long("a", 9_000))
        case .trailerTooLong: return chunks("0\r\nA: " + long("b", 9_000))
        case .connectionSyntax: return head("GET / HTTP/1.1", "Connection: a b")
        case .expectation: return head("GET / HTTP/1.1", "Expect: tea")
        case .maxForwards: return head("OPTIONS / HTTP/1.1", "Max-Forwards: x")
        case .maxForwardsReached: return head("OPTIONS / HTTP/1.1", "Max-Forwards: 0")
        }
    }

    @Test("a request with a fault is answered by the fault's status and counted; no server sees it", arguments: RequestFault.allCases)
    func requests(fault: RequestFault) {
        let world = World()
        let endpoint = world.nextClientHost().connect(from: 30_000, to: World.service)
        var received: [UInt8] = []
        endpoint.onData = { received += $0 }
        endpoint.onConnected = { [unowned endpoint] in
            endpoint.write([UInt8](text: Self.request(fault)))
            if fault == .incompleteHead { endpoint.finish() }
        }
        endpoint.onPeerFinished = { [unowned endpoint] in endpoint.close() }
        world.simulation.run(for: .seconds(5))
        #expect(ReceivedAnswer(received)?.status == fault.status)
        #expect(Self.counted(world.dispatcher.snapshot.counters.requestFaults) == ["\(fault.label)"])
        #expect(world.servers[0].requestsServed == 0)
        world.finish()
    }

    /// A response with that fault, and what it answers; nil = no server can bring it about.
    private static func response(_ fault: ResponseFault) -> (String, to: String)? {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        let ok = "HTTP/1.1 200 OK"
        func head(_ line: String = ok, _ fields: String...) -> (String, to: String) {
            (line + "\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n", get)
        }
        func chunks(_ body: String) -> (String, to: String) { (head(ok, "Transfer-Encoding: chunked").0 + body, get) }
        switch fault {
        case .incompleteHead: return nil
        case .headTooLong: return head(ok, "A: " + long("b", 17_000))
        case .tooManyFields: return head(ok, long("A: b\r\n", 101) + "A: b")
        case .emptyLines: return ("\r\n" + head().0, get)
        case .bareCR: return head(ok, "A: b\rc")
        case .bareLF: return head(ok + "\n")
        case .controlByte: return head(ok, "A: \u{1}")
        case .foldedLine: return head(ok, " b")
        case .emptyName: return head(ok, ": b")
        case .whitespaceInName: return head(ok, "A : b")
        case .nameByte: return head(ok, "A(: b")
        case .missingColon: return head(ok, "A")
        case .statusLineSyntax: return head("HTTP/1.1 20 OK at once")
        case .versionUnsupported: return head("HTTP/2.0 200 OK")
        case .statusCode: return head("HTTP/1.1 099 OK")
        case .duplicateLength: return head(ok, "Content-Length: 1", "Content-Length: 1")
        case .lengthSyntax: return head(ok, "Content-Length: +1")
        case .lengthAndChunked: return head(ok, "Content-Length: 1", "Transfer-Encoding: chunked")
        case .duplicateCoding: return head(ok, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked")
        case .codingUnknown: return head(ok, "Transfer-Encoding: gzip")
        case .codingInOldVersion: return head("HTTP/1.0 200 OK", "Transfer-Encoding: chunked")
        case .codingForOldClient: return (head(ok, "Transfer-Encoding: chunked").0, "GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        case .bodyWithoutContent: return head("HTTP/1.1 204 No Content", "Content-Length: 1")
        case .upgradeUnasked: return head("HTTP/1.1 101 Switching", "Connection: Upgrade", "Upgrade: websocket")
        case .upgradeSyntax:
            return ("HTTP/1.1 101 Switching\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        case .chunkSize: return chunks("g\r\n")
        case .chunkExtension: return chunks("5;=a\r\n")
        case .chunkEnd: return chunks("1\r\nxX")
        case .chunkTrailer: return chunks("0\r\n:")
        case .chunkLineTooLong: return chunks("1;" + long("a", 9_000))
        case .trailerTooLong: return chunks("0\r\nA: " + long("b", 9_000))
        }
    }

    @Test("a response with a fault is not passed on, and counted; its connection is reset", arguments: ResponseFault.allCases)
    func responses(fault: ResponseFault) {
        guard let (response, request) = Self.response(fault) else { return }
        let world = World(servers: 0, rawServers: 1)
        var connections: [TestTCPEndpoint] = []
        world.host("raw-server1").listen(8_080) { endpoint in
            connections.append(endpoint)
            endpoint.onData = { [unowned endpoint] _ in endpoint.write([UInt8](text: response)) }
            endpoint.onPeerFinished = { [unowned endpoint] in endpoint.close() }
        }
        let client = world.nextClientHost().connect(from: 30_000, to: World.service)
        var received: [UInt8] = []
        client.onData = { received += $0 }
        client.onConnected = { [unowned client] in client.write([UInt8](text: request)) }
        client.onPeerFinished = { [unowned client] in client.close() }
        world.simulation.run(for: .seconds(5))
        #expect(Self.counted(world.dispatcher.snapshot.counters.responseFaults) == ["\(fault.label)"])
        // Behind a good head there is nothing left but a reset.
        let isInBody = "\(fault.label)".contains("chunk-") || fault == .trailerTooLong
        #expect(isInBody ? client.end == .resetByPeer : ReceivedAnswer(received)?.status == 502)
        #expect(connections.contains { $0.end == .resetByPeer })
        world.finish()
    }

    private static func counted(_ faults: [(label: String, count: UInt64)]) -> [String] { faults.filter { $0.count > 0 }.map(\.label) }
}
