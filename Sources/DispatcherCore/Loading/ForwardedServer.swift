/// What the dispatcher knows and decides about a back-end server to which it forwards connections ([0050]-[0053]).
struct ForwardedServer {
    let endpoint: Endpoint
    /// The dispatcher's address that it sees, where the client's is rewritten.
    let source: IPAddress
    let pool: Int
    /// Index within its pool.
    let index: Int
    /// The number of permissible connections now.
    private(set) var limit: Int
    let minimum: Int
    let maximum: Int
    /// Connections that count: from the SYN that went to it until both ends have closed, or one has reset.
    private(set) var active = 0
    /// SYNs that were forwarded to it.
    private(set) var connects: UInt64 = 0
    private(set) var connectFailures: UInt64 = 0
    /// Answers to what clients have said.
    var exchanges: UInt64 = 0
    /// Whether the last SYN was answered; true before the first.
    private(set) var isUp = true
    /// Until when no SYN goes there while another server could take it.
    private(set) var failedUntil = Instant.distantPast
    /// The port of ours to try next.
    var nextPort: Int
    var window = PerformanceWindow()

    /// How long a server that did not take a connection is left alone.
    static let rest = Interval.seconds(1)

    init(endpoint: Endpoint, source: IPAddress, pool: Int, index: Int, settings: ServerConfiguration, firstPort: Int) {
        self.endpoint = endpoint
        self.source = source
        self.pool = pool
        self.index = index
        minimum = settings.minimumLimit
        maximum = settings.maximumLimit
        limit = min(max(settings.initialLimit, settings.minimumLimit), settings.maximumLimit)
        nextPort = firstPort
    }

    /// Whether another connection is permissible ([0052]).
    var hasRoom: Bool { active < limit }

    /// - Returns: whether it is another one than before.
    mutating func setLimit(_ wanted: Int, at now: Instant) -> Bool {
        let before = limit
        limit = min(max(wanted, minimum), maximum)
        if limit != before { window.changeLimit(to: limit, at: now) }
        return limit != before
    }

    /// A SYN goes there.
    /// - Returns: the era of the performance window that the connection belongs to.
    mutating func begin(at now: Instant) -> UInt32 {
        if window.begun == .distantPast { window.begin(limit: limit, at: now) }
        active += 1
        connects &+= 1
        return window.dispatched(at: now)
    }

    /// One of its connections counts no longer.
    mutating func end(after time: Interval, era: UInt32, failed: Bool, at now: Instant) {
        precondition(active > 0, "a connection ends that did not begin")
        active -= 1
        window.departed(after: time, era: era, failed: failed, at: now)
    }

    mutating func noteFailure(at now: Instant) {
        connectFailures &+= 1
        isUp = false
        failedUntil = now + Self.rest
    }

    mutating func noteAnswer() {
        isUp = true
        failedUntil = .distantPast
    }
}

/// The servers to which the connections of a pool are forwarded: chooses in turn among those with room ([0053]).
struct ForwardedPool {
    /// Indices of its servers in the engine's table: a contiguous range.
    let servers: Range<Int>
    let settings: PoolConfiguration
    /// How many places of the queue one client may fill; nil = any number.
    let clientShare: Int?
    /// SYNs that wait, oldest first, and the most that there have been.
    var queue = SlotQueue()
    private(set) var queueHigh = 0
    /// Whether new SYNs are refused ([0037]); with hysteresis.
    private(set) var refuses = false
    /// The server after the one chosen last.
    private var turn = 0

    init(servers: Range<Int>, settings: PoolConfiguration) {
        self.servers = servers
        self.settings = settings
        clientShare = settings.queue.clientShare
    }

    /// The next server in turn that may have one more connection. One that has just failed is passed over as long as another one of the pool
    /// is up, also when that one has no room.
    /// - Parameter excluding: a server that has just failed this connection.
    mutating func nextServer(_ table: UnsafeMutablePointer<ForwardedServer>, excluding: Int? = nil, at now: Instant) -> Int? {
        var failed: Int?
        var allFailed = true
        for step in 0..<servers.count {
            let place = (turn + step) % servers.count
            let server = servers.lowerBound + place
            guard server != excluding else { continue }
            let isFailed = table[server].failedUntil > now
            if !isFailed { allFailed = false }
            guard table[server].hasRoom else { continue }
            if isFailed {
                failed = failed ?? place
                continue
            }
            turn = (place + 1) % servers.count
            return server
        }
        guard allFailed, excluding == nil, let failed else { return nil }
        turn = (failed + 1) % servers.count
        return servers.lowerBound + failed
    }

    /// Follows the length of the queue across the two thresholds of [0037].
    mutating func noteQueueLength() {
        queueHigh = max(queueHigh, queue.count)
        if queue.count > settings.queue.refuseAbove {
            refuses = true
        } else if queue.count < settings.queue.resumeBelow || queue.isEmpty {
            refuses = false
        }
    }
}
