/// What routers told of the paths to peers: the largest packet that gets through, kept for ten minutes (RFC 1191 section 6.3: not raised
/// before), so that a peer's next connection need not find it out again.
///
/// A bounded table in sets of four places; a peer's set is chosen by a keyed hash, and in a full set the oldest value goes. Only an error
/// about a segment in flight gets in, so what fills it are peers with connections.
struct PathTable: ~Copyable {
    private struct Entry {
        var high: UInt64 = 0
        var low: UInt64 = 0
        /// Nanoseconds; 0 = a free place.
        var until: Int64 = 0
        var mtu: UInt16 = 0
        var side = Side.client
    }

    private static let ways = 4
    /// How long a value holds; it is never raised before (RFC 1191 section 6.3).
    static let lifetime = Interval.seconds(600)

    private let entries: UnsafeMutablePointer<Entry>
    private let sets: Int
    private let key: SipKey
    private var isEmpty = true

    /// - Parameter sets: how many sets of four peers; a power of two.
    init(sets: Int = 256, key: SipKey) {
        precondition(sets > 0 && sets & (sets - 1) == 0, "a set is found by a mask")
        let entries = UnsafeMutablePointer<Entry>.allocate(capacity: sets * Self.ways)
        entries.initialize(repeating: Entry(), count: sets * Self.ways)
        self.entries = entries
        self.sets = sets
        self.key = key
    }

    deinit { entries.deallocate() }

    private func set(of peer: IPAddress, _ side: Side) -> UnsafeMutablePointer<Entry> {
        entries + (Int(truncatingIfNeeded: key.hash13(peer.high, peer.low, UInt64(side.rawValue))) & (sets - 1)) * Self.ways
    }

    private func isOf(_ entry: Entry, _ peer: IPAddress, _ side: Side, at now: Instant) -> Bool {
        entry.low == peer.low && entry.high == peer.high && entry.side == side && entry.until > now.nanoseconds
    }

    /// The largest packet that gets to a peer, bytes with its IP header; nil = nothing is known.
    func mtu(to peer: IPAddress, on side: Side, at now: Instant) -> Int? {
        if isEmpty { return nil }
        let set = set(of: peer, side)
        for way in 0..<Self.ways where isOf(set[way], peer, side, at: now) { return Int(set[way].mtu) }
        return nil
    }

    /// Most payload bytes of a segment to a peer, as far as its path is known; `Int.max` = nothing is known.
    func segmentSize(to peer: IPAddress, on side: Side, at now: Instant) -> Int {
        mtu(to: peer, on: side, at: now).map { $0 - PathMTU.headers(to: peer) } ?? .max
    }

    /// Keeps what a router told, from `now` on for ten minutes; a larger value than the one that holds is not taken.
    mutating func note(_ mtu: Int, to peer: IPAddress, on side: Side, at now: Instant) {
        isEmpty = false
        let set = set(of: peer, side)
        var place = 0
        for way in 0..<Self.ways {
            if isOf(set[way], peer, side, at: now) {
                guard mtu <= Int(set[way].mtu) else { return }
                place = way
                break
            }
            if set[way].until < set[place].until { place = way }
        }
        set[place] = Entry(high: peer.high, low: peer.low, until: (now + Self.lifetime).nanoseconds, mtu: UInt16(clamping: mtu), side: side)
    }
}

/// Path MTU discovery: what to make of a router's word (RFC 1191; RFC 8201 for IPv6).
enum PathMTU {
    /// No path is taken to be narrower: 576 bytes for IPv4 (what every host takes, RFC 791 3.2), 1,280 for IPv6 (RFC 8200 section 5).
    static func floor(to peer: IPAddress) -> Int { peer.isIPv4 ? 576 : IPHeader.leastMTUIPv6 }

    /// Bytes of the IP and TCP headers without options.
    static func headers(to peer: IPAddress) -> Int { IPHeader.length(for: peer) + 20 }

    /// The MTUs that links have, for routers that do not tell theirs (RFC 1191 section 7). What lies below the floor is left out.
    private static func plateau(below length: Int) -> Int {
        switch length {
        case 32_001...: 32_000
        case 17_915...: 17_914
        case 8_167...: 8_166
        case 4_353...: 4_352
        case 2_003...: 2_002
        case 1_493...: 1_492
        case 1_007...: 1_006
        default: 0
        }
    }

    /// The MTU to go by after a router's "too big".
    /// - Parameters:
    ///   - told: the MTU in its message, bytes; 0 from routers older than RFC 1191. One below the floor means the floor, for IPv6 too, where
    ///     RFC 8201 section 4 would have the message discarded: what came quotes a segment that did not get through.
    ///   - length: bytes of the packet that it quotes, as that one's header says.
    ///   - present: the MTU gone by so far: an old router's quote may overstate its length (RFC 1191 section 5).
    /// - Returns: nil when the packet would have fitted: such a message is forged (RFC 5927 section 7.2).
    static func heeded(told: Int, length: Int, present: Int, to peer: IPAddress) -> Int? {
        guard told < length else { return nil }
        return max(told == 0 && peer.isIPv4 ? plateau(below: min(length, present)) : told, floor(to: peer))
    }
}
