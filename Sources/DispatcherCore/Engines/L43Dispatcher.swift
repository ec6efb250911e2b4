import Synchronization

/// The dispatcher in mode l4/3: a value driven by frames, instants and commands, with one seed as its only randomness ([0049]-[0053], claims
/// 39-66).
///
/// It forwards the packets of connections between clients and servers and rewrites their addresses; the connections are theirs. A SYN for
/// which no server of the pool has room waits ([0052]); each server's performance is measured ([0051]).
/// Beside others that share its servers it has its own part of the clients and of the ports (tcp.md, "Shards").
///
/// Its parts: `+Receive` takes frames apart, `+Open` admits SYNs, `+Queue` finds each a server, `+Forward` passes segments on, `+Handshake`
/// follows a connection until it is open, `+End` ends things, `+ICMP` passes errors on, `+Timers` lets time pass, `+Control` obeys and tells, `+Shards` is what it does beside others.
public struct L43Dispatcher: ~Copyable {
    typealias Ref = UnsafeMutablePointer<ForwardedConnection>

    /// A public address:port, and what leads from there.
    struct Listener {
        var endpoint: Endpoint
        var service: Int
        var pool: Int
        /// The MSS that clients are told in a SYN cookie, bytes.
        var segmentSize: Int
        /// Whether the kernel owns the address as well.
        var isKernels: Bool
    }

    /// What a service has besides its settings.
    struct ServiceState {
        /// Connections that wait or count.
        var connections = 0
        var connectionsTotal: UInt64 = 0
    }

    /// Nothing; but a value with a part that has an address is handed over by its address. Without it every call that only reads `self`
    /// copies the whole of it, four kilobytes, onto the stack (Swift 6.3): a quarter of all instructions of a request.
    private let place = Atomic<UInt8>(0)
    var configuration: EngineConfiguration
    let listeners: UnsafeMutablePointer<Listener>
    let listenerCount: Int
    let sources: UnsafeMutablePointer<IPAddress>
    let sourceCount: Int
    /// By index of the configuration; those of another mode are never looked at, and its pools are empty here.
    let services: UnsafeMutablePointer<ServiceState>
    let limits: UnsafeMutablePointer<ServiceLimits>
    var pools: UnsafeMutablePointer<ForwardedPool>
    var poolCount: Int
    /// A table of `serverCapacity` places, of which the first `serverCount` have been used.
    let servers: UnsafeMutablePointer<ForwardedServer>
    var serverCount: Int
    let serverCapacity: Int
    /// What it has in common with other shards, and by pool.
    let shared: SharedLoad
    var sharedPools: UnsafeMutablePointer<UnsafeMutablePointer<SharedPool>>
    /// The shards that must look at their queues: a bit for each.
    var wakes: UInt64 = 0

    var connections: Slab<ForwardedConnection>
    /// By client and listener, and by server and its peer.
    var clientTable: FlowTable
    var serverTable: FlowTable
    /// Links the queues of the pools, and `closed`: a connection is in one of them at most.
    var links: SlotLinks
    /// Connections that have ended, those that ended first in front.
    var closed = SlotQueue()
    var clients: ClientTable
    var paths: PathTable
    /// Of the connections, and behind them of the servers.
    var timers: TimerWheel
    /// Frames that were announced last, the newest at `outlookCount`.
    var outlooks = InlineArray<4, Outlook>(repeating: Outlook())
    var outlookCount = 0
    var counters: EngineCounters
    var records: RecordRing<RequestRecord>
    var events: RecordRing<EngineEvent>
    var earlySegments = EarlySegments()
    var resetLimits = ResetLimits()

    let hashKey: SipKey
    let cookie: SYNCookie
    var isStopping = false

    /// How long a SYN waits, or a half-open connection is kept, after its client's last sign of life.
    static let patience = Interval.seconds(5)
    /// When the SYN of a client that will not repeat it is repeated; doubled each time (RFC 6298 2.1).
    static let firstRepetition = Interval.seconds(1)

