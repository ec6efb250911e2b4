import Synchronization

/// The dispatcher in mode l7/3: a value driven by frames, instants and commands, with one seed as its only randomness ([0028]-[0064]).
///
/// Its parts: `+Receive` takes frames apart, `+Open` admits clients, `+FrontSegment` and `+Request` read requests, `+Body` long bodies,
/// `+Dispatch` finds each a server, `+BackOpen`, `+BackSegment`, `+Response` and `+Staging` follow the server, `+Acknowledge` passes the
/// client's acknowledgements on,
/// `+Finish` and `+Close` end things, `+Tunnel` is what comes after 101, `+ICMP` answers echoes, `+ICMPError` heeds what routers say of our
/// segments, `+Timers` lets time pass, `+Emit` writes segments.
public struct L73Dispatcher: ~Copyable {
    typealias FrontRef = UnsafeMutablePointer<FrontConnection>
    typealias BackRef = UnsafeMutablePointer<BackConnection>

    /// A public address:port, its service, and what clients are told.
    struct Listener {
        var endpoint: Endpoint
        var service: Int
        /// The MSS that clients are told, and the most payload of a segment to them: what the client side's link takes in this family; bytes.
        var segmentSize: Int
        /// Whether the kernel owns the address as well.
        var isKernels = false
    }

    /// What a service has besides its settings.
    struct ServiceState {
        var frontConnections = 0
        var tunnels = 0
        /// Front-end connections without a request in the order in which they became so, and those of them that were told to go.
        var idle = SlotQueue()
        var leaving = SlotQueue()
        var connectionsTotal: UInt64 = 0
    }

    /// Nothing; but a value with a part that has an address is handed over by its address. Without it every call that only reads `self`
    /// copies the whole of it, four kilobytes, onto the stack (Swift 6.3): a quarter of all instructions of a request.
    private let place = Atomic<UInt8>(0)
    var configuration: EngineConfiguration
    let listeners: UnsafeMutablePointer<Listener>
    let listenerCount: Int
    /// Our addresses toward the servers.
    let sources: UnsafeMutablePointer<IPAddress>
    let sourceCount: Int
    /// Whether clients are served at the source address too.
    let sourceIsListened: Bool
    let services: UnsafeMutablePointer<ServiceState>
    /// By service: plain values, so that the packet path counts no references.
    let limits: UnsafeMutablePointer<ServiceLimits>
    var routes: RouteTable
    /// A table of `configuration.ports.servers` places, of which the first `serverCount` have been used.
    let servers: UnsafeMutablePointer<ServerLoad>
    var serverCount: Int
    let serverCapacity: Int
    /// What it has in common with other shards, and by pool.
    let shared: SharedLoad
    var sharedPools: UnsafeMutablePointer<UnsafeMutablePointer<SharedPool>>
    /// Bytes of responses by server that its measuring has not heard of yet.
    let carried: UnsafeMutablePointer<Int>
    /// The shards that must look at their queues: a bit for each.
    var wakes: UInt64 = 0
    /// What other shards must be told.
    var announcements: [EngineCommand] = []
    let tunnelControls: UnsafeMutablePointer<LimitController>
    /// By server: its health checks, and what they ask.
    let checks: UnsafeMutablePointer<HealthCheck>
    let checkRequests: UnsafeMutablePointer<UnsafeRawBufferPointer?>
    /// By index of `configuration.pools`; a configuration that is loaded later may have more of them.
    var pools: UnsafeMutablePointer<ServerPool>
    var queues: UnsafeMutablePointer<RequestQueue>
    var poolCount: Int
    /// Requests by service and status.
    let statuses: UnsafeMutablePointer<UInt64>

