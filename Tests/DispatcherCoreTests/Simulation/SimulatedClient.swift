import DispatcherCore

/// What a simulated client does with its connection.
struct ClientScript {
    enum Ending {
        /// FIN when all answers are there.
        case close
        /// FIN right after the last request; the answers still come.
        case halfClose
        /// RST when all answers are there.
        case reset
        /// RST after so many received bytes.
        case abort(after: Int)
        /// Nothing: the other end will close.
        case stay
    }

    var exchanges: [Exchange] = []
    /// Requests that may be outstanding.
    var pipeline = 1
    /// Requests are written in pieces of this many bytes, `writePause` apart; 0 = at once.
    var writeSize = 0
    var writePause = Interval.milliseconds(1)
    var thinkTime = Interval.zero
    var ending = Ending.close
    var start = Interval.zero
    /// For each exchange that the dispatcher answers itself: the status. Others are expected byte for byte.
    var ownAnswers: [UInt32: Int] = [:]
    /// Whether answers may be missing at the end (servers that fail).
    var mayFail = false
    /// Whether the connection may end before an answer has begun: who half-closes in the queue has left it.
    var mayBeAbandoned = false
    /// Whether a POST may be answered 502: what a server that closed idle connections leaves no other answer for.
    var acceptsBadGateway = false
    /// Whether it may be reset before anything of it was acknowledged: a SYN cookie is good for one minute to two, and everything may be lost
    /// as long.
    var mayExpire = false
    /// With which statuses the dispatcher itself may answer any request, where servers fail.
    var acceptsErrors: [Int] = []
}

/// An HTTP client over a test endpoint: sends its exchanges and compares every byte that comes back.
final class SimulatedClient {
    enum Outcome: Equatable { case running, complete, closedEarly, reset, timedOut, aborted, refused, expired }

    let host: TestHost
    let script: ClientScript
    private(set) var endpoint: TestTCPEndpoint!
    private(set) var outcome = Outcome.running
    private(set) var answered = 0
    private(set) var requestsSent = 0
    /// Statuses that the dispatcher answered itself with.
    private(set) var ownStatuses: [Int] = []
    /// What the network layer said at the end.
    private(set) var end: TestTCPEndpoint.End?
    private(set) var finishedAt: Instant?
    private(set) var bytesReceived = 0
    private var pending: [UInt8] = []
    private var expectation: [UInt8] = []
    private var expectationIndex = 0
    private var writing: [UInt8] = []
    private let writeTimer: SimulationTimer
    private let thinkTimer: SimulationTimer
    private var tunnelReceived: [UInt8] = []
    private var inTunnel: Exchange?
    var isInTunnel: Bool { inTunnel != nil }
    var onAnswered: ((Exchange) -> Void)?
    /// Its connection has ended.
    var onFinished: (() -> Void)?

    init(_ host: TestHost, port: UInt16, to service: Endpoint, script: ClientScript, options: TestTCPOptions = TestTCPOptions()) {
        self.host = host
        self.script = script
        writeTimer = SimulationTimer(host.simulation)
        thinkTimer = SimulationTimer(host.simulation)
        writeTimer.action = { [unowned self] in writePiece() }
        thinkTimer.action = { [unowned self] in sendMore() }
        host.simulation.after(script.start) { [self] in
            endpoint = host.connect(from: port, to: service, options: options)
            endpoint.onConnected = { [unowned self] in sendMore() }
            endpoint.onData = { [unowned self] in arrived($0) }
            endpoint.onPeerFinished = { [unowned self] in peerFinished() }
            endpoint.onEnd = { [unowned self] in ended($0) }
            placeAnswers()
            beginExpectation()
        }
    }

    /// Where each answer will lie in the stream, as far as that is known beforehand.
    private func placeAnswers() {
        var position = 1
        for exchange in script.exchanges {
            guard script.ownAnswers[exchange.id] == nil else { return }
            let interim = exchange.request.version == "HTTP/1.0" ? 0 : exchange.response.interimBytes(exchange.id).count
            exchange.clientBody = position + interim + exchange.response.head(exchange.id).count
            position += exchange.expected.count
        }
    }

    var isFinished: Bool { outcome != .running && (endpoint == nil || endpoint.isDone) }
    private var simulation: Simulation { host.simulation }

    // MARK: Writing

