/// The dispatcher as it runs: the engines of both modes, and each frame to the one that it belongs to. What belongs to no service in mode
/// l4/3 is the l7/3 engine's, which also answers for all addresses of ours (architecture.md, "What the addresses answer").
public struct Dispatcher: ~Copyable {
    private var requests: L73Dispatcher
    private var connections: L43Dispatcher
    private var configuration: EngineConfiguration
    /// Whether there is a service in mode l4/3; without one the other engine is all that there is.
    private let forwards: Bool
    /// By service and pool: whether it is the l4/3 engine's.
    private let forwardedServices: [Bool]
    private var forwardedPools: [Bool]

    /// - Parameters:
    ///   - seed: everything random follows from it; equal seeds and inputs give equal outputs, byte for byte.
    ///   - shared: what it has in common with other shards; nil = it is the only one.
    public init(configuration: EngineConfiguration, seed: UInt64, shared: SharedLoad? = nil) {
        let forwardedServices = configuration.services.map { $0.mode == .l43 }
        let forwardedPools = configuration.pools.indices.map { configuration.mode(ofPool: $0) == .l43 }
        var random = SeededRandom(seed: seed ^ 0x6C34_2F33)
        let requests = L73Dispatcher(configuration: configuration.withoutForwarding, seed: seed, shared: shared)
        let connections = L43Dispatcher(configuration: configuration.forwardingOnly, seed: random.next(), shared: shared)
        self.configuration = configuration
        self.requests = requests
        self.connections = connections
        forwards = forwardedServices.contains(true)
        self.forwardedServices = forwardedServices
        self.forwardedPools = forwardedPools
    }

    /// One captured frame, from its Ethernet header on.
    /// - Parameter side: the interface it came from; when both sides share one, either.
    public mutating func receive(_ frame: RawSpan, on side: Side, at now: Instant, into egress: inout Egress) {
        guard forwards else { return requests.receive(frame, on: side, at: now, into: &egress) }
        let parsed = Frame.parse(
            frame, allowsLoopback: side == .client ? configuration.clientSideIsLoopback : configuration.serverSideIsLoopback)
        if connections.receiveIfOurs(parsed, frame, on: side, at: now, into: &egress) { return }
        requests.receive(parsed, frame, on: side, at: now, into: &egress)
        if !requests.findings.isEmpty { takeFindings(at: now, into: &egress) }
    }

    /// How many frames ahead of `receive` a look is of most use.
    public static var lookAheadDistance: Int { L73Dispatcher.lookAheadDistance }

    /// A frame that is soon handed to `receive`, in the same order: what it will need is fetched into the caches. It changes nothing.
    public mutating func lookAhead(_ frame: RawSpan, on side: Side) {
        requests.lookAhead(frame, on: side)
        if forwards { connections.lookAhead(frame, on: side) }
    }

    /// Whether there are so many connections that `lookAhead` pays.
    public var looksAhead: Bool { requests.looksAhead || connections.looksAhead }

    /// What checks have found of servers in mode l4/3 goes to the engine that forwards to them.
    private mutating func takeFindings(at now: Instant, into egress: inout Egress) {
        let findings = requests.findings
        requests.findings.removeAll(keepingCapacity: true)
        for finding in findings { connections.take(finding, at: now, into: &egress) }
    }

    /// Lets time pass: every deadline up to `now` fires. Stops early when `egress` wants a flush; then `nextDeadline` is not later than `now`.
    public mutating func advance(to now: Instant, into egress: inout Egress) {
        requests.advance(to: now, into: &egress)
        guard forwards else { return }
        if !requests.findings.isEmpty { takeFindings(at: now, into: &egress) }
        connections.advance(to: now, into: &egress)
    }

    /// When `advance` must be called next, if nothing comes in before; `distantFuture` = no need.
    public var nextDeadline: Instant {
        forwards ? min(requests.nextDeadline, connections.nextDeadline) : requests.nextDeadline
    }