    var fronts: Slab<FrontConnection>
    /// What connections have only while a request is on them, or bytes of ours on their way; and what stands for it else.
    var frontWork: Slab<FrontWork>
    var backWork: Slab<BackWork>
    var transmissions: Slab<Transmission>
    let blankFrontWork: Blank<FrontWork>
    let blankBackWork: Blank<BackWork>
    let blankTransmission: Blank<Transmission>
    /// The first `ports.slots` places are the pooled connections by slot; behind them those of the tunnel range.
    var backs: Slab<BackConnection>
    var frontTable: FlowTable
    /// Links `ServiceState.idle` and `leaving`.
    var idleLinks: SlotLinks
    var clients: ClientTable
    /// Connections of the tunnel range.
    var tunnelTable: FlowTable
    var slotLinks: SlotLinks
    /// By layer and slot: the last sequence number used, and when the port was closed (0 = never).
    let portFloor: UnsafeMutablePointer<(number: UInt32, closed: Int64)>
    /// By server: the tunnel port to try next.
    let nextTunnelPort: UnsafeMutablePointer<Int>
    var timeWait: TimeWait
    var paths: PathTable
    var timers: TimerWheel
    /// Frames that were announced last, the newest at `outlookCount`.
    var outlooks = InlineArray<8, Outlook>(repeating: Outlook())
    var outlookCount = 0
    /// Back-end connections whose acknowledgement waits for the end of the turn, and those where it waits a little longer.
    var owing: DueList
    var owingLater: DueList
    var buffers: BufferPool
    /// Bytes of `buffers` that hold responses for clients; at most `tcp.stagingMemory`.
    var stagingBytes = 0
    /// What the bodies of requests take of `configuration.bodyMemory`.
    var bodyBytes = 0
    var counters: EngineCounters
    var records: RecordRing<RequestRecord>
    var events: RecordRing<EngineEvent>
    /// What checks have found of servers in mode l4/3, for the other engine.
    var findings: [CheckFinding] = []
    var earlySegments = EarlySegments()
    var resetLimits = ResetLimits()
    var echoLimit = RateLimit(perSecond: 100)
    var unreachableLimit = RateLimit(perSecond: 10)

    let hashKey: SipKey
    let cookie: SYNCookie
    let initialSequence: InitialSequence
    var generation: UInt32 = 0
    var isStopping = false
    /// Where in the table of clients the next tunnel is looked for that must go, how many may go, and since when.
    var drainCursor = 0
    var drainCredit = 1.0
    var drainedAt = Instant.distantPast
    var wantsStart = true

    // Constants drawn from the configuration.
    let tailCustody: Int

