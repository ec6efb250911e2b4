/// Everything that an engine is told before it starts. The service reads it from the configuration file (docs/configuration.md);
/// units are in the names or the types. An engine trusts it: `DispatcherService` has checked it.
public struct EngineConfiguration: Sendable {
    /// Whether both sides are one interface; then a frame's side is decided by its destination address alone.
    public var sidesShareInterface = false
    /// The largest IP packet of each side's link, bytes.
    public var clientSideMTU = 1_500
    public var serverSideMTU = 1_500
    /// The dispatcher's own addresses toward the servers: one at least of each family that a server has. The first of a server's family is
    /// the one that it sees.
    public var sourceAddresses: [IPAddress] = []
    /// Whether the kernel owns those addresses as well: then only what servers send to our ports there is ours.
    public var sourceIsKernels = false
    /// Whether a side is the loopback device: only there may a source be a loopback address (RFC 9293 3.9.2.3, MUST-63).
    public var clientSideIsLoopback = false
    public var serverSideIsLoopback = false
    public var ports = PortPlan()
    /// Which of several engines this is for: each has its own part of the ports, and of the frames.
    public var shard = Shard()
    public var tcp = TCPSettings()
    public var services: [ServiceConfiguration] = []
    public var pools: [PoolConfiguration] = []
    /// Upper bound of all request bytes held at a time; bytes.
    public var requestMemory = 256 << 20
    /// Upper bound of what the bodies of requests take of it: a quarter of `tcp.staging-memory`; bytes.
    public var bodyMemory = 16 << 20
    /// How long the tunnels of a server that drains have until they are reset, and how many are reset a second, also when the dispatcher stops;
    /// 0 = none is.
    public var drain = Interval.seconds(10)
    public var tunnelsPerSecond = 1_000
    /// How many finished requests may wait for `drainRecords` before further ones are counted as lost.
    public var recordCapacity = 4_096

    public init() {}

    /// The dispatcher's address that a server sees; nil = there is none of its family.
    public func sourceAddress(toward server: IPAddress) -> IPAddress? { sourceAddresses.first { $0.isIPv4 == server.isIPv4 } }

    /// The MSS to tell a server (tcp.md "Options"): its segments should pass to any client of the pool uncut.
    func toldMSS(pool: Int, server: IPAddress) -> Int {
        if let told = tcp.serverMSS { return told }
        var most = serverSideMTU - PathMTU.headers(to: server)
        for service in services where service.routes.contains(where: { $0.pool == pool }) {
            for endpoint in service.listen { most = min(most, clientSideMTU - PathMTU.headers(to: endpoint.address)) }
        }
        return most
    }
}

extension EngineConfiguration {
    /// The part of one of several shards: what bounds all of them together is divided, and rounded up (tcp.md, "Shards").
    public func part(_ shard: Shard) -> EngineConfiguration {
        guard !shard.isAlone else { return self }
        func share(_ count: Int) -> Int { (count + shard.count - 1) / shard.count }
        var part = self
        part.shard = shard
        part.ports.shards = shard.count
        part.requestMemory = share(requestMemory)
        part.bodyMemory = share(bodyMemory)
        part.tunnelsPerSecond = share(tunnelsPerSecond)
        for index in services.indices {
            let limits = services[index].limits
            part.services[index].limits.connections = share(limits.connections)
            part.services[index].limits.perClientConnections = share(limits.perClientConnections)
            part.services[index].limits.perClientNewConnections = share(limits.perClientNewConnections)
            part.services[index].limits.perClientRequests = share(limits.perClientRequests)
        }
        for index in pools.indices {
            let queue = pools[index].queue
            part.pools[index].queue.capacity = share(queue.capacity)
            part.pools[index].queue.memory = share(queue.memory)
            part.pools[index].queue.refuseAbove = share(queue.refuseAbove)
            part.pools[index].queue.resumeBelow = share(queue.resumeBelow)
        }
        return part
    }
}

/// One of several engines that share the work of a dispatcher (tcp.md, "Shards").
public struct Shard: Equatable, Sendable {
    /// From 0 on; 0 leads: it makes the health checks, and moves the limits.
    public var index = 0
    public var count = 1

    public init() {}
    public init(_ index: Int, of count: Int) {
        precondition((1...64).contains(count) && (0..<count).contains(index))
        (self.index, self.count) = (index, count)
    }

    var leads: Bool { index == 0 }
    /// Whether it is the only one.
    var isAlone: Bool { count == 1 }
    /// Whether a port toward the servers is this shard's.
    @inline(__always) func has(port: Int) -> Bool { count == 1 || port % count == index }
    /// The first port of this shard from one on.
    func firstPort(from port: Int) -> Int { port + (index + count - port % count) % count }
}

