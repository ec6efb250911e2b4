/// What the dispatcher knows and decides about a back-end server to which it forwards connections ([0050]-[0053]).
struct ForwardedServer: ChosenServer {
    let endpoint: Endpoint
    /// The dispatcher's address that it sees, where the client's is rewritten.
    let source: IPAddress
    let pool: Int
    /// Its place in the list of its pool.
    var index: Int
    /// The number of permissible connections now.
    private(set) var limit: Int
    private var minimum: Int
    var weight: Int
    var isBackup: Bool
    var condition = ServerCondition()
    var credit = 0.0
    var slowSince = Instant.distantPast
    /// Connections that count: from the SYN that went to it until both ends have closed, or one has reset.
    private(set) var active = 0
    /// SYNs that were forwarded to it.
    private(set) var connects: UInt64 = 0
    private(set) var connectFailures: UInt64 = 0
    /// Answers to what clients have said.
    var exchanges: UInt64 = 0
    /// Whether the last SYN was answered; true before the first.
    private(set) var isUp = true
    /// Until when no SYN goes there while another server could take it; `distantPast` = it has not failed lately.
    private(set) var failedUntil = Instant.distantPast
    /// The port of ours to try next.
    var nextPort: Int
    /// Measures it, and moves its limit. It lies elsewhere, so that what is left is plain and no reference is counted where it is read.
    let control: UnsafeMutablePointer<LoadControl>
    private(set) var failures: UInt64 = 0

    /// How long a server that did not take a connection is left alone.
    static let rest = Interval.seconds(1)

    /// - Parameters:
    ///   - index: its place in the list of its pool.
    ///   - firstPort: of ours toward it.
    init(_ settings: ServerConfiguration, index: Int, pool: Int, control other: LimitControl, source: IPAddress, firstPort: Int) {
        endpoint = settings.endpoint
        self.source = source
        self.pool = pool
        self.index = index
        minimum = settings.minimumLimit
        weight = settings.weight
        isBackup = settings.isBackup
        let maximum = Self.maximum(settings)
        limit = min(max(settings.initialLimit, settings.minimumLimit), maximum)
        control = .allocate(capacity: 1)
        control.initialize(to: LoadControl(other, initial: limit, minimum: settings.minimumLimit, maximum: maximum))
        nextPort = firstPort
    }

    /// Frees what it has.
    func free() {
        control.deinitialize(count: 1)
        control.deallocate()
    }

    /// It stays below what the server could hold, where that is known (claim 39).
    private static func maximum(_ settings: ServerConfiguration) -> Int {
        max(settings.minimumLimit, settings.capacity.map { min(settings.maximumLimit, $0 - 1) } ?? settings.maximumLimit)
    }

    /// Another configuration: what it says otherwise than before is taken, what was set while it ran stays.
    /// - Parameter isSame: whether what moves the limit is the same.
    mutating func change(from was: ServerConfiguration, to settings: ServerConfiguration, control other: LimitControl, isSame: Bool) {
        if was.weight != settings.weight { weight = settings.weight }
        isBackup = settings.isBackup
        minimum = settings.minimumLimit
        credit = 0
        control.pointee.change(
            isSame ? control.pointee.controller.control : other, minimum: settings.minimumLimit, maximum: Self.maximum(settings))
        if was.initialLimit != settings.initialLimit { control.pointee.controller.setLimit(settings.initialLimit) }
    }

    /// It was removed, and is there again: the connections that it has still count.
    mutating func comesBack(as settings: ServerConfiguration, control other: LimitControl) {
        condition = ServerCondition()
        weight = settings.weight
        change(from: settings, to: settings, control: other, isSame: false)
        control.pointee.controller.setLimit(settings.initialLimit)
    }

    /// Whether another connection is permissible ([0052]).
    var hasRoom: Bool { active < limit }
    var outstanding: Int { active }
    var isResting: Bool { failedUntil != .distantPast }

    /// The controller's limit becomes the server's, or a part of it while it starts slowly.
    /// - Returns: the one before; nil = it is the same.
    mutating func takeLimit(part: Double, waited: Interval, at now: Instant) -> Int? {
        let before = limit
        let wanted = control.pointee.controller.limit
        limit = part >= 1 ? wanted : max(min(1, wanted), Int(Double(wanted) * part))
        control.pointee.enforced(limit, waited: waited, at: now)
        return limit == before ? nil : before
    }

    /// It takes connections again: a controller that looks for its limit begins at the least.
    mutating func restart() {
        if control.pointee.controller.control == .optimiseThroughput { control.pointee.controller.restart(at: minimum) }
    }

    /// Whether the whole of the controller's limit is enforced.
    var isWhole: Bool { limit == control.pointee.controller.limit }

    /// A SYN goes there.
    /// - Parameter waited: for how long, in all, SYNs have waited in the pool's queue.
    /// - Returns: the era of the performance window that the connection belongs to.
    mutating func begin(waited: Interval, at now: Instant) -> UInt32 {
        active += 1
        connects &+= 1
        return control.pointee.dispatched(limit: limit, waited: waited, at: now)
    }

    /// One of its connections counts no longer.
    mutating func end(after time: Interval, era: UInt32, waited: Interval, failed: Bool, at now: Instant) {
        precondition(active > 0, "a connection ends that did not begin")
        active -= 1
        control.pointee.departed(after: time, era: era, waited: waited, at: now)
        if failed {
            control.pointee.failed()
            failures &+= 1
        }
    }

