/// The figures of an engine at an instant; what `/metrics` and `/status.json` show.
public struct Snapshot: Sendable {
    public struct Service: Sendable {
        public var name: String
        public var frontConnections = 0
        /// Front-end connections by what they are doing, in the order of `FrontPhase.allCases`.
        public var phases: [Int] = []
        public var tunnels = 0
        public var connectionsTotal: UInt64 = 0
        /// Finished requests by status; only those that occurred.
        public var requests: [(status: Int, count: UInt64)] = []

        public init(name: String) { self.name = name }
    }

    public struct Pool: Sendable {
        public var name: String
        /// Whether it is in the configuration no longer.
        public var isRetired = false
        /// Whether it is, and nothing is left of it.
        public var isGone: Bool { isRetired && servers.isEmpty && queueLength == 0 }
        public var queueLength = 0
        /// The most entries that the queue has had.
        public var queueHigh = 0
        /// How long the queue's head has waited.
        public var queueOldest = Interval.zero
        public var servers: [Server] = []

        public init(name: String) { self.name = name }
    }

    public struct Server: Sendable {
        public var endpoint: Endpoint
        public var limit = 0
        /// Connections with a request outstanding, those being opened for one included.
        public var active = 0
        /// Those of them whose body is streamed.
        public var streamed = 0
        public var idle = 0
        /// Connections being opened that no request waits for.
        public var opening = 0
        /// Connections being closed, and ports in TIME_WAIT.
        public var closing = 0
        public var tunnels = 0
        public var connects: UInt64 = 0
        public var connectFailures: UInt64 = 0
        public var requests: UInt64 = 0
        /// Whether the last attempt to open a connection succeeded; true before the first.
        public var isReachable = true
        /// Whether it takes requests, as far as is known.
        public var isUp: Bool { isReachable && state == .up }
        public var state = ServerState.up
        public var weight = 1
        public var isBackup = false
        /// Timeouts, resets, refused connections and responses, 5xx.
        public var failures: UInt64 = 0
        public var ejections = 0
        /// What moves the limit: what it does now, why it is what it is, and how much of a change of the limit the rate follows.
        public var control = LimitController.State.fixed
        public var reason = LimitReason.fixed
        public var elasticity: Double?
        /// The metric that is held and its band.
        public var held: Metric?
        public var bandLow: Double?
        public var bandHigh: Double?
        /// The figures of the last performance window; nil before the first.
        public var performance: Performance?
        public var tunnelLimit = 0
        /// Health checks by `CheckResult`, and reports that were no number.
        public var checks = [UInt64](repeating: 0, count: CheckResult.allCases.count)
        public var reportsInvalid: UInt64 = 0
        /// How long a window of this server takes to begin under a new limit: whether requests from before are still too many.
        public var isSettling = false

        public init(endpoint: Endpoint) { self.endpoint = endpoint }

        /// What measures the server and moves its limit.
        mutating func take(_ load: LoadControl) {
            control = load.controller.state
            reason = load.controller.reason
            elasticity = load.controller.elasticity
            held = load.controller.control.metric
            bandLow = load.controller.band?.low
            bandHigh = load.controller.band?.high
            performance = load.last
            isSettling = load.window.isSettling
        }
    }

    public var services: [Service] = []
    public var pools: [Pool] = []
    public var counters = Counters()
    /// Front-end connections in TIME_WAIT.
    public var timeWaits = 0
    /// Timers that are armed; at rest none but those of idle connections.
    public var timers = 0
    /// Bytes of requests and answers held.
    public var bufferBytes = 0
    /// What the bodies of requests take of them.
    public var bodyBytes = 0
    /// Connections and places in queues that are counted for their clients, and clients that had to be forgotten for want of room.
    public var clientsHold = 0
    public var clientEvictions: UInt64 = 0
    /// Response bytes held for clients, as memory.
    public var stagingBytes = 0
    public var isStopping = false

    public init() {}
}

