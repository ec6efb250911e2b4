/// What is dispatched: requests ([0028]), or connections ([0049]).
public enum DispatchMode: String, Sendable { case l73 = "l7/3", l43 = "l4/3" }

/// The servers that can answer a class of requests, and the queue before them.
public struct PoolConfiguration: Sendable {
    /// When back-end connections are opened: when a client connects and none is idle ([0060]), for a request, or at the start ([0032]).
    public enum Open: String, Sendable { case onConnection = "on-connection", onRequest = "on-request", atStart = "at-start" }

    public var name: String
    /// Of a pool that is retired: those that it had last.
    public var servers: [ServerConfiguration]
    /// Whether it is in the configuration file no longer, and the mode in which it was: its queue is emptied, then its servers drain. It keeps
    /// its index.
    public var retired: DispatchMode?
    public var balance = Balance.roundRobin
    public var open = Open.onConnection
    public var queue = QueueConfiguration()
    /// What moves the number of permissible connections of each server.
    public var control = LimitControl.fixed
    public var ejection = EjectionConfiguration()
    /// Whether servers are told the client's address by the PROXY protocol, version 2: then each request has a connection of its own.
    public var usesProxyProtocol = false
    /// How long a server that came back takes until it has its whole limit and weight again; zero = it has them at once.
    public var slowStart = Interval.zero
    /// The tunnel limit of each server, the most that it may be, and what moves it.
    public var tunnels = 19_000
    public var mostTunnels = 19_000
    public var tunnelControl = LimitControl.fixed
    /// nil = servers are not checked.
    public var health: HealthConfiguration?
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

    public var isRetired: Bool { retired != nil }

    /// FIFOs of its queue: with a hashed balance one for each server, and one for what has nothing to be hashed by.
    var lanes: Int { balance.isHashed ? servers.count + 1 : 1 }
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

/// How an idle server is chosen ([0048]).
public enum Balance: Equatable, Sendable {
    /// In turn, by weight.
    case roundRobin
    /// The one with the fewest requests outstanding for its weight.
    case leastConnections
    /// The same client, path or value of a header goes to the same server; a request waits for its own.
    case hashOfSource, hashOfPath
    case hashOfHeader([UInt8])

    var isHashed: Bool { self != .roundRobin && self != .leastConnections }
}

/// The keys under `health`: requests that the dispatcher makes itself to see whether a server answers.
public struct HealthConfiguration: Equatable, Sendable {
    /// The target of the request; empty = opening a connection is enough.
    public var path: [UInt8] = []
    public var every = Interval.seconds(2)
    public var timeout = Interval.seconds(1)
    /// So many good checks in a row make a server up, so many bad ones down.
    public var rise = 2
    public var fall = 3
    /// Statuses that are good.
    public var expect: [UInt16] = [200]
    /// The field of the answer with a figure to control by ([0039]); empty = none.
    public var reportHeader: [UInt8] = []

    public init() {}
}

/// The keys under `ejection`: passive detection of failing servers.
public struct EjectionConfiguration: Equatable, Sendable {
    /// So many failures in a row eject a server; 0 = no number does.
    public var failures = 0
    /// For how long the first time; each further time is longer by as much, up to ten times.
    public var time = Interval.seconds(10)

    public init() {}
}

public struct ServerConfiguration: Sendable {
    public var endpoint: Endpoint
    /// Its part of the requests, beside those of the others.
    public var weight = 1
    /// Whether it gets requests only while no other server of the pool takes any.
    public var isBackup = false
    /// How many connections it could hold, where that is known: the limit stays below (claims 1, 12).
    public var capacity: Int?
    /// The number of permissible connections at the start, and its bounds.
    public var initialLimit = 8
    public var minimumLimit = 1
    public var maximumLimit = 256

    public init(endpoint: Endpoint) { self.endpoint = endpoint }
}

/// The keys under `queue`.
public struct QueueConfiguration: Sendable {
    /// How new client connections are refused above the threshold: at their SYN, or their first request by 503 with Retry-After.
    public enum RefuseWith: String, Sendable { case reset, answer }

    public var capacity = 4_096
    /// Above this many entries new client connections are refused by RST ([0037])...
    public var refuseAbove = 2_048
    /// ...until there are fewer than this.
    public var resumeBelow = 1_638
    public var refuseWith = RefuseWith.reset
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