    /// - Parameters:
    ///   - seed: everything random follows from it; equal seeds and inputs give equal outputs, byte for byte.
    ///   - shared: what the shards have in common; nil = there is one only.
    public init(configuration: EngineConfiguration, seed: UInt64, shared: SharedLoad? = nil) {
        let shared = shared ?? SharedLoad()
        precondition(shared.shards == configuration.shard.count && configuration.ports.shards == configuration.shard.count)
        let (ends, capacity) = Self.ends(configuration)
        let forwarded = configuration.forwardedPools
        let lists: [[Int]]
        do throws(ServerPlan.Shortage) {
            lists = try ServerPlan(forwarded, seats: [], capacity: .max).lists
        } catch {
            preconditionFailure("\(error): the configuration was not checked")
        }
        let count = lists.reduce(0) { $0 + $1.count }
        // Nothing is laid out by their number: there is room for those that come with another configuration.
        let capacityOfServers = max(256, 2 * count)
        let table = UnsafeMutablePointer<ForwardedServer>.allocate(capacity: capacityOfServers)
        for (pool, list) in lists.enumerated() {
            for (place, index) in list.enumerated() {
                let held = Self.hold(forwarded[pool].servers[place], pool: pool, configuration, shared)
                (table + index).initialize(
                    to: Self.server(forwarded[pool].servers[place], index: place, pool: pool, configuration, shared: held.server))
            }
        }
        let groups = zip(lists, forwarded).map { ForwardedPool(servers: ServerList($0), settings: $1) }
        var random = SeededRandom(seed: seed)
        let hashKey = SipKey(random.next(), random.next())
        let links = SlotLinks(capacity: capacity)
        let flowsOfClients = FlowTable(capacity: capacity)
        let flowsOfServers = FlowTable(capacity: capacity)
        let limitedClients = ClientTable(capacity: Self.clientCapacity(configuration), key: hashKey)

        self.configuration = configuration
        self.hashKey = hashKey
        cookie = SYNCookie(key: SipKey(random.next(), random.next()))
        listeners = Self.table(ends)
        listenerCount = ends.count
        sources = Self.table(configuration.sourceAddresses)
        sourceCount = configuration.sourceAddresses.count
        services = Self.table([ServiceState](repeating: ServiceState(), count: configuration.services.count))
        limits = Self.table(configuration.services.map(\.limits))
        poolCount = groups.count
        pools = Self.table(groups)
        serverCount = count
        serverCapacity = capacityOfServers
        servers = table
        self.shared = shared
        sharedPools = .allocate(capacity: max(groups.count, 1))
        for pool in 0..<groups.count { (sharedPools + pool).initialize(to: shared.pool(pool, mode: .l43)) }
        connections = Slab(capacity: capacity)
        clientTable = flowsOfClients
        serverTable = flowsOfServers
        self.links = links
        clients = limitedClients
        paths = PathTable(key: hashKey)
        timers = TimerWheel(capacity: capacity + capacityOfServers)
        counters = EngineCounters()
        records = RecordRing(capacity: configuration.recordCapacity)
        events = RecordRing(capacity: 1_024)
    }

    /// The endpoints of the services in this mode, and how many connections there can be.
    static func ends(_ configuration: EngineConfiguration) -> ([Listener], Int) {
        var ends: [Listener] = []
        var capacity = 0
        for (index, service) in configuration.services.enumerated() where service.mode == .l43 {
            guard let pool = service.routes.first?.pool else {
                preconditionFailure("the service \(service.name) has no route: the configuration was not checked")
            }
            capacity += service.limits.connections
            for endpoint in service.listen {
                let size = configuration.forwardedSegmentSize(pool: pool, listener: endpoint.address)
                ends.append(
                    Listener(
                        endpoint: endpoint, service: index, pool: pool, segmentSize: size, isKernels: service.isOwnedByKernel))
            }
        }
        return (ends, capacity)
    }

    static func clientCapacity(_ configuration: EngineConfiguration) -> Int {
        var count = 0
        for service in configuration.services where service.mode == .l43 {
            if service.limits.perClientConnections > 0 || service.limits.perClientNewConnections > 0 {
                count += 2 * service.limits.connections
            }
            for route in service.routes where configuration.pools[route.pool].queue.clientShare != nil {
                count += 2 * configuration.pools[route.pool].queue.capacity
            }
        }
        return count
    }

    /// A table of plain values that never grows.
    private static func table<Value>(_ values: [Value]) -> UnsafeMutablePointer<Value> {
        let table = UnsafeMutablePointer<Value>.allocate(capacity: max(values.count, 1))
        for (index, value) in values.enumerated() { (table + index).initialize(to: value) }
        return table
    }

    deinit {
        for pool in 0..<poolCount { pools[pool].free() }
        pools.deinitialize(count: poolCount)
        listeners.deallocate()
        sources.deallocate()
        services.deallocate()
        limits.deallocate()
        pools.deallocate()
        servers.deallocate()
        sharedPools.deallocate()
    }

    /// When `advance` must be called next, if nothing comes in before; `distantFuture` = no need.
    public var nextDeadline: Instant { timers.deadline }

    /// After `stop`: whether no connection is left that both ends have not closed.
    public var isDrained: Bool {
        for service in 0..<configuration.services.count where services[service].connections > 0 { return false }
        return true
    }

    /// Hands out the records since the last call, oldest first.
    public mutating func drainRecords(_ body: (borrowing RequestRecord) -> Void) { records.drain(body) }

    /// Hands out what happened to the servers since the last call, oldest first.
    public mutating func drainEvents(_ body: (borrowing EngineEvent) -> Void) { events.drain(body) }
}

extension EngineConfiguration {
    func mode(ofPool pool: Int) -> ServiceConfiguration.Mode { services.mode(ofPool: pool, in: pools) }

    /// The pools; those of another mode than l4/3 have no servers.
    var forwardedPools: [PoolConfiguration] {
        pools.enumerated().map { index, pool in
            var pool = pool
            if mode(ofPool: index) != .l43 { pool.servers = [] }
            return pool
        }
    }

    /// The payload that a segment between a client of `listener` and any server of a pool may have, beside no option; bytes.
    func forwardedSegmentSize(pool: Int, listener: IPAddress) -> Int {
        var least = clientSideMTU - PathMTU.headers(to: listener)
        for server in pools[pool].servers { least = min(least, serverSideMTU - PathMTU.headers(to: server.endpoint.address)) }
        return least
    }
}
