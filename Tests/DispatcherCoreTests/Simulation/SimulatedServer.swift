import DispatcherCore

/// An HTTP server over test endpoints: answers each request as its exchange plans, and complains about requests that it should not get.
final class SimulatedServer {
    let host: TestHost
    let port: UInt16
    let book: ExchangeBook
    /// How long a connection may be idle before it is closed; nil = for ever.
    var keepAlive: Interval?
    var keepAlivePattern: ((Int) -> Interval?)?
    /// Requests it may have at a time: the dispatcher's limit; nil = not checked.
    var limit: Int?
    /// Bytes of a response that the dispatcher may have in its custody: `tcp.tail-custody`.
    var tailCustody = 0
    /// What a server may send of a response before its client has acknowledged any of it; nil = not checked.
    var firstFlight: Int?
    /// Whether requests must carry what the dispatcher adds.
    var expectsDispatcher = true
    /// Whether a second request before the first one's answer is a fault.
    var allowsPipelining = false
    /// Whether a connection may end because nobody acknowledged anything for long.
    var mayTimeOut = true
    /// Whether an idempotent request that came in whole may come again.
    var mayRepeat = false
    private(set) var active = 0
    private(set) var activeHigh = 0
    private(set) var connectionsAccepted = 0
    private(set) var requestsServed = 0
    /// Ids in the order in which requests came.
    private(set) var order: [UInt32] = []
    private(set) var connections: [ServerConnection] = []
    var onRequest: ((Exchange) -> Void)?
    /// What its requests share; nil = each takes the time that its exchange plans.
    var processor: SharedProcessor?
    /// What it answers to health checks: to the first, the second...
    var check: (Int) -> CheckPlan = { _ in .answer() }
    /// When checks came, the connections that they came on among them that asked for nothing.
    private(set) var checks: [Instant] = []
    /// The other ends of the connections that it accepted.
    private(set) var peers: [Endpoint] = []

    init(_ host: TestHost, port: UInt16, book: ExchangeBook, options: TestTCPOptions = TestTCPOptions()) {
        self.host = host
        self.port = port
        self.book = book
        host.listen(port, options: options) { [unowned self] endpoint in
            connectionsAccepted += 1
            peers.append(endpoint.remote)
            connections.append(ServerConnection(self, endpoint, number: connectionsAccepted))
        }
    }

    var openConnections: [ServerConnection] { connections.filter { $0.endpoint.state == .established } }

    func began(_ exchange: Exchange) {
        active += 1
        activeHigh = max(activeHigh, active)
        requestsServed += 1
        order.append(exchange.id)
        exchange.deliveries += 1
        if let limit, active > limit { host.violation("\(active) requests at a time, the limit is \(limit)") }
        // A client whose answer was cut short on purpose asks again.
        if exchange.deliveries > 1, exchange.response.fault == nil, !mayRepeat || !exchange.request.isIdempotent {
            host.violation("request \(exchange.id) came \(exchange.deliveries) times")
        } else if exchange.deliveries > max(exchange.askings, 1), !exchange.request.isIdempotent {
            host.violation("POST \(exchange.id) came \(exchange.deliveries) times; its client sent it \(exchange.askings) times")
        }
        onRequest?(exchange)
    }

    func ended() { active -= 1 }

    /// A health check has come.
    func checked() -> CheckPlan {
        checks.append(host.simulation.now)
        return check(checks.count)
    }

    /// The dispatcher has sent a RST to one of its connections: what was asked there is no longer its concern, though the RST may be lost.
    func dispatcherReset(_ remote: Endpoint) {
        for connection in connections where connection.endpoint.remote == remote { connection.excuse() }
    }

    /// All its connections are gone without a word, as when it loses its power.
    func vanish() {
        for endpoint in host.endpoints.values.sorted(by: { $0.remote.port < $1.remote.port }) { endpoint.leave() }
        for connection in connections { connection.vanish() }
    }
}

/// One connection at the server.
final class ServerConnection {
    unowned let server: SimulatedServer
    let endpoint: TestTCPEndpoint
    let number: Int
    private var buffer: [UInt8] = []
    private(set) var current: Exchange?
    private var isExcused = false
    private var output: [UInt8] = []
    private var written = 0
    private(set) var isTunnel = false
    private var tunnelReceived: [UInt8] = []
    private let pauseTimer: SimulationTimer
    private let idleTimer: SimulationTimer
    private var served = 0

    init(_ server: SimulatedServer, _ endpoint: TestTCPEndpoint, number: Int) {
        self.server = server
        self.endpoint = endpoint
        self.number = number
        pauseTimer = SimulationTimer(server.host.simulation)
        idleTimer = SimulationTimer(server.host.simulation)
        endpoint.onData = { [unowned self] in arrived($0) }
        endpoint.onPeerFinished = { [unowned self] in peerFinished() }
        endpoint.onEnd = { [unowned self, unowned endpoint] _ in
            if endpoint.hasGivenUp, !server.mayTimeOut {
                server.host.violation("nobody acknowledged what \(endpoint.local) sent to \(endpoint.remote)")
            }
            ended()
        }
        endpoint.onAcknowledgement = { [unowned self] in checkFaithful($0, edge: $1) }
        idleTimer.action = { [unowned self] in if current == nil { self.endpoint.close() } }
        armIdle()
    }

