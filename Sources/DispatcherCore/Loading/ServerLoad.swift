import Synchronization

/// What the dispatcher knows and decides about the load of one back-end server.
///
/// A slot of the server is in exactly one place: the not-in-use queue, the opening queue (a connection being opened that no request
/// waits for), the idle queue, or none of them (active, or being closed).
struct ServerLoad: ChosenServer, HeldServer {
    /// What it has in common with other shards: tokens for requests and tunnels, the measuring.
    let shared: UnsafeMutablePointer<SharedServer>
    let endpoint: Endpoint
    /// The dispatcher's address that it sees, of its own family.
    let source: IPAddress
    /// The most payload that a segment to it may have, and the MSS that it is told; bytes.
    let segmentSize: Int
    var toldMSS: Int
    let pool: Int
    /// Its place in the list of its pool.
    var index: Int
    var minimum: Int
    var maximum: Int
    /// How many slots of it are this shard's.
    var slots = 0
    var weight = 1
    var isBackup = false
    var condition = ServerCondition()
    /// From when on its tunnels are reset; `distantFuture` = they stay.
    var tunnelsEndAfter = Instant.distantFuture
    /// Since when it takes part again with a part of its limit and weight; `distantPast` = it has all of them.
    var slowSince = Instant.distantPast
    /// How far it lags behind in smooth weighted round robin.
    var credit = 0.0
    /// Since when it has idle connections beyond its limit, and how many all the time; `distantFuture` = it has none.
    var excessSince = Instant.distantFuture
    var excess = 0
    /// Whether what waits for it must be looked at: it was ejected.
    var wantsReorder = false

    var notInUse = SlotQueue()
    var opening = SlotQueue()
    var idle = SlotQueue()
    /// Requests outstanding in this shard: dispatched, or bound to a connection that is being opened; upgrades until their 101.
    var active = 0
    /// Those of them whose body is streamed.
    var streamed = 0
    /// Connections of the pool that are being closed.
    var closing = 0
    var tunnels = 0
    /// Upgrades among the outstanding requests: each may become a tunnel.
    var upgrades = 0

    var connects: UInt64 = 0
    var connectFailures: UInt64 = 0
    var requests: UInt64 = 0
    var failures: UInt64 = 0
    /// Whether the last attempt to open a connection succeeded; true before the first.
    var isReachable = true

    /// The number of permissible connections now.
    var limit: Int {
        get { shared.pointee.requests.limit }
        nonmutating set { shared.pointee.requests.setLimit(newValue) }
    }
    var tunnelLimit: Int {
        get { shared.pointee.tunnels.limit }
        nonmutating set { shared.pointee.tunnels.setLimit(newValue) }
    }
    /// In all shards.
    var outstanding: Int { shared.pointee.requests.outstanding + shared.pointee.openTunnels.load(ordering: .relaxed) }
    var isResting: Bool { false }
    /// Whether one more request keeps it within its limit ([0034]).
    var hasRoom: Bool { shared.pointee.requests.hasRoom }
    /// Whether another request may be outstanding.
    var mayTakeRequest: Bool { hasRoom && takesNew }
    /// Whether one more request that asks for a tunnel leaves it within its tunnel limit.
    var mayTunnel: Bool { shared.pointee.tunnels.hasRoom }
    /// Connections that are open, or being opened.
    var connections: Int { active + opening.count + idle.count }
    /// Whether one more of them may have a body that is streamed: half of the limit, at least one, so that slow uploads leave room.
    var mayStream: Bool { shared.pointee.mayStream }
    /// Whether another connection may be opened under the limit, and a slot for it exists.
    var mayOpen: Bool { takesNew && connections < limit && !notInUse.isEmpty }
    /// An idle server has an idle connection or room to open one under its limit ([0046]).
    var isIdle: Bool { mayTakeRequest && (!idle.isEmpty || !opening.isEmpty || mayOpen) }

    /// What the limit may be at most: below what the server could hold, where that is known (claims 1, 12).
    static func maximum(_ server: ServerConfiguration, _ ports: PortPlan) -> Int {
        min(server.maximumLimit, ports.connections, server.capacity.map { max(1, $0 - 1) } ?? .max)
    }

    func bounded(_ wanted: Int) -> Int { min(max(wanted, minimum), maximum) }
}
