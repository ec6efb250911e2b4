/// The servers that can answer a class of requests, and the queue before them.
public struct PoolConfiguration: Sendable {
    /// When back-end connections are opened: when a client connects and none is idle ([0060]), for a request, or at the start ([0032]).
    public enum Open: String, Sendable { case onConnection = "on-connection", onRequest = "on-request", atStart = "at-start" }

    public var name: String
    public var servers: [ServerConfiguration]
    public var open = Open.onConnection
    public var queue = QueueConfiguration()
    /// The tunnel limit of each server.
    public var tunnels = 19_000
    /// How often a request that surely did no harm is repeated on another connection.
    public var retries = 1
    public var connectTimeout = Interval.seconds(1)
    public var responseTimeout = Interval.seconds(30)
    /// Of services in mode l4/3.
    public var l4 = L4Settings()

    public init(name: String, servers: [ServerConfiguration]) {
        self.name = name
        self.servers = servers
    }
}

/// The keys under `l4`: how connections are forwarded ([0049]-[0053]).
public struct L4Settings: Sendable, Equatable {
    /// Whose address a server sees: one of ours, or the client's; then its route to the client must lead through the dispatcher.
    public enum Source: String, Sendable { case rewrite, keep }

    /// Whether the dispatcher answers a SYN itself, by a SYN cookie, before it stores anything.
    public var cookie = false
    public var source = Source.rewrite
    /// How long nothing may pass on a connection before both of its ends are reset.
    public var idle = Interval.seconds(900)

    public init() {}
}

public struct ServerConfiguration: Sendable {
    public var endpoint: Endpoint
    /// The number of permissible connections at the start, and its bounds.
    public var initialLimit = 8
    public var minimumLimit = 1
    public var maximumLimit = 256

    public init(endpoint: Endpoint) { self.endpoint = endpoint }
}

/// The keys under `queue`.
public struct QueueConfiguration: Sendable {
    public var capacity = 4_096
    /// Above this many entries new client connections are refused by RST ([0037])...
    public var refuseAbove = 2_048
    /// ...until there are fewer than this.
    public var resumeBelow = 1_638
    /// How long a request may wait before it is answered 503.
    public var wait = Interval.seconds(1)
    /// Bytes of requests that may wait.
    public var memory = 64 << 20
    /// How much of the capacity one client may fill, percent.
    public var perClient = 100

    public init() {}

    /// Places that one client may fill, at least one; nil = any number.
    var clientShare: Int? { perClient >= 100 ? nil : max(1, capacity * perClient / 100) }
}
