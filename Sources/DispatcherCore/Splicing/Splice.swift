/// The life of one response on a back-end connection, its epoch: the ranges B0..Bend and X0..Xend that translate into each other ([0062]).
///
/// All bytes of the epoch have one delta. The part before `floor` is in the dispatcher's custody: acknowledged to the server by us
/// (a head that came in pieces). Behind it the client's own acknowledgements are translated and passed on ([0063]).
struct Splice {
    /// The front-end connection's generation.
    var frontGeneration: UInt32 = 0
    /// B0. What lies before it belongs to an old epoch and is never forwarded.
    var start = SequenceNumber(0)
    /// X0 - B0.
    var delta: UInt32 = 0
    /// Up to here we acknowledge to the server ourselves.
    var floor = SequenceNumber(0)
    /// Whether the end is known, and how many bytes after B it lies.
    var endKnown = false
    var remaining: UInt64 = 0
    /// Bytes of this epoch that the client has acknowledged: the window shown to the server begins with `firstWindow` and grows by them.
    var acknowledged: UInt64 = 0
    var firstWindow = 0
    /// In a tunnel: from the client's numbers to those toward the server.
    var clientDelta: UInt32 = 0
    var clientStart = SequenceNumber(0)

    func toClient(_ number: SequenceNumber) -> SequenceNumber { SequenceNumber(number.value &+ delta) }
    func toServer(_ number: SequenceNumber) -> SequenceNumber { SequenceNumber(number.value &- delta) }

    private static let reach = 1 << 30

    /// Lets B0 and the floor follow what the client has acknowledged, and the tunnel's start what the server has: modular comparison does
    /// not reach farther than 2 GiB, and what lies this far behind is past all doubt.
    mutating func follow(serverNumber reached: SequenceNumber) {
        guard reached.distance(from: start) > Self.reach else { return }
        start = reached - Self.reach / 2
        floor = SequenceNumber.later(floor, start)
    }

    mutating func follow(clientNumber reached: SequenceNumber) {
        if reached.distance(from: clientStart) > Self.reach { clientStart = reached - Self.reach / 2 }
    }

    /// Bend, when it is known and near enough for a sequence number to name it.
    func end(from receiveNext: SequenceNumber) -> SequenceNumber? {
        endKnown && remaining < 1 << 30 ? receiveNext + Int(remaining) : nil
    }
}
