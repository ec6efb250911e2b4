import DispatcherCore

/// A client of a wide run: twenty requests over as many connections as it takes, one after the other.
final class Visitor {
    let host: TestHost
    private unowned let world: World
    private var random: SimulationRandom
    private let isHarsh: Bool
    /// The requests that it has not made yet.
    private(set) var left: [Exchange] = []
    private(set) var current: SimulatedClient?
    private(set) var isFinished = false
    private var options = TestTCPOptions()
    private var asked: [Exchange] = []
    private var largest: Int
    private let thinks: Bool
    private var isAway = false
    /// How often the next connection was planned: only the last plan counts.
    private var plans = 0
    /// Whether the next connection has the last one's port.
    private var keepsPort = false

    init(_ world: World, _ random: SimulationRandom, isHarsh: Bool) {
        self.world = world
        self.isHarsh = isHarsh
        var random = random
        host = world.nextClientHost()
        thinks = random.chance(0.2)
        largest = 256 << 10
        options.retransmissionLimit = 40
        options.maximumSegmentSize = [1_460, 1_460, 1_460, 536, 1_220, 300, 8_960, 88][random.below(8)]
        // A thousand segments at the cost of five round trips each, one lost in three, take longer than any limit here.
        if options.maximumSegmentSize == 88, world.clientImpairments.loss > 0.02 { options.maximumSegmentSize = 536 }
        if options.maximumSegmentSize! < 500 { largest = 16 << 10 }
        if random.chance(0.2) { options.receiveBuffer = random.within(20_000...65_535) }
        if random.chance(0.7) { options.windowScale = [0, 1, 7, 9, 14][random.below(5)] }
        if options.windowScale != nil, random.chance(0.5) { options.receiveBuffer = random.within(65_536...1_000_000) }
        options.sackPermitted = random.chance(0.7)
        switch random.below(8) {
        case 0: options.reader = .paced(bytes: random.within(500...20_000), interval: .milliseconds(Int64(random.within(5...100))))
        case 1:
            // Its window is closed most of the time.
            options.receiveBuffer = random.within(4_000...16_000)
            options.reader = .paced(bytes: options.receiveBuffer, interval: .milliseconds(Int64(random.within(500...5_000))))
            largest = 32 << 10
        default: break
        }
        self.random = random
        for _ in 0..<WideRun.requests { left.append(plan()) }
    }

    func begin(after delay: Interval) {
        plans += 1
        let mine = plans
        world.simulation.after(delay) { [weak self] in
            if let self, mine == plans { connect() }
        }
    }

    // MARK: What it asks for

    /// Lengths of every order of magnitude up to `most`.
    private func length(_ most: Int) -> Int { min(most, random.below((1 << random.below(random.chance(0.5) ? 19 : 15)) + 1)) }

    private func plan() -> Exchange {
        if random.chance(0.03) {
            var switching = ResponsePlan()
            (switching.status, switching.framing) = (101, .switching)
            let (up, down) = (length(32 << 10), length(32 << 10))
            return world.exchange(random.chance(0.5) ? .echo(up) : .upgrade(up: up, down: down), switching)
        }
        let request = requestPlan()
        return world.exchange(request, responsePlan(request))
    }

    /// Where a response breaks off: often before its first byte.
    private func partOf(_ size: Int) -> Int { random.chance(0.3) ? 0 : random.below(size) }

    private func requestPlan() -> RequestPlan {
        var plan = RequestPlan.get()
        switch random.below(10) {
        case 0, 1: plan = .post(length(256 << 10))
        case 2:
            plan = .post(length(16_000))
            plan.chunk = random.within(1...2_000)
        case 3: plan.method = "HEAD"
        case 4: plan = plan.with("If-None-Match", "\"tag\"")
        default: break
        }
        if random.chance(0.1) { plan = plan.with("X-Long", String(repeating: "l", count: random.below(3_000))) }
        if random.chance(0.05) { plan = plan.with("Connection", "close") }
        if random.chance(0.05) {
            plan.version = "HTTP/1.0"
            plan.chunk = 0
            if plan.method == "POST" { (plan.method, plan.body) = ("GET", 0) }
            if !plan.asksToClose, random.chance(0.5) { plan = plan.with("Connection", "keep-alive") }
        }
        return plan
    }