    private func sendMore() {
        while requestsSent < script.exchanges.count, requestsSent - answered < script.pipeline, !endpoint.finishQueued, outcome == .running
        {
            let exchange = script.exchanges[requestsSent]
            exchange.isFirst = requestsSent == 0
            requestsSent += 1
            exchange.clientEndpoint = endpoint
            exchange.askings += 1
            let bytes = exchange.request.bytes(exchange.id)
            if script.writeSize > 0 {
                writing += bytes
                if !writeTimer.isArmed { writePiece() }
            } else {
                endpoint.write(bytes)
                halfCloseIfDone()
            }
        }
    }

    private func writePiece() {
        guard outcome == .running, endpoint.state != .closed, !endpoint.finishQueued else { return }
        let count = min(script.writeSize, writing.count)
        guard count > 0 else { return }
        let piece = Array(writing.prefix(count))
        writing.removeFirst(count)
        endpoint.write(piece)
        if writing.isEmpty { halfCloseIfDone() } else { writeTimer.arm(after: script.writePause) }
    }

    private func halfCloseIfDone() {
        if case .halfClose = script.ending, requestsSent == script.exchanges.count, writing.isEmpty { endpoint.finish() }
    }

    // MARK: Reading

    private func beginExpectation() {
        expectationIndex = 0
        guard answered < script.exchanges.count else {
            expectation = []
            return
        }
        let exchange = script.exchanges[answered]
        guard script.ownAnswers[exchange.id] == nil else {
            expectation = []
            return
        }
        expectation = exchange.expected
    }

    private func arrived(_ bytes: [UInt8]) {
        bytesReceived += bytes.count
        if case .abort(let count) = script.ending, bytesReceived >= count {
            outcome = .aborted
            return endpoint.abort()
        }
        pending += bytes
        while !pending.isEmpty, take() {}
    }

    /// Takes what it can of the pending bytes; false when more must come first.
    private func take() -> Bool {
        if let inTunnel { return takeTunnel(inTunnel) }
        guard answered < script.exchanges.count else {
            host.violation("\(pending.count) bytes after the last answer: \(Self.excerpt(pending))")
            pending = []
            return false
        }
        let exchange = script.exchanges[answered]
        if let status = script.ownAnswers[exchange.id] { return takeOwnAnswer(status, exchange) }
        let count = min(pending.count, expectation.count - expectationIndex)
        if expectation[expectationIndex..<expectationIndex + count] != pending[..<count] {
            let at = (0..<count).first { expectation[expectationIndex + $0] != pending[$0] }!
            expectationIndex += at
            pending.removeFirst(at)
            if isAcceptableError(exchange) {
                outcome = .refused
                endpoint.abort()
                return false
            }
            host.violation(
                "answer \(exchange.id), byte \(expectationIndex): expected \(Self.excerpt(expectation[expectationIndex...])), came \(Self.excerpt(pending))"
            )
            outcome = .closedEarly
            endpoint.abort()
            return false
        }
        expectationIndex += count
        pending.removeFirst(count)
        guard expectationIndex == expectation.count else { return false }
        if exchange.response.endsByClose { return false }
        completed(exchange)
        return true
    }

    /// Whether what came instead of an answer is an error of the dispatcher's that must be expected.
    private func isAcceptableError(_ exchange: Exchange) -> Bool {
        var statuses = script.acceptsErrors
        if script.acceptsBadGateway, !exchange.request.isIdempotent { statuses.append(502) }
        // It may follow interim responses, which are all of one length.
        let interims = exchange.request.version == "HTTP/1.0" ? 0 : exchange.response.interim
        let interim = interims == 0 ? 0 : exchange.response.interimBytes(exchange.id).count / interims
        for start in (0...interims).map({ $0 * interim }) where (start...start + 12).contains(expectationIndex) {
            let came = expectation[start..<expectationIndex] + pending.prefix(start + 12 - expectationIndex)
            if statuses.contains(where: { Array("HTTP/1.1 \($0)".utf8).starts(with: came) }) { return true }
        }
        return false
    }

    private func completed(_ exchange: Exchange) {
        answered += 1
        onAnswered?(exchange)
        if exchange.response.status == 101 { return beginTunnel(exchange) }
        beginExpectation()
        if answered == script.exchanges.count { return allAnswered() }
        if script.thinkTime > .zero { thinkTimer.arm(after: script.thinkTime) } else { sendMore() }
    }