    public mutating func apply(_ command: EngineCommand, at now: Instant, into egress: inout Egress) {
        switch command {
        case .setLimit(let pool, _, _), .order(let pool, _, _), .setWeight(let pool, _, _), .setBand(let pool, _, _, _):
            guard forwardedPools.indices.contains(pool) else { return }
            if forwardedPools[pool] {
                connections.apply(command, at: now, into: &egress)
                // It makes the checks.
                if case .order = command { requests.apply(command, at: now, into: &egress) }
            } else {
                requests.apply(command, at: now, into: &egress)
            }
        case .setHealth:
            requests.apply(command, at: now, into: &egress)
            if forwards { takeFindings(at: now, into: &egress) }
        case .stop, .abort:
            requests.apply(command, at: now, into: &egress)
            if forwards { connections.apply(command, at: now, into: &egress) }
        }
    }

    /// Another configuration while it runs: servers, pools, routes and limits change, and no connection is lost by that. The services must be
    /// the same, in the same order, at the same addresses; pools keep their places, also those that are retired.
    /// - Returns: why it cannot be; then nothing has changed.
    public mutating func reconfigure(_ other: EngineConfiguration, at now: Instant, into egress: inout Egress) -> String? {
        if let fault = fault(of: other) { return fault }
        requests.take(other.withoutForwarding, at: now, into: &egress)
        if forwards { connections.take(other.forwardingOnly, at: now, into: &egress) }
        configuration = other
        forwardedPools = other.pools.indices.map { other.mode(ofPool: $0) == .l43 }
        if forwards { takeFindings(at: now, into: &egress) }
        return nil
    }

    /// Why another configuration cannot be taken; nil = it can.
    public func fault(of other: EngineConfiguration) -> String? {
        // A port toward a server is one engine's: a server that changes its mode must be empty first.
        for (index, pool) in other.pools.enumerated() where !pool.isRetired {
            let isForwarded = other.mode(ofPool: index) == .l43
            for server in pool.servers where isForwarded ? requests.hasServer(server.endpoint) : connections.hasServer(server.endpoint) {
                return
                    "pools[].servers: \(server.endpoint) still has connections in mode \(isForwarded ? "l7/3" : "l4/3"); it can serve the other mode when they have ended"
            }
        }
        if let fault = requests.fault(of: other.withoutForwarding) { return fault }
        return forwards ? connections.fault(of: other.forwardingOnly) : nil
    }

    /// After `stop`: whether no connection is left that anything is owed.
    public var isDrained: Bool { requests.isDrained && (!forwards || connections.isDrained) }

    // MARK: Shards

    /// Another shard has freed something, or has something for the leader.
    public mutating func wake(at now: Instant, into egress: inout Egress) {
        requests.wake(at: now, into: &egress)
        if forwards { connections.wake(at: now, into: &egress) }
    }

    /// The shards that must be woken since the last call: a bit for each.
    public mutating func takeWakes() -> UInt64 { requests.takeWakes() | connections.takeWakes() }

    /// What the other shards must be told since the last call, in order.
    public mutating func takeAnnouncements() -> [EngineCommand] { requests.takeAnnouncements() }

    /// Hands out the records since the last call, oldest first of each mode.
    public mutating func drainRecords(_ body: (borrowing RequestRecord) -> Void) {
        requests.drainRecords(body)
        if forwards { connections.drainRecords(body) }
    }

    /// Hands out what happened to the servers since the last call, oldest first of each mode.
    public mutating func drainEvents(_ body: (borrowing EngineEvent) -> Void) {
        // Of servers in mode l4/3 the engine that forwards to them tells.
        requests.drainEvents { if !forwards || !forwardedPools[$0.pool] { body($0) } }
        if forwards { connections.drainEvents(body) }
    }