    private func responsePlan(_ request: RequestPlan) -> ResponsePlan {
        let size = length(largest)
        let isOld = request.version == "HTTP/1.0"
        var plan = random.chance(0.3) && !isOld ? ResponsePlan.chunked(size, size: random.within(size / 500 + 1...9_000)) : .length(size)
        if request.fields.contains(where: { $0.0 == "If-None-Match" }) {
            (plan.status, plan.framing) = (304, .contentLength(size))
        } else if random.chance(0.05) {
            plan.framing = .untilClose(size)
        }
        if random.chance(0.05) { (plan.status, plan.framing) = (204, .none) }
        if isOld, request.fields.contains(where: { $0 == ("Connection", "keep-alive") }) {
            plan.fields.append(("Connection", "keep-alive"))
        }
        if random.chance(0.05), !isOld { plan.closes = true }
        if random.chance(0.05) { plan.finishes = true }
        if random.chance(0.1) { plan.interim = random.within(1...3) }
        if random.chance(0.15) { plan.headSize = random.within(500...8_000) }
        if random.chance(0.3) { plan.serviceTime = .milliseconds(Int64(random.below(200))) }
        if random.chance(0.2) {
            (plan.pieces, plan.pause) = (size / 50 + random.within(50...5_000), .milliseconds(Int64(random.within(1...20))))
        }
        if random.chance(0.1) { plan.bodyDelay = .milliseconds(Int64(random.within(1...100))) }
        if random.chance(0.03), case .contentLength = plan.framing, !plan.endsConnection, plan.status == 200 {
            plan.fault = .surplus(random.within(1...3_000))
        } else if isHarsh, random.chance(0.03) {
            plan.fault =
                [
                    .reset(after: partOf(size + 100)), .finish(after: partOf(size + 100)), .silence,
                    .nonsense(Array("nonsense \(request.path)\r\n\r\n".utf8)),
                ][random.below(4)]
        }
        return plan
    }

    // MARK: Connections

    /// The next connection, with some of what is left.
    private func connect() {
        guard !isAway else { return }
        guard !left.isEmpty else {
            isFinished = true
            return
        }
        asked = []
        var script = ClientScript()
        for _ in 0..<random.within(1...8) {
            guard let next = left.first else { break }
            if next.request.wantsUpgrade, !asked.isEmpty { break }
            asked.append(left.removeFirst())
            if next.response.endsClientConnection || next.request.asksToClose || next.request.wantsUpgrade { break }
        }
        script.exchanges = asked
        script.pipeline = random.within(1...4)
        if thinks { script.thinkTime = .milliseconds(Int64(random.within(1...3_000))) }
        if random.chance(0.1) {
            (script.writeSize, script.writePause) = (random.within(20...2_000), .milliseconds(Int64(random.within(1...10))))
        }
        let isUpgrade = asked[0].request.wantsUpgrade
        switch random.below(20) {
        case 0, 1: if !isUpgrade { (script.ending, script.mayBeAbandoned) = (.halfClose, true) }
        case 2: script.ending = .reset
        case 3, 4: (script.ending, script.mayFail) = (.abort(after: length(64 << 10) + 1), true)
        case 5: if !isUpgrade { script.ending = .stay }
        default: break
        }
        (script.acceptsBadGateway, script.mayExpire) = (true, true)
        if isHarsh { (script.mayFail, script.acceptsErrors) = (true, [502, 503, 504]) }
        var port = world.nextPort
        var options = options
        if keepsPort, let endpoint = current?.endpoint {
            // The same port again: as kernels do, with a number above the last.
            port = endpoint.local.port
            (options.initialSequence, options.reusesPort) = (endpoint.nextSequence &+ UInt32(random.within(1_000...100_000)), true)
        }
        let client = world.client(on: host, port: port, script: script, options: options)
        client.onFinished = { [weak self, unowned client] in
            guard let self, client === self.current else { return }
            finished(client)
        }
        current = client
        // Where ends fail a client does not wait for ever: the RST that it was sent may be lost.
        guard isHarsh else { return }
        world.simulation.after(.seconds(1_500)) { [weak self, weak client] in
            guard let self, let client, client === current, !client.isFinished else { return }
            client.endpoint.abort()
        }
    }

    private func finished(_ client: SimulatedClient) {
        // Behind a refusal the rest was not served: it is asked for again, as is what was not asked for yet.
        let done: Int
        switch client.outcome {
        case .refused: done = client.answered + 1
        case .expired: done = 0
        default: done = client.requestsSent
        }
        left = Array(asked.dropFirst(done)) + left
        keepsPort = random.chance(0.1)
        // A port is used again when nothing of its last connection is on its way any more.
        begin(after: keepsPort ? .seconds(Int64(random.within(10...70))) : .milliseconds(Int64(random.within(0...200))))
    }

    /// Without a word, with everything that it has; later perhaps it comes back and knows of nothing.
    func vanish(returningAfter time: Interval?) {
        guard !isFinished else { return }
        let returnsToPort = time != nil && time! > .seconds(10) && random.chance(0.5)
        isAway = true
        keepsPort = returnsToPort
        let link = world.links[host.name]!
        (link.up.isCut, link.down.isCut) = (true, true)
        current?.vanish()
        guard let time else {
            left = []
            isFinished = true
            return
        }
        world.simulation.after(time) { [weak self] in
            (link.up.isCut, link.down.isCut) = (false, false)
            self?.isAway = false
            self?.begin(after: .zero)
        }
    }
}