    private func takeOwnAnswer(_ status: Int, _ exchange: Exchange) -> Bool {
        guard let answer = ReceivedAnswer(pending) else { return false }
        pending.removeFirst(answer.length)
        ownStatuses.append(answer.status)
        if status != 0, answer.status != status {
            host.violation("request \(exchange.id): answered \(answer.status) by the dispatcher, expected \(status)")
        }
        if answer.status == 100 {
            return true
        }
        completed(exchange)
        return true
    }

    private func allAnswered() {
        outcome = .complete
        finishedAt = simulation.now
        switch script.ending {
        case .close: endpoint.close()
        case .reset: endpoint.abort()
        default: break
        }
    }

    // MARK: Tunnels

    private func beginTunnel(_ exchange: Exchange) {
        inTunnel = exchange
        if exchange.request.tunnelUp > 0 {
            endpoint.write(Tagged.bytes(exchange.id, count: exchange.request.tunnelUp, letter: UInt8(ascii: "u")))
        }
        if exchange.request.tunnelDown == 0 { allAnswered() }
    }

    private func takeTunnel(_ exchange: Exchange) -> Bool {
        tunnelReceived += pending
        pending = []
        let expected = exchange.request.tunnelExpected(exchange.id)
        if !expected.starts(with: tunnelReceived) { host.violation("tunnel \(exchange.id): other bytes than the server sent") }
        if tunnelReceived.count >= expected.count { allAnswered() }
        return false
    }

    // MARK: Ends

    private func peerFinished() {
        if outcome == .running, answered < script.exchanges.count {
            let exchange = script.exchanges[answered]
            if exchange.response.endsByClose, expectationIndex == expectation.count, !expectation.isEmpty {
                completed(exchange)
            } else {
                outcome = .closedEarly
                if !script.mayFail, !(script.mayBeAbandoned && expectationIndex == 0) {
                    host.violation("FIN after \(expectationIndex) of \(expectation.count) bytes of answer \(exchange.id)")
                }
            }
        }
        endpoint.close()
    }

    /// It is gone without a word, as when it loses its power.
    func vanish() {
        guard endpoint != nil, endpoint.state != .closed else { return }
        outcome = .aborted
        writeTimer.cancel()
        thinkTimer.cancel()
        endpoint.leave()
    }

    private func ended(_ end: TestTCPEndpoint.End) {
        defer { onFinished?() }
        self.end = end
        // A slow reader takes what is left before it looks at the end; behind a FIN also when a RST follows, as Linux lets it.
        if end == .finished || endpoint.hasPeerFinished { endpoint.read(.max / 2) }
        writeTimer.cancel()
        thinkTimer.cancel()
        if endpoint.hasGivenUp, script.mayExpire, !script.mayFail {
            host.violation("nobody acknowledged what it sent, after \(answered) of \(script.exchanges.count) answers")
        }
        guard outcome == .running else { return }
        if script.mayExpire, end == .resetByPeer, endpoint.unacknowledged <= 1 {
            outcome = .expired
            return
        }
        switch end {
        case .resetByPeer, .refused: outcome = .reset
        case .timedOut: outcome = .timedOut
        default: outcome = .closedEarly
        }
        if !script.mayFail { host.violation("ended (\(end)) after \(answered) of \(script.exchanges.count) answers") }
    }

    static func excerpt(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes.prefix(48), as: UTF8.self).debugDescription }
}

/// An answer that the dispatcher writes itself, read loosely.
struct ReceivedAnswer {
    var status: Int
    var length: Int
    var head: String

    /// nil = not complete yet, or no HTTP.
    init?(_ bytes: [UInt8]) {
        guard bytes.count > 12, let end = (3..<bytes.count).first(where: { Array(bytes[$0 - 3...$0]) == [13, 10, 13, 10] }) else {
            return nil
        }
        head = String(decoding: bytes[...end], as: UTF8.self)
        guard head.hasPrefix("HTTP/1."), let code = Int(head.dropFirst(9).prefix(3)) else { return nil }
        status = code
        var count = 0
        for line in bytes[...end].split(separator: 10) {
            let text = String(decoding: line, as: UTF8.self).lowercased()
            if text.hasPrefix("content-length:") { count = Int(text.dropFirst(15).filter { $0.isNumber }) ?? 0 }
        }
        length = end + 1 + count
        if bytes.count < length { return nil }
    }
}