    /// - Parameter seed: everything random follows from it; equal seeds and inputs give equal outputs, byte for byte.
    ///
    /// Everything is built in local values first, and each property is set once, at the end: an optimized build of Swift 6.3 destroys a
    /// property that cannot be copied before it is first set when the initializer uses `self` in between.
    /// - Parameters:
    ///   - shared: what the shards have in common; nil = there is one only.
    public init(configuration: EngineConfiguration, seed: UInt64, shared: SharedLoad? = nil) {
        let shared = shared ?? SharedLoad()
        precondition(shared.shards == configuration.shard.count && configuration.ports.shards == configuration.shard.count)
        let ports = configuration.ports
        let serverCapacity = ports.servers
        let poolCount = configuration.pools.count
        let serviceCount = configuration.services.count
        precondition(ports.fits, "the port ranges do not fit: the configuration was not checked")
        let lists: [[Int]]
        do throws(ServerPlan.Shortage) {
            lists = try ServerPlan(configuration.pools, seats: [], capacity: serverCapacity).lists
        } catch {
            preconditionFailure("\(error): the configuration was not checked")
        }

        let ends = configuration.services.enumerated().flatMap { index, service in
            service.listen.map {
                Listener(
                    endpoint: $0, service: index, segmentSize: configuration.clientSideMTU - PathMTU.headers(to: $0.address),
                    isKernels: service.isOwnedByKernel)
            }
        }
        let listeners = Self.table(ends)
        let services = Self.table([ServiceState](repeating: ServiceState(), count: serviceCount))
        let statuses = Self.table([UInt64](repeating: 0, count: serviceCount * 600))

        var links = SlotLinks(capacity: ports.slots)
        let servers = UnsafeMutablePointer<ServerLoad>.allocate(capacity: serverCapacity)
        let tunnelControls = UnsafeMutablePointer<LimitController>.allocate(capacity: serverCapacity)
        let checkRequests = UnsafeMutablePointer<UnsafeRawBufferPointer?>.allocate(capacity: serverCapacity)
        let pools = UnsafeMutablePointer<ServerPool>.allocate(capacity: max(poolCount, 1))
        let queues = UnsafeMutablePointer<RequestQueue>.allocate(capacity: max(poolCount, 1))
        for (pool, settings) in configuration.pools.enumerated() {
            (pools + pool).initialize(
                to: ServerPool(
                    servers: ServerList(lists[pool]), settings: settings, isForwarded: configuration.mode(ofPool: pool) == .l43))
            (queues + pool).initialize(
                to: RequestQueue(capacity: settings.queue.capacity, memory: settings.queue.memory, lanes: settings.lanes))
            for (place, index) in lists[pool].enumerated() {
                let held = shared.hold(settings.servers[place].endpoint, pool: pool, mode: .l73) {
                    Self.fresh(settings.servers[place], settings, ports)
                }
                var load = Self.load(of: place, pool: pool, configuration, shared: held.server)
                Self.addSlots(index, to: &load, configuration, &links)
                (servers + index).initialize(to: load)
                (tunnelControls + index).initialize(to: Self.tunnelControl(settings))
                (checkRequests + index).initialize(to: Self.checkRequest(to: load.endpoint, settings))
            }
        }

        let frontCapacity = configuration.services.reduce(0) { $0 + $1.limits.connections }
        // A health check takes a place as a tunnel does, and so does a request with the header of the PROXY protocol, whose connection closes
        // behind it. Memory is taken as far as it is used.
        let tunnelCapacity = frontCapacity + ports.slots + 2 * serverCapacity
        var backs = Slab<BackConnection>(capacity: ports.slots + tunnelCapacity)
        let blankBackWork = Blank(BackWork())
        let blankTransmission = Blank(Transmission(initial: SequenceNumber(0), segmentSize: 536, timeout: Sender.initialTimeout))
        for slot in 0..<ports.slots {
            let connection = BackConnection(
                server: UInt16(slot / ports.connections), work: blankBackWork.pointer, transmission: blankTransmission.pointer)
            _ = backs.insert(connection)
        }
        var random = SeededRandom(seed: seed)
        let hashKey = SipKey(random.next(), random.next())
        let idles = SlotLinks(capacity: frontCapacity)
        let table = ClientTable(capacity: Self.clientCapacity(configuration), key: hashKey)
        let serverCount = lists.reduce(0) { $0 + $1.count }
        let routes = RouteTable(configuration.services)

        self.hashKey = hashKey
        cookie = SYNCookie(key: SipKey(random.next(), random.next()))
        initialSequence = InitialSequence(key: SipKey(random.next(), random.next()))
        self.configuration = configuration
        sources = Self.table(configuration.sourceAddresses)
        sourceCount = configuration.sourceAddresses.count
        tailCustody = configuration.tcp.tailCustody
        listenerCount = ends.count
        sourceIsListened = ends.contains { configuration.sourceAddresses.contains($0.endpoint.address) }
        self.listeners = listeners
        self.services = services
        limits = Self.table(configuration.services.map(\.limits))
        self.routes = routes
        self.statuses = statuses
        self.serverCount = serverCount
        self.serverCapacity = serverCapacity
        self.poolCount = poolCount
        self.servers = servers
        self.shared = shared
        sharedPools = .allocate(capacity: max(poolCount, 1))
        for pool in 0..<poolCount { (sharedPools + pool).initialize(to: shared.pool(pool, mode: .l73)) }
        carried = Self.table([Int](repeating: 0, count: serverCapacity))
        self.tunnelControls = tunnelControls
        checks = Self.table([HealthCheck](repeating: HealthCheck(), count: serverCapacity))
        self.checkRequests = checkRequests
        self.pools = pools
        self.queues = queues
        portFloor = Self.table([(number: UInt32, closed: Int64)](repeating: (0, 0), count: ports.layers * ports.slots))
        nextTunnelPort = Self.table([Int](repeating: ports.firstTunnelPort, count: serverCapacity))
        slotLinks = links
        fronts = Slab(capacity: frontCapacity)
        frontWork = Slab(capacity: frontCapacity)
        backWork = Slab(capacity: ports.slots + tunnelCapacity)
        transmissions = Slab(capacity: frontCapacity + ports.slots + tunnelCapacity)
        blankFrontWork = Blank(FrontWork())
        self.blankBackWork = blankBackWork
        self.blankTransmission = blankTransmission
        self.backs = backs
        frontTable = FlowTable(capacity: frontCapacity)
        idleLinks = idles
        clients = table
        tunnelTable = FlowTable(capacity: tunnelCapacity)
        timeWait = TimeWait(capacity: frontCapacity, length: configuration.tcp.timeWait, key: hashKey)
        paths = PathTable(key: hashKey)
        timers = TimerWheel(capacity: frontCapacity + ports.slots + tunnelCapacity + serverCapacity + 1)
        owing = DueList(capacity: ports.slots + tunnelCapacity)
        owingLater = DueList(capacity: ports.slots + tunnelCapacity)
        buffers = BufferPool(limit: configuration.requestMemory + configuration.tcp.stagingMemory)
        counters = EngineCounters()
        records = RecordRing(capacity: configuration.recordCapacity)
        events = RecordRing(capacity: 1_024)
    }