    /// A SYN was refused, or not answered in time.
    mutating func noteFailure(at now: Instant) {
        connectFailures &+= 1
        isUp = false
        failedUntil = now + Self.rest
    }

    mutating func noteAnswer(at now: Instant) {
        isUp = true
        failedUntil = .distantPast
        condition.succeeded(at: now)
    }

    /// It has rested long enough to be tried again.
    mutating func endRest(at now: Instant) { if failedUntil <= now { failedUntil = .distantPast } }
}

/// The servers to which the connections of a pool are forwarded, and the SYNs that wait for one ([0052], [0053]).
///
/// With a hashed balance a SYN waits for its own server: then there is a lane for each, a FIFO of its own, and one for what may go anywhere.
///
/// What each SYN asks for is inlined: a call would be given a copy of the whole, and count the references in `settings`.
struct ForwardedPool {
    private var chooser: ServerChooser
    private(set) var settings: PoolConfiguration
    /// How many places of the queue one client may fill; nil = any number.
    private(set) var clientShare: Int?
    /// By lane, SYNs that wait, oldest first.
    private(set) var lanes: UnsafeMutablePointer<SlotQueue>
    private(set) var laneCount: Int
    /// SYNs that wait in all, and the most that there have been.
    private(set) var queueLength = 0
    private(set) var queueHigh = 0
    /// Whether new SYNs are refused ([0037]); with hysteresis.
    private(set) var refuses = false
    /// Since when something waits, and how long something waited before that.
    private var busySince = Instant.distantFuture
    private var busyTime = Interval.zero

    init(servers: ServerList, settings: PoolConfiguration) {
        chooser = ServerChooser(servers, settings)
        self.settings = settings
        clientShare = settings.queue.clientShare
        laneCount = settings.lanes
        lanes = .allocate(capacity: laneCount)
        lanes.initialize(repeating: SlotQueue(), count: laneCount)
    }

    /// Frees what it has.
    func free() {
        chooser.servers.free()
        lanes.deallocate()
    }

    /// Another configuration, while nothing is in the lanes: what waits was taken out, and is put back.
    mutating func change(servers: ServerList, settings: PoolConfiguration) {
        precondition((0..<laneCount).allSatisfy { lanes[$0].isEmpty })
        chooser.change(servers, settings)
        self.settings = settings
        clientShare = settings.queue.clientShare
        lanes.deallocate()
        laneCount = settings.lanes
        lanes = .allocate(capacity: laneCount)
        lanes.initialize(repeating: SlotQueue(), count: laneCount)
    }

    var servers: ServerList { chooser.servers }
    /// The SYN that has waited longest in some lane; nil = none waits.
    var someQueued: Int? {
        for lane in 0..<laneCount { if let first = lanes[lane].first { return first } }
        return nil
    }

    func slowPart(_ server: UnsafeMutablePointer<ForwardedServer>, at now: Instant) -> Double { chooser.slowPart(server, at: now) }

    /// The lane in which a SYN waits.
    /// - Parameter hash: what a hashed balance goes by.
    @inline(__always) func lane(_ table: UnsafeMutablePointer<ForwardedServer>, hash: UInt64) -> Int {
        guard laneCount > 1 else { return 0 }
        return chooser.owner(table, hash: hash).map { table[$0].index } ?? servers.count
    }

    /// A server that may have one more connection ([0052]). One that has just failed is passed over as long as another one takes something
    /// new, also when that one has no room.
    /// - Parameter excluding: a server that has just failed this connection.
    mutating func nextServer(
        _ table: UnsafeMutablePointer<ForwardedServer>, hash: UInt64, excluding: Int? = nil, at now: Instant
    ) -> Int? {
        if servers.contains(where: { $0 != excluding && table[$0].takesNew }) {
            let chosen = chooser.choose(table, hash: hash, excluding: excluding, now: now) { $0.pointee.hasRoom }
            return chosen == excluding ? nil : chosen
        }
        guard excluding == nil else { return nil }
        // All of them rest: the one that failed first is tried first.
        var chosen: Int?
        for server in servers where table[server].condition.state == .up && table[server].hasRoom {
            if chosen.map({ table[server].failedUntil < table[$0].failedUntil }) ?? true { chosen = server }
        }
        return chosen
    }

    /// Follows the length of the queue across the two thresholds of [0037].
    mutating func noteQueueLength(_ change: Int, at now: Instant) {
        queueLength += change
        queueHigh = max(queueHigh, queueLength)
        if queueLength == 0 {
            if busySince != .distantFuture { busyTime = waited(at: now) }
            busySince = .distantFuture
        } else if busySince == .distantFuture {
            busySince = now
        }
        if queueLength > settings.queue.refuseAbove {
            refuses = true
        } else if queueLength < settings.queue.resumeBelow || queueLength == 0 {
            refuses = false
        }
    }

    /// For how long, in all, something has waited.
    @inline(__always) func waited(at now: Instant) -> Interval { busySince == .distantFuture ? busyTime : busyTime + (now - busySince) }
}

extension ServerList {
    /// Whether any of these servers takes something new, or is only resting.
    func someTakesNew(_ table: UnsafeMutablePointer<ForwardedServer>) -> Bool {
        for server in self where table[server].condition.state == .up { return true }
        return false
    }
}
