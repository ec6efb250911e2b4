/// What the limits for one client need to remember: how much it holds (connections of a service, places in a pool's queue), and how fast it
/// has come lately. A client is an IPv4 address, or the /64 of an IPv6 address: that is what one of them has to itself.
///
/// The table never grows and never says no: places come in sets of eight, chosen by a keyed hash, and a newcomer to a full set takes the
/// place of whoever loses least by it. A client that was forgotten is counted anew, so that a limit can only err in its favour. An entry
/// needs no timer: after at most a second without holding anything it equals a fresh one, and its place counts as free.
struct ClientTable: ~Copyable {
    /// Within which what is counted: a service or a pool's queue.
    struct Client {
        fileprivate var high: UInt64
        fileprivate var low: UInt64
        fileprivate var scope: UInt16

        init(_ address: IPAddress, scope: Int) {
            high = address.high
            low = address.isIPv4 ? address.low : 0
            self.scope = UInt16(scope)
        }
    }

    private struct Entry {
        var high: UInt64 = 0
        var low: UInt64 = 0
        var connections = TokenBucket()
        var requests = TokenBucket()
        var seen = Instant.distantPast
        var held: UInt32 = 0
        var scope: UInt16 = 0
        var isUsed = false

        func isSpent(at now: Instant) -> Bool { !isUsed || (held == 0 && connections.isFull(at: now) && requests.isFull(at: now)) }
    }

    private static let ways = 8

    private let entries: UnsafeMutablePointer<Entry>
    private let mask: Int
    private let key: SipKey
    /// All that is held by those in the table; 0 at rest.
    private(set) var held = 0
    /// Clients that were forgotten for want of room.
    private(set) var evictions: UInt64 = 0

    /// - Parameter capacity: how many clients it should hold at least, within 1,024 and 262,144; 0: none is ever noted.
    init(capacity: Int, key: SipKey) {
        var sets = 1
        while sets * Self.ways < min(capacity, 1 << 18) || (capacity > 0 && sets * Self.ways < 1_024) { sets *= 2 }
        let count = sets * Self.ways
        let places = UnsafeMutablePointer<Entry>.allocate(capacity: count)
        places.initialize(repeating: Entry(), count: count)
        entries = places
        mask = sets - 1
        self.key = key
    }

    deinit { entries.deallocate() }

    private func firstPlace(_ client: Client) -> Int {
        (Int(truncatingIfNeeded: key.hash13(client.high, client.low, UInt64(client.scope) | 1 << 32)) & mask) * Self.ways
    }

    private func find(_ client: Client) -> Int? {
        let first = firstPlace(client)
        for place in first..<first + Self.ways
        where entries[place].isUsed && entries[place].high == client.high && entries[place].low == client.low
            && entries[place].scope == client.scope
        {
            return place
        }
        return nil
    }

    /// The client's place; a newcomer gets that of an entry that says nothing any more, else of who holds least and came longest ago.
    private mutating func place(_ client: Client, at now: Instant) -> Int {
        if let place = find(client) {
            entries[place].seen = now
            return place
        }
        let first = firstPlace(client)
        var chosen = first
        for place in first..<first + Self.ways {
            if entries[place].isSpent(at: now) {
                chosen = place
                break
            }
            let isLess = entries[place].held < entries[chosen].held
            if isLess || (entries[place].held == entries[chosen].held && entries[place].seen < entries[chosen].seen) { chosen = place }
        }
        if !entries[chosen].isSpent(at: now) { evictions &+= 1 }
        held -= Int(entries[chosen].held)
        var entry = Entry()
        (entry.high, entry.low, entry.scope, entry.isUsed, entry.seen) = (client.high, client.low, client.scope, true, now)
        entries[chosen] = entry
        return chosen
    }

    // MARK: What it holds

    func held(by client: Client) -> Int { find(client).map { Int(entries[$0].held) } ?? 0 }

    /// It holds one more.
    mutating func hold(_ client: Client, at now: Instant) {
        let place = place(client, at: now)
        entries[place].held += 1
        held += 1
    }

    /// It holds one less; a client that was forgotten meanwhile holds none.
    mutating func release(_ client: Client) {
        guard let place = find(client), entries[place].held > 0 else { return }
        entries[place].held -= 1
        held -= 1
    }

    // MARK: How fast it comes

    /// Whether one more connection is within so many a second; takes nothing.
    func mayConnect(_ client: Client, perSecond: Int, at now: Instant) -> Bool {
        find(client).map { entries[$0].connections.allows(perSecond, at: now) } ?? true
    }

    /// Notes a new connection.
    mutating func connect(_ client: Client, perSecond: Int, at now: Instant) {
        let place = place(client, at: now)
        entries[place].connections.take(perSecond, at: now)
    }

    /// Whether one more request is within so many a second; notes it if so.
    mutating func takeRequest(_ client: Client, perSecond: Int, at now: Instant) -> Bool {
        let place = place(client, at: now)
        guard entries[place].requests.allows(perSecond, at: now) else { return false }
        entries[place].requests.take(perSecond, at: now)
        return true
    }
}

/// One second's worth of tokens, in one word: the instant at which it is full again.
struct TokenBucket {
    private var full = Instant.distantPast

    private static func each(_ perSecond: Int) -> Interval { .seconds(1) / Int64(min(max(perSecond, 1), 1_000_000_000)) }

    func isFull(at now: Instant) -> Bool { full <= now }

    func allows(_ perSecond: Int, at now: Instant) -> Bool { max(full, now) + Self.each(perSecond) <= now + .seconds(1) }

    mutating func take(_ perSecond: Int, at now: Instant) { full = max(full, now) + Self.each(perSecond) }
}