    /// Room for twice as many clients as there can be connections and places in queues, where these are limited for each client.
    static func clientCapacity(_ configuration: EngineConfiguration) -> Int {
        var count = 0
        for service in configuration.services {
            let limits = service.limits
            let isLimited = limits.perClientConnections > 0 || limits.perClientNewConnections > 0 || limits.perClientRequests > 0
            if isLimited { count += 2 * limits.connections }
        }
        for pool in configuration.pools where pool.queue.clientShare != nil { count += 2 * pool.queue.capacity }
        return count
    }

    /// A table of plain values that never grows.
    private static func table<Value>(_ values: [Value]) -> UnsafeMutablePointer<Value> {
        let table = UnsafeMutablePointer<Value>.allocate(capacity: max(values.count, 1))
        for (index, value) in values.enumerated() { (table + index).initialize(to: value) }
        return table
    }

    deinit {
        // The pool frees what was given back to it; what connections still hold is freed here.
        for index in 0..<fronts.touched {
            let front = fronts.pointer(index).pointee
            for buffer in [front.input, front.head, front.body, front.output, front.own] { BufferPool.free(buffer) }
        }
        for index in 0..<backs.touched {
            let back = backs.pointer(index).pointee
            for buffer in [back.held, back.gap, back.custody] { BufferPool.free(buffer) }
        }
        for pool in 0..<poolCount {
            pools[pool].servers.free()
            (queues + pool).deinitialize(count: 1)
        }
        pools.deinitialize(count: poolCount)
        listeners.deallocate()
        sources.deallocate()
        services.deallocate()
        limits.deallocate()
        statuses.deallocate()
        servers.deallocate()
        sharedPools.deallocate()
        carried.deallocate()
        tunnelControls.deinitialize(count: serverCount)
        tunnelControls.deallocate()
        checks.deallocate()
        for server in 0..<serverCount { checkRequests[server]?.deallocate() }
        checkRequests.deallocate()
        pools.deallocate()
        queues.deallocate()
        portFloor.deallocate()
        nextTunnelPort.deallocate()
    }

    /// When `advance` must be called next, if nothing comes in before; `distantFuture` = no need.
    public var nextDeadline: Instant {
        wantsStart ? .distantPast : min(owing.deadline, min(owingLater.deadline, timers.deadline))
    }

    /// After `stop`: whether no front-end connection is left that anything is owed: those that only wait for the client's FIN do not count.
    public var isDrained: Bool {
        for index in 0..<fronts.touched {
            let front = fronts.pointer(index).pointee
            if front.isOpen, front.phase != .closing || !front.sender.finAcknowledged { return false }
        }
        return true
    }

    /// Hands out the records since the last call, oldest first.
    public mutating func drainRecords(_ body: (borrowing RequestRecord) -> Void) { records.drain(body) }

    /// Hands out what happened to the servers since the last call, oldest first.
    public mutating func drainEvents(_ body: (borrowing EngineEvent) -> Void) { events.drain(body) }
}