    /// The figures of both modes in one, services and pools in the order of the configuration.
    public func snapshot(at now: Instant) -> Snapshot {
        var snapshot = requests.snapshot(at: now)
        guard forwards else { return snapshot }
        let other = connections.snapshot(at: now)
        for index in snapshot.services.indices where forwardedServices[index] { snapshot.services[index] = other.services[index] }
        for index in snapshot.pools.indices where forwardedPools[index] {
            let checked = snapshot.pools[index].servers
            snapshot.pools[index] = other.pools[index]
            for place in snapshot.pools[index].servers.indices {
                let endpoint = snapshot.pools[index].servers[place].endpoint
                guard let row = checked.first(where: { $0.endpoint == endpoint }) else { continue }
                (snapshot.pools[index].servers[place].checks, snapshot.pools[index].servers[place].reportsInvalid) = (
                    row.checks, row.reportsInvalid
                )
            }
        }
        snapshot.counters.add(other.counters)
        snapshot.timeWaits += other.timeWaits
        snapshot.timers += other.timers
        snapshot.clientsHold += other.clientsHold
        snapshot.clientEvictions += other.clientEvictions
        return snapshot
    }
}

extension EngineConfiguration {
    /// As the engine for requests has it: it knows every address, but of the pools whose connections are forwarded only the servers that it
    /// must check.
    fileprivate var withoutForwarding: EngineConfiguration {
        var result = self
        for index in pools.indices where mode(ofPool: index) == .l43 {
            var pool = PoolConfiguration(name: pools[index].name, servers: pools[index].health == nil ? [] : pools[index].servers)
            (pool.retired, pool.health, pool.open) = (pools[index].retired, pools[index].health, .onRequest)
            pool.connectTimeout = pools[index].connectTimeout
            pool.queue.capacity = 1
            for place in pool.servers.indices {
                var checked = ServerConfiguration(endpoint: pool.servers[place].endpoint)
                (checked.initialLimit, checked.minimumLimit, checked.maximumLimit) = (0, 0, 1)
                pool.servers[place] = checked
            }
            result.pools[index] = pool
        }
        for index in services.indices where services[index].mode == .l43 {
            result.services[index].limits = ServiceLimits()
            result.services[index].limits.connections = 0
        }
        return result
    }

    /// As the engine for connections has it: without the records of another's.
    fileprivate var forwardingOnly: EngineConfiguration {
        var result = self
        if !services.contains(where: { $0.mode == .l43 }) { result.recordCapacity = 1 }
        return result
    }
}

extension Counters {
    /// Adds another engine's.
    mutating func add(_ other: Counters) {
        func sum(_ a: [UInt64], _ b: [UInt64]) -> [UInt64] { zip(a, b).map { $0 &+ $1 } }
        framesIn = sum(framesIn, other.framesIn)
        consumed = sum(consumed, other.consumed)
        forwarded = sum(forwarded, other.forwarded)
        dropped = zip(dropped, other.dropped).map(sum)
        emitted = zip(emitted, other.emitted).map(sum)
        retransmitted = zip(retransmitted, other.retransmitted).map(sum)
        egressLost = sum(egressLost, other.egressLost)
        refused = sum(refused, other.refused)
        requestFaults = zip(requestFaults, other.requestFaults).map { ($0.label, $0.count &+ $1.count) }
        responseFaults = zip(responseFaults, other.responseFaults).map { ($0.label, $0.count &+ $1.count) }
        deliveries = sum(deliveries, other.deliveries)
        repeatedRequests &+= other.repeatedRequests
        streamedRequests &+= other.streamedRequests
        overLimit &+= other.overLimit
        recordsLost &+= other.recordsLost
        eventsLost &+= other.eventsLost
        answersOmitted &+= other.answersOmitted
        idleEvictions &+= other.idleEvictions
        halfOpenExpired &+= other.halfOpenExpired
        idleExpired &+= other.idleExpired
        closedForgotten &+= other.closedForgotten
        resetsWithheld &+= other.resetsWithheld
    }
}