/// How a response reaches its client (tcp.md "Who sends a response byte").
public enum Delivery: UInt8, CaseIterable, Sendable {
    /// Whole in our custody; end to end; end to end for want of staging memory.
    case staged, endToEnd, withoutMemory
    /// End to end, until its last part was taken into our custody: counted beside `endToEnd`.
    case tailKept

    /// The value of the metric's label `delivery`.
    public var label: String { DropReason.kebab(String(describing: self)) }
}

/// Why a connection or a request was refused.
public enum RefusalReason: UInt8, CaseIterable, Sendable {
    /// New connections: the queue is above its threshold, the table is full, the engine is stopping, the client has as many as it may, or
    /// opens them too fast.
    case queueThreshold, connectionLimit, stopping, clientConnections, clientConnectionRate
    /// Requests: the queue was full, the wait was too long, no server could be reached.
    case queueFull, queueWait, serverUnavailable, tunnelLimit, malformed, headTooLarge, bodyTooLarge, headTime, noRoute
    /// Requests: the body came too slowly, the client makes too many, or has its part of the queue.
    case bodyRate, clientRequestRate, clientQueueShare
    /// Requests: the memory for bodies is used up.
    case bodyMemory
    /// Requests: no server of the pool takes any; so many wait already that it could not be served in time.
    case noServer, queueHopeless
    /// Stored SYNs (l4/3): the client repeated its SYN no more.
    case clientGone

    /// The value of the metric's label `reason`.
    public var label: String { DropReason.kebab(String(describing: self)) }
}

/// Counters that only grow. Arrays are indexed by side, then by the raw value of their enum.
public struct Counters: Sendable {
    public var framesIn = [UInt64](repeating: 0, count: 2)
    public var consumed = [UInt64](repeating: 0, count: 2)
    public var forwarded = [UInt64](repeating: 0, count: 2)
    public var dropped = [[UInt64]](repeating: [UInt64](repeating: 0, count: DropReason.allCases.count), count: 2)
    /// Packets out by side and `EmissionKind`, first transmissions.
    public var emitted = [[UInt64]](repeating: [UInt64](repeating: 0, count: EmissionKind.allCases.count), count: 2)
    /// Retransmitted packets by side and `EmissionKind`.
    public var retransmitted = [[UInt64]](repeating: [UInt64](repeating: 0, count: EmissionKind.allCases.count), count: 2)
    /// Packets that found no room in the egress: lost, as on a full link.
    public var egressLost = [UInt64](repeating: 0, count: 2)
    public var refused = [UInt64](repeating: 0, count: RefusalReason.allCases.count)
    /// Requests refused or responses refused, by the framing's own reason.
    public var requestFaults: [(label: String, count: UInt64)] = []
    public var responseFaults: [(label: String, count: UInt64)] = []
    /// Responses by `Delivery`.
    public var deliveries = [UInt64](repeating: 0, count: Delivery.allCases.count)
    /// Requests that were repeated on another connection.
    public var repeatedRequests: UInt64 = 0
    /// Requests whose body was streamed to the server.
    public var streamedRequests: UInt64 = 0
    /// Requests dispatched to a server at its limit: must stay 0.
    public var overLimit: UInt64 = 0
    /// Records lost because nobody drained them.
    public var recordsLost: UInt64 = 0
    /// The same for events.
    public var eventsLost: UInt64 = 0
    /// Answers of our own that were left out for want of memory: the client sees its connection close.
    public var answersOmitted: UInt64 = 0
    /// Connections without a request that were closed to make room for others.
    public var idleEvictions: UInt64 = 0
    /// Connections in mode l4/3 that ran out of time half-open, and those that were idle too long: both ends were reset.
    public var halfOpenExpired: UInt64 = 0
    public var idleExpired: UInt64 = 0
    /// Connections in mode l4/3 that had ended and were forgotten early, for want of room or for their port.
    public var closedForgotten: UInt64 = 0
    /// Segments that deserved a reset and got none, because so many had got one in that second.
    public var resetsWithheld: UInt64 = 0

    public init() {}
}
