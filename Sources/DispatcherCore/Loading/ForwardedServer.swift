/// What the dispatcher knows and decides about a back-end server to which it forwards connections ([0050]-[0053]).
struct ForwardedServer: ChosenServer, HeldServer {
    /// What it has in common with other shards: tokens for connections, the measuring. It lies elsewhere, so that what is left is plain and
    /// no reference is counted where it is read.
    let shared: UnsafeMutablePointer<SharedServer>
    /// Where this shard counts what it has sent.
    let traffic: UnsafeMutablePointer<ServerTraffic.Cell>
    let endpoint: Endpoint
    /// The dispatcher's address that it sees, where the client's is rewritten.
    let source: IPAddress
    let pool: Int
    /// Its place in the list of its pool.
    var index: Int
    private var minimum: Int
    var weight: Int
    var isBackup: Bool
    var condition = ServerCondition()
    var credit = 0.0
    var slowSince = Instant.distantPast
    /// Connections of this shard that count: from the SYN that went to it until both ends have closed, or one has reset.
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
    private(set) var failures: UInt64 = 0

    /// How long a server that did not take a connection is left alone.
    static let rest = Interval.seconds(1)

    /// - Parameters:
    ///   - index: its place in the list of its pool.
    ///   - shared: what all shards have of it.
    ///   - shard: the index of this one.
    ///   - firstPort: of this shard's toward it.
    init(
        _ settings: ServerConfiguration, index: Int, pool: Int, shared: UnsafeMutablePointer<SharedServer>, shard: Int,
        source: IPAddress, firstPort: Int
    ) {
        self.shared = shared
        traffic = shared.pointee.traffic.cell(of: shard)
        endpoint = settings.endpoint
        self.source = source
        self.pool = pool
        self.index = index
        minimum = settings.minimumLimit
        weight = settings.weight
        isBackup = settings.isBackup
        nextPort = firstPort
    }

    /// What it begins with in common with other shards.
    static func fresh(_ settings: ServerConfiguration, control: LimitControl, shards: Int) -> SharedServer {
        let control = measuring(settings, control)
        return SharedServer(limit: control.controller.limit, tunnels: 0, control: control, shards: shards)
    }

    private static func measuring(_ settings: ServerConfiguration, _ control: LimitControl) -> LoadControl {
        let maximum = maximum(settings)
        let limit = min(max(settings.initialLimit, settings.minimumLimit), maximum)
        return LoadControl(control, initial: limit, minimum: settings.minimumLimit, maximum: maximum)
    }

    /// It stays below what the server could hold, where that is known (claim 39).
    private static func maximum(_ settings: ServerConfiguration) -> Int {
        max(settings.minimumLimit, settings.capacity.map { min(settings.maximumLimit, $0 - 1) } ?? settings.maximumLimit)
    }

    /// Another configuration: what it says otherwise than before is taken, what was set while it ran stays.
    /// - Parameters:
    ///   - isSame: whether what moves the limit is the same.
    ///   - leads: whether this shard has the measuring told; the others share it.
    mutating func change(
        from was: ServerConfiguration, to settings: ServerConfiguration, control other: LimitControl, isSame: Bool, leads: Bool
    ) {
        if was.weight != settings.weight { weight = settings.weight }
        isBackup = settings.isBackup
        minimum = settings.minimumLimit
        credit = 0
        guard leads else { return }
        withMeasuring {
            $0.change(isSame ? $0.controller.control : other, minimum: settings.minimumLimit, maximum: Self.maximum(settings))
            if was.initialLimit != settings.initialLimit { $0.controller.setLimit(settings.initialLimit) }
        }
    }

    /// It was removed, and is there again: the connections that it has still count.
    mutating func comesBack(as settings: ServerConfiguration, control other: LimitControl, leads: Bool) {
        condition = ServerCondition()
        weight = settings.weight
        change(from: settings, to: settings, control: other, isSame: false, leads: leads)
        if leads { withMeasuring { $0.controller.setLimit(settings.initialLimit) } }
    }

    /// What other shards still know of it is not true any more: its measuring begins as that of a new one, as far as connections allow.
    func beginAnew(as settings: ServerConfiguration, control other: LimitControl) {
        withMeasuring {
            let fresh = Self.measuring(settings, other)
            if $0.isEmpty {
                $0 = fresh
            } else {
                $0.change(other, minimum: settings.minimumLimit, maximum: Self.maximum(settings))
                $0.controller.setLimit(fresh.controller.limit)
            }
        }
    }

    /// The measuring, which other shards have too.
    @inline(__always) func withMeasuring<Result>(_ body: (inout LoadControl) -> Result) -> Result { shared.pointee.withMeasuring(body) }

    /// The number of permissible connections now.
    var limit: Int { shared.pointee.requests.limit }
    /// Whether another connection is permissible ([0052]).
    var hasRoom: Bool { shared.pointee.requests.hasRoom }
    /// In all shards.
    var outstanding: Int { shared.pointee.requests.outstanding }
    var isResting: Bool { failedUntil != .distantPast }

    /// The controller's limit becomes the server's, or a part of it while it starts slowly.
    /// - Returns: the one before, and whether it was a part of the controller's.
    func takeLimit(part: Double, waited: Interval, at now: Instant) -> (before: Int, wasPart: Bool) {
        let before = limit
        let (limit, wanted) = withMeasuring {
            let wanted = $0.controller.limit
            let limit = part >= 1 ? wanted : max(min(1, wanted), Int(Double(wanted) * part))
            $0.enforced(limit, waited: waited, at: now)
            return (limit, wanted)
        }
        if limit != before { shared.pointee.requests.setLimit(limit) }
        return (before, before < wanted)
    }

    /// It takes connections again: a controller that looks for its limit begins at the least.
    func restart() {
        withMeasuring { if $0.controller.control == .optimiseThroughput { $0.controller.restart(at: minimum) } }
    }

    /// A SYN goes there, for which a token was taken.
    /// - Parameter waited: for how long, in all, SYNs have waited in the pool's queue.
    /// - Returns: the era of the performance window that the connection belongs to, and whether the measuring has rested until now.
    mutating func begin(waited: Interval, at now: Instant) -> (era: UInt32, hasRested: Bool) {
        active += 1
        connects &+= 1
        let limit = limit
        return withMeasuring {
            let hasRested = !$0.isMeasuring
            return ($0.dispatched(limit: limit, waited: waited, at: now), hasRested)
        }
    }

    /// One of its connections counts no longer; its token is still to be given back.
    mutating func end(after time: Interval, era: UInt32, waited: Interval, failed: Bool, at now: Instant) {
        precondition(active > 0, "a connection ends that did not begin")
        active -= 1
        withMeasuring {
            $0.departed(after: time, era: era, waited: waited, at: now)
            if failed { $0.failed() }
        }
        if failed { failures &+= 1 }
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

    /// Whether `nextServer` finds one.
    func hasRoom(_ table: UnsafeMutablePointer<ForwardedServer>) -> Bool {
        let backups = chooser.usesBackups(table)
        var someTakesNew = false
        for server in servers where table[server].takesNew {
            someTakesNew = true
            if table[server].isBackup == backups, table[server].hasRoom { return true }
        }
        if someTakesNew { return false }
        for server in servers where table[server].condition.state == .up && table[server].hasRoom { return true }
        return false
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
