import DispatcherCore

/// Bytes that say whose they are and where they belong: 16-byte cells "r0000002a@0001f0", so that one look at a foreign byte tells where
/// it came from.
enum Tagged {
    static let cell = 16

    static func bytes(_ id: UInt32, count: Int, letter: UInt8 = UInt8(ascii: "r")) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        let cells = (count + Self.cell - 1) / Self.cell
        let first = [letter] + (0..<8).map { digits[Int(id >> UInt32(28 - 4 * $0) & 15)] } + [UInt8](text: "@000000")
        // Written in place: wide runs make many megabytes of it.
        var bytes = [UInt8](unsafeUninitializedCapacity: cells * Self.cell) { memory, written in
            for number in 0..<cells {
                let start = number * Self.cell
                for place in 0..<Self.cell { memory[start + place] = first[place] }
                var offset = start
                for place in stride(from: 15, through: 10, by: -1) {
                    memory[start + place] = digits[offset & 15]
                    offset >>= 4
                }
            }
            written = cells * Self.cell
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}

/// A request as a client writes it.
struct RequestPlan {
    var method = "GET"
    var version = "HTTP/1.1"
    var path = "/x/"
    var fields: [(String, String)] = []
    /// Tagged bytes with a Content-Length.
    var body = 0
    /// Written in chunks of this size instead.
    var chunk = 0
    /// Tunnel bytes that follow a 101, each way.
    var tunnelUp = 0
    var tunnelDown = 0
    /// The server sends back what comes through the tunnel, instead of bytes of its own.
    var echoes = false
    /// Raw bytes instead of everything above.
    var raw: [UInt8]?

    static func get() -> RequestPlan { RequestPlan() }
    static func post(_ body: Int) -> RequestPlan {
        var plan = RequestPlan()
        plan.method = "POST"
        plan.body = body
        return plan
    }
    /// A POST with a body of any length up to 256 KiB, most of them short, by length or in chunks.
    static func upload(_ random: inout SimulationRandom) -> RequestPlan {
        let most = [20_000, 20_000, 60_000, 66_000, 120_000, 256 << 10][random.below(6)]
        var plan = post(random.within(1...most))
        if random.chance(0.5) { plan.chunk = random.within(1...[2_000, 9_000, 100_000][random.below(3)]) }
        return plan
    }
    static func upgrade(up: Int, down: Int) -> RequestPlan {
        var plan = RequestPlan()
        plan.fields = [
            ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]
        plan.tunnelUp = up
        plan.tunnelDown = down
        return plan
    }

    static func echo(_ count: Int) -> RequestPlan {
        var plan = upgrade(up: count, down: count)
        plan.echoes = true
        return plan
    }

    /// What the client must receive through the tunnel.
    func tunnelExpected(_ id: UInt32) -> [UInt8] {
        Tagged.bytes(id, count: tunnelDown, letter: UInt8(ascii: echoes ? "u" : "d"))
    }

    /// Whether it may be given to a server twice (RFC 9110 9.2.2).
    var isIdempotent: Bool { method != "POST" }

    func with(_ name: String, _ value: String) -> RequestPlan {
        var plan = self
        plan.fields.append((name, value))
        return plan
    }

    func bodyBytes(_ id: UInt32) -> [UInt8] { Tagged.bytes(id, count: body, letter: UInt8(ascii: "q")) }

    func bytes(_ id: UInt32) -> [UInt8] {
        if let raw { return raw }
        var head = "\(method) \(path)\(id) \(version)\r\nHost: test.example\r\n"
        for (name, value) in fields { head += "\(name): \(value)\r\n" }
        let content = bodyBytes(id)
        guard body > 0 || method == "POST" else { return Array((head + "\r\n").utf8) }
        guard chunk > 0 else { return Array((head + "Content-Length: \(body)\r\n\r\n").utf8) + content }
        return Array((head + "Transfer-Encoding: chunked\r\n\r\n").utf8) + Chunked.encode(content, size: chunk)
    }

    var wantsUpgrade: Bool { fields.contains { $0.0 == "Upgrade" } }
    var asksToClose: Bool {
        fields.contains { $0.0 == "Connection" && $0.1 == "close" }
            || version == "HTTP/1.0" && !fields.contains { $0.0 == "Connection" && $0.1 == "keep-alive" }
    }
}

enum Chunked {
    static func encode(_ bytes: [UInt8], size: Int) -> [UInt8] {
        var out: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            let part = bytes[start..<min(start + size, bytes.count)]
            out += Array((String(part.count, radix: 16) + "\r\n").utf8)
            out += part
            out += [13, 10]
        }
        return out + Array("0\r\n\r\n".utf8)
    }
}

/// A response as a server writes it.
struct ResponsePlan {
    enum Framing { case contentLength(Int), chunked(Int, size: Int), untilClose(Int), none, switching }
    /// What goes wrong.
    enum Fault {
        /// Bytes instead of a response; the connection stays open.
        case nonsense([UInt8])
        /// A RST before any byte, or after so many bytes of the response.
        case reset(after: Int)
        /// A FIN after so many bytes of the response.
        case finish(after: Int)
        /// Nothing, ever.
        case silence
        /// Tagged bytes behind the end.
        case surplus(Int)
    }

