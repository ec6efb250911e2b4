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
    var weight: Int
    let isBackup: Bool
    var condition = ServerCondition()
    /// How far it lags behind in smooth weighted round robin.
    fileprivate var credit = 0
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
    /// Measures it, and moves its limit.
    var control: LoadControl
    private(set) var failures: UInt64 = 0

    /// How long a server that did not take a connection is left alone.
    static let rest = Interval.seconds(1)

    init(
        endpoint: Endpoint, source: IPAddress, pool: Int, index: Int, settings: ServerConfiguration, control: LimitControl, firstPort: Int
    ) {
        self.endpoint = endpoint
        self.source = source
        self.pool = pool
        self.index = index
        weight = settings.weight
        isBackup = settings.isBackup
        // It stays below what the server could hold, where that is known (claim 39).
        let maximum = max(settings.minimumLimit, settings.capacity.map { min(settings.maximumLimit, $0 - 1) } ?? settings.maximumLimit)
        limit = min(max(settings.initialLimit, settings.minimumLimit), maximum)
        self.control = LoadControl(control, initial: limit, minimum: settings.minimumLimit, maximum: maximum)
        nextPort = firstPort
    }

    /// Whether another connection is permissible ([0052]).
    var hasRoom: Bool { active < limit }
    /// Whether it is given anything new.
    var takesNew: Bool { condition.state == .up }

    /// The controller's limit becomes the server's.
    /// - Returns: the one before; nil = it is the same.
    mutating func takeLimit(waited: Interval, at now: Instant) -> Int? {
        let before = limit
        limit = control.controller.limit
        control.enforced(limit, waited: waited, at: now)
        return limit == before ? nil : before
    }

    /// A SYN goes there.
    /// - Parameter waited: for how long, in all, SYNs have waited in the pool's queue.
    /// - Returns: the era of the performance window that the connection belongs to.
    mutating func begin(waited: Interval, at now: Instant) -> UInt32 {
        active += 1
        connects &+= 1
        return control.dispatched(limit: limit, waited: waited, at: now)
    }

    /// One of its connections counts no longer.
    mutating func end(after time: Interval, era: UInt32, waited: Interval, failed: Bool, at now: Instant) {
        precondition(active > 0, "a connection ends that did not begin")
        active -= 1
        control.departed(after: time, era: era, waited: waited, at: now)
        if failed {
            control.failed()
            failures &+= 1
        }
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
    /// Since when something waits, and how long something waited before that.
    private var busySince = Instant.distantFuture
    private var busyTime = Interval.zero

    init(servers: Range<Int>, settings: PoolConfiguration) {
        self.servers = servers
        self.settings = settings
        clientShare = settings.queue.clientShare
    }

    /// The next server in turn, by weight, that may have one more connection; a backup while no other server takes any. One that has just
    /// failed is passed over as long as another one is up, also when that one has no room.
    /// - Parameter excluding: a server that has just failed this connection.
    func nextServer(_ table: UnsafeMutablePointer<ForwardedServer>, excluding: Int? = nil, at now: Instant) -> Int? {
        for isBackup in [false, true] {
            var isThere = false
            for server in servers where server != excluding && table[server].isBackup == isBackup && table[server].takesNew {
                isThere = isThere || table[server].failedUntil <= now
            }
            if isThere { return choose(table, isBackup: isBackup, failed: false, excluding, now) }
        }
        guard excluding == nil else { return nil }
        return choose(table, isBackup: false, failed: true, excluding, now) ?? choose(table, isBackup: true, failed: true, excluding, now)
    }

    /// Smooth weighted round robin among those with room.
    private func choose(
        _ table: UnsafeMutablePointer<ForwardedServer>, isBackup: Bool, failed: Bool, _ excluding: Int?, _ now: Instant
    ) -> Int? {
        var chosen: Int?
        var total = 0
        for server in servers where server != excluding && table[server].isBackup == isBackup && table[server].takesNew {
            guard table[server].hasRoom, (table[server].failedUntil > now) == failed else { continue }
            table[server].credit += table[server].weight
            total += table[server].weight
            if chosen.map({ table[server].credit > table[$0].credit }) ?? true { chosen = server }
        }
        if let chosen { table[chosen].credit -= total }
        return chosen
    }

    /// Follows the length of the queue across the two thresholds of [0037].
    mutating func noteQueueLength(at now: Instant) {
        queueHigh = max(queueHigh, queue.count)
        if queue.isEmpty {
            if busySince != .distantFuture { busyTime = waited(at: now) }
            busySince = .distantFuture
        } else if busySince == .distantFuture {
            busySince = now
        }
        if queue.count > settings.queue.refuseAbove {
            refuses = true
        } else if queue.count < settings.queue.resumeBelow || queue.isEmpty {
            refuses = false
        }
    }

    /// For how long, in all, something has waited.
    func waited(at now: Instant) -> Interval { busySince == .distantFuture ? busyTime : busyTime + (now - busySince) }
}