/// The keys under `tcp`.
public struct TCPSettings: Sendable {
    /// When a request is acknowledged to its client: with the response's first segment (at the latest after 40 ms), or at once ([0057] b.3).
    public enum Acknowledge: String, Sendable { case withResponse = "with-response", immediate }
    /// The window shown to a server at the start of a response: clamped to 10 segments, or the client's.
    public enum InitialWindow: String, Sendable { case clamped, client }

    /// The options in our SYNs beside the MSS: window scale and SACK permitted, or none.
    public enum Options: String, Sendable { case all, mss }

    public var options = Options.all
    public var acknowledge = Acknowledge.withResponse
    public var initialWindow = InitialWindow.clamped
    /// How long a front-end connection that we closed is remembered ([0064]).
    public var timeWait = Interval.seconds(60)
    /// The same for a back-end port.
    public var serverTimeWait = Interval.seconds(1)
    /// The MSS told to servers, bytes; nil = the client side's MTU less 60 for a pool that a service with an IPv6 address sends to, else
    /// less 40, and no more than the server's own link takes.
    public var serverMSS: Int?
    /// A response of at most so many bytes is staged, and of a longer one the end is kept, so that the server is free before the client has
    /// it all; 0 = everything goes end to end ([0063]).
    public var tailCustody = 64 << 10
    /// All such bytes together.
    public var stagingMemory = 64 << 20

    public init() {}
}

/// A public address:port.
public struct ServiceConfiguration: Sendable {
    public typealias Mode = DispatchMode

    public var name: String
    public var mode = Mode.l73
    public var listen: [Endpoint]
    /// Whether the kernel owns the addresses as well: then nothing there but TCP to these ports is ours.
    public var isOwnedByKernel = false
    public var limits = ServiceLimits()
    /// What stands in for the text of our own answers.
    public var errorPages: [ErrorPage] = []
    /// First match wins; the last usually has no condition. In mode l4/3 there is exactly one, without condition.
    public var routes: [RouteConfiguration]

    public init(name: String, listen: [Endpoint], routes: [RouteConfiguration]) {
        self.name = name
        self.listen = listen
        self.routes = routes
    }
}

extension [ServiceConfiguration] {
    /// The mode of the services that send to a pool; one that none sends to counts as l7/3, one that is retired as what it was.
    public func mode(ofPool pool: Int, in pools: [PoolConfiguration]) -> ServiceConfiguration.Mode {
        if let retired = pools[pool].retired { return retired }
        return contains { $0.mode == .l43 && $0.routes.contains { $0.pool == pool } } ? .l43 : .l73
    }
}

/// The body of an answer of ours with a status.
public struct ErrorPage: Sendable {
    public var status: Int
    /// Its media type.
    public var type: [UInt8]
    /// At most `OwnAnswer.longestPage` bytes.
    public var body: [UInt8]

    public init(status: Int, type: [UInt8], body: [UInt8]) {
        self.status = status
        self.type = type
        self.body = body
    }
}

/// The keys under `limits`; bytes and times.
public struct ServiceLimits: Sendable {
    public var head = 16 << 10
    public var fields = 100
    public var responseHead = 16 << 10
    public var body = 1 << 20
    public var bodyBuffer = 64 << 10
    public var headTime = Interval.seconds(10)
    /// Bytes a second that a body must keep over any 10 s; 0 = none.
    public var bodyRate = 500
    /// How long a client may take to acknowledge a full segment of what is sent to it.
    public var sendIdle = Interval.seconds(60)
    /// How long a front-end connection may be without a request.
    public var idle = Interval.seconds(75)
    public var tunnelIdle = Interval.seconds(3_600)
    public var connections = 100_000
    /// For each client: connections, new connections a second, requests a second; 0 = any number.
    public var perClientConnections = 0
    public var perClientNewConnections = 0
    public var perClientRequests = 0

    public init() {}
}

/// Which requests go to which pool. All conditions that are given must hold.
public struct RouteConfiguration: Sendable {
    /// Bytes that the path must begin with; empty = any.
    public var pathPrefix: [UInt8] = []
    /// The host that the request must be for, whatever the port; empty = any.
    public var host: [UInt8] = []
    /// The methods of which it must have one; empty = any.
    public var methods: [[UInt8]] = []
    /// The field that it must have, and its value; an empty value = any.
    public var headerName: [UInt8] = []
    public var headerValue: [UInt8] = []
    /// Only requests that ask to become a WebSocket.
    public var upgradesToWebSocket = false
    /// Index into `EngineConfiguration.pools`.
    public var pool: Int

    public init(pathPrefix: [UInt8] = [], pool: Int) {
        self.pathPrefix = pathPrefix
        self.pool = pool
    }
}