    private var simulation: Simulation { server.host.simulation }

    private func armIdle() {
        if let time = server.keepAlivePattern?(number) ?? server.keepAlive { idleTimer.arm(after: time) }
    }

    private func arrived(_ bytes: [UInt8]) {
        if isTunnel { return tunnelArrived(bytes) }
        // What of a faulty answer was written may look like all of it; what is planned to follow is on its way.
        if let current, current.response.fault != nil { return }
        if current != nil, !server.allowsPipelining {
            server.host.violation("\(bytes.count) bytes before the answer to request \(current!.id) was written")
        }
        idleTimer.cancel()
        buffer += bytes
        readRequest()
    }

    private func readRequest() {
        guard current == nil else { return }
        let request: ReceivedRequest?
        do throws(FrameFault) {
            request = try ReceivedRequest(buffer)
        } catch {
            server.host.violation("request: \(error)")
            return endpoint.abort()
        }
        guard let request else { return }
        buffer.removeFirst(request.length)
        if request.field("user-agent") == "sluice", request.field("via") == nil { return answerCheck(request) }
        guard let id = request.id, let exchange = server.book[id] else {
            return server.host.violation("unknown request \(request.head.prefix(60))")
        }
        if let fault = request.fault(against: exchange, throughDispatcher: server.expectsDispatcher) {
            server.host.violation("request \(id): \(fault)\n\(request.head)")
        }
        exchange.headReceived = request.head
        idleTimer.cancel()
        current = exchange
        server.began(exchange)
        guard current === exchange else { return }
        pauseTimer.action = { [unowned self] in answer() }
        if let processor = server.processor {
            job = processor.enter { [weak self] in
                self?.job = nil
                self?.answer()
            }
            return
        }
        if exchange.response.serviceTime > .zero { pauseTimer.arm(after: exchange.response.serviceTime) } else { answer() }
    }

    /// Its place in the server's processor.
    private var job: Int?

    private func answerCheck(_ request: ReceivedRequest) {
        if request.method != "GET" || request.field("host") != "\(endpoint.local)" || request.field("connection") != "close" {
            server.host.violation("a health check like this: \(request.head)")
        }
        let plan = server.checked()
        output = plan.bytes
        written = 0
        pauseTimer.action = { [unowned self] in writeCheck(plan) }
        pauseTimer.arm(after: max(plan.delay, .microseconds(1)))
    }

    private func writeCheck(_ plan: CheckPlan) {
        guard endpoint.state == .established else { return }
        let left = output.count - written
        let count = plan.pieces == 0 ? left : min(plan.pieces, left)
        if count > 0 { endpoint.write(Array(output[written..<written + count])) }
        written += count
        if written < output.count { return pauseTimer.arm(after: plan.pause) }
        switch plan.ending {
        case .close: endpoint.close()
        case .reset: endpoint.abort()
        case .stay: break
        }
    }

    private func answer() {
        guard let exchange = current else { return }
        let plan = exchange.response
        let interim = plan.interimBytes(exchange.id)
        let head = plan.head(exchange.id)
        let body = plan.body(exchange.id, method: exchange.request.method)
        exchange.serverEndpoint = endpoint
        lastAnswered = exchange
        exchange.serverStart = endpoint.dataEnd
        exchange.serverBody = endpoint.dataEnd + interim.count + head.count
        exchange.bodyLength = body.count
        output = interim + head + body
        written = 0
        switch plan.fault {
        case .nonsense(let bytes): output = bytes
        case .reset(let count): output.removeLast(max(0, output.count - count))
        case .finish(let count): output.removeLast(max(0, output.count - count))
        case .silence: return
        case .surplus(let count): output += Tagged.bytes(0xFFFF_FFFF, count: count)
        case nil: break
        }
        if output.count < interim.count + head.count + body.count {
            exchange.bodyLength = max(0, output.count - interim.count - head.count)
        }
        if plan.bodyDelay > .zero, !body.isEmpty {
            written = min(output.count, interim.count + head.count)
            endpoint.write(Array(output[..<written]))
            pauseTimer.action = { [unowned self] in writePiece() }
            pauseTimer.arm(after: plan.bodyDelay)
        } else {
            writePiece()
        }
    }

    private func writePiece() {
        guard let exchange = current, !endpoint.finishQueued else { return }
        let plan = exchange.response
        let left = output.count - written
        let count = plan.pieces == 0 ? left : min(plan.pieces, left)
        let piece = Array(output[written..<written + count])
        written += count
        if written == output.count { finishWriting(exchange, piece) } else { endpoint.write(piece) }
        guard written < output.count else { return }
        pauseTimer.action = { [unowned self] in writePiece() }
        pauseTimer.arm(after: max(plan.pause, .microseconds(1)))
    }