    var status = 200
    var framing = Framing.contentLength(0)
    var version = "HTTP/1.1"
    /// Interim responses before the final one.
    var interim = 0
    /// "Connection: close", and the server's FIN behind the response.
    var closes = false
    /// The connection is closed after the response without a word about it in the head.
    var finishes = false
    /// The head is made at least so long.
    var headSize = 0
    /// From the end of the request to the first byte.
    var serviceTime = Interval.zero
    /// Written in pieces of `pieces` bytes with `pause` between them; 0 = at once.
    var pieces = 0
    var pause = Interval.zero
    /// How long the server waits with the body after the head.
    var bodyDelay = Interval.zero
    var fault: Fault?
    var fields: [(String, String)] = []

    static func length(_ count: Int) -> ResponsePlan {
        var plan = ResponsePlan()
        plan.framing = .contentLength(count)
        return plan
    }

    static func chunked(_ count: Int, size: Int) -> ResponsePlan {
        var plan = ResponsePlan()
        plan.framing = .chunked(count, size: size)
        return plan
    }

    func after(_ time: Interval) -> ResponsePlan {
        var plan = self
        plan.serviceTime = time
        return plan
    }

    func interimBytes(_ id: UInt32) -> [UInt8] {
        (0..<interim).flatMap { Array("HTTP/1.1 103 Early Hints\r\nX-Request: \(id)\r\nX-Interim: \($0)\r\n\r\n".utf8) }
    }

    private static let padding = String(repeating: "p", count: 400)

    func head(_ id: UInt32) -> [UInt8] {
        var head = "\(version) \(status) Status\r\nX-Request: \(id)\r\n"
        switch framing {
        case .contentLength(let count): head += "Content-Length: \(count)\r\n"
        case .chunked: head += "Transfer-Encoding: chunked\r\n"
        case .switching: head += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        case .untilClose, .none: break
        }
        for (name, value) in fields { head += "\(name): \(value)\r\n" }
        if closes { head += "Connection: close\r\n" }
        if headSize > head.utf8.count + 2 {
            var filler = headSize - head.utf8.count - 2
            while filler > 0 {
                let part = max(8, min(filler, 400))
                head += "X-Pad:" + Self.padding.prefix(part - 8) + "\r\n"
                filler -= part
            }
        }
        return Array((head + "\r\n").utf8)
    }

    func body(_ id: UInt32, method: String) -> [UInt8] {
        if method == "HEAD" || status == 204 || status == 304 { return [] }
        switch framing {
        case .contentLength(let count), .untilClose(let count): return Tagged.bytes(id, count: count)
        case .chunked(let count, let size): return Chunked.encode(Tagged.bytes(id, count: count), size: size)
        case .none, .switching: return []
        }
    }

    var endsByClose: Bool { if case .untilClose = framing { true } else { false } }
    var endsConnection: Bool { closes || finishes || endsByClose }
    /// Whether the client's connection ends with it.
    var endsClientConnection: Bool { closes || endsByClose || version == "HTTP/1.0" }
}

/// One request, its answer, and what both ends saw of it.
final class Exchange {
    let id: UInt32
    var request: RequestPlan { didSet { known = nil } }
    var response: ResponsePlan { didSet { known = nil } }
    private var known: [UInt8]?

    /// How often a server has received the whole of it.
    var deliveries = 0
    /// How often its client has sent it.
    var askings = 0
    /// The head as a server received it.
    var headReceived = ""
    // Where the final response's body begins, as positions in the streams of the two endpoints: for the invariants I3 and I4.
    weak var serverEndpoint: TestTCPEndpoint?
    var serverStart: Int?
    var serverBody: Int?
    weak var clientEndpoint: TestTCPEndpoint?
    var clientBody: Int?
    /// Whether it is the first one of its client's connection.
    var isFirst = false
    var bodyLength = 0

    /// Whether the dispatcher takes the whole response into its custody: its length is known and no more than that.
    func isStaged(tailCustody: Int, method: String) -> Bool {
        guard tailCustody > 0 else { return false }
        if method == "HEAD" || response.status == 204 || response.status == 304 { return true }
        switch response.framing {
        case .contentLength(let length): return length <= tailCustody
        case .none: return true
        case .chunked, .untilClose, .switching: return false
        }
    }

    init(id: UInt32, request: RequestPlan, response: ResponsePlan) {
        self.id = id
        self.request = request
        self.response = response
    }

    /// What the client must receive, byte for byte, when a server answers it as planned.
    var expected: [UInt8] {
        if let known { return known }
        let interim = request.version == "HTTP/1.0" ? [] : response.interimBytes(id)
        let bytes = interim + response.head(id) + response.body(id, method: request.method)
        known = bytes
        return bytes
    }
}

/// All exchanges of a run by their ids: what clients ask for and servers look up.
final class ExchangeBook {
    private(set) var exchanges: [UInt32: Exchange] = [:]
    private var last: UInt32 = 0

    func add(_ request: RequestPlan, _ response: ResponsePlan) -> Exchange {
        last += 1
        let exchange = Exchange(id: last, request: request, response: response)
        exchanges[last] = exchange
        return exchange
    }

    subscript(id: UInt32) -> Exchange? { exchanges[id] }
}
