/// What the dispatcher knows and decides about the load of one back-end server.
///
/// A slot of the server is in exactly one place: the not-in-use queue, the opening queue (a connection being opened that no request
/// waits for), the idle queue, or none of them (active, or being closed).
struct ServerLoad {
    let endpoint: Endpoint
    let pool: Int
    /// Index within its pool.
    let index: Int
    /// The number of permissible connections now.
    var limit: Int
    let minimum: Int
    let maximum: Int
    let tunnelLimit: Int

    var notInUse = SlotQueue()
    var opening = SlotQueue()
    var idle = SlotQueue()
    /// Requests outstanding: dispatched, or bound to a connection that is being opened; upgrades until their 101.
    var active = 0
    /// Those of them whose body is streamed.
    var streamed = 0
    /// Connections of the pool that are being closed.
    var closing = 0
    var tunnels = 0

    var connects: UInt64 = 0
    var connectFailures: UInt64 = 0
    var requests: UInt64 = 0
    var isUp = true

    /// Whether another request may be outstanding ([0034]).
    var mayTakeRequest: Bool { active < limit }
    /// Whether one more of them may have a body that is streamed: half of the limit, at least one, so that slow uploads leave room.
    var mayStream: Bool { streamed < max(1, limit / 2) }
    /// Whether another connection may be opened under the limit, and a slot for it exists.
    var mayOpen: Bool { active + opening.count + idle.count < limit && !notInUse.isEmpty }
    /// An idle server has an idle connection or room to open one under its limit ([0046]).
    var isIdle: Bool { mayTakeRequest && (!idle.isEmpty || !opening.isEmpty || mayOpen) }

    mutating func setLimit(_ wanted: Int) { limit = min(max(wanted, minimum), maximum) }
}

/// Where a request may go.
enum ServerChoice: Equatable {
    /// An open connection that has been idle longest.
    case idle(slot: Int)
    /// A connection that is being opened anyway.
    case opening(slot: Int)
    /// A slot without connection.
    case notInUse(slot: Int)
}