    /// The last piece goes out: what comes after the response.
    private func finishWriting(_ exchange: Exchange, _ piece: [UInt8]) {
        let plan = exchange.response
        switch plan.fault {
        case .reset:
            if !piece.isEmpty { endpoint.write(piece) }
            endpoint.onDrained = {}
            simulation.after(.milliseconds(1)) { [weak self] in self?.endpoint.abort() }
            return
        case .nonsense, .silence:
            endpoint.write(piece)
            return
        default: break
        }
        current = nil
        served += 1
        if !isExcused { server.ended() }
        endpoint.write(piece)
        if case .finish = plan.fault { return endpoint.close() }
        if case .switching = plan.framing { return beginTunnel(exchange) }
        if plan.endsConnection { return endpoint.close() }
        armIdle()
        if !buffer.isEmpty { readRequest() }
    }

    // MARK: Tunnels

    private var tunnel: Exchange?

    private func beginTunnel(_ exchange: Exchange) {
        isTunnel = true
        tunnel = exchange
        if exchange.request.tunnelDown > 0, !exchange.request.echoes {
            endpoint.write(Tagged.bytes(exchange.id, count: exchange.request.tunnelDown, letter: UInt8(ascii: "d")))
        }
        if !buffer.isEmpty {
            let early = buffer
            buffer = []
            tunnelArrived(early)
        }
    }

    private func tunnelArrived(_ bytes: [UInt8]) {
        tunnelReceived += bytes
        guard let tunnel else { return }
        let expected = Tagged.bytes(tunnel.id, count: tunnel.request.tunnelUp, letter: UInt8(ascii: "u"))
        if !expected.starts(with: tunnelReceived) { server.host.violation("tunnel \(tunnel.id): other bytes than the client sent") }
        tunnelBytes = tunnelReceived.count
        if tunnel.request.echoes, !endpoint.finishQueued { endpoint.write(bytes) }
    }

    private(set) var tunnelBytes = 0

    // MARK: Ends

    private func peerFinished() {
        if current == nil || server.expectsDispatcher { endpoint.close() }
    }

    /// Its request does not count any more, but is answered all the same.
    func excuse() {
        guard current != nil, !isExcused else { return }
        isExcused = true
        server.ended()
    }

    func vanish() { ended() }

    private func ended() {
        pauseTimer.cancel()
        idleTimer.cancel()
        if let job { server.processor?.leave(job) }
        job = nil
        if current != nil {
            current = nil
            if !isExcused { server.ended() }
        }
    }

    /// Invariants I3 and I4, for the bytes of the body: nothing is acknowledged that the client has not, no edge shown beyond the client's.
    private func checkFaithful(_ acknowledged: Int, edge: Int) {
        guard server.expectsDispatcher, let exchange = lastAnswered, let body = exchange.serverBody, exchange.serverEndpoint === endpoint,
            !isTunnel
        else { return }
        let ackedBody = min(acknowledged - body, exchange.bodyLength)
        guard let client = exchange.clientEndpoint, client.state != .closed, client.end == nil else { return }
        if exchange.isStaged(tailCustody: server.tailCustody, method: exchange.request.method) { return }
        if ackedBody > 0 {
            let has = exchange.clientBody.map { client.acknowledgedSent - $0 } ?? 0
            let isKept = ackedBody == exchange.bodyLength && has >= ackedBody - server.tailCustody && server.tailCustody > 0
            if ackedBody > has, !isKept {
                server.host.violation("I3: \(ackedBody) bytes of body \(exchange.id) acknowledged, the client has acknowledged \(has)")
            }
        }
        // Once all of it is acknowledged the window is for the next request, of whichever client.
        if let start = exchange.clientBody, let first = server.firstFlight, exchange.isFirst, acknowledged > body,
            acknowledged < body + exchange.bodyLength
        {
            let allowed = first + max(0, client.acknowledgedSent - start) + body - (exchange.serverStart ?? body)
            if edge - acknowledged > allowed {
                server.host.violation("F12: a window of \(edge - acknowledged) for response \(exchange.id), \(allowed) is allowed")
            }
        }
        if let start = exchange.clientBody, acknowledged > body, acknowledged < body + exchange.bodyLength {
            let edgeBody = edge - body
            // Before the head was complete its limit was shown, and an edge is never taken back.
            let allowed = max(client.advertisedEdge - start, 16_384 - (body - (exchange.serverStart ?? body)))
            if edgeBody > allowed {
                server.host.violation("I4: right edge \(edgeBody) into body \(exchange.id), the client's is \(allowed)")
            }
        }
    }

    /// The exchange whose answer was written last.
    private var lastAnswered: Exchange?
}
