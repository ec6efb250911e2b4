import DispatcherCore

/// The hardware addresses of one link's hosts, and what is being done to learn them: asked three times, trusted for a minute, probed
/// before that is over while in use (RFC 1122 2.3.2.1, timeout and unicast poll; RFC 4861 7.3). A value that is told the time and says what to ask;
/// how it is asked is its owner's: ARP for IPv4, neighbour solicitations for IPv6.
struct NeighbourTable: ~Copyable {
    enum Resolution: Equatable {
        case at(HardwareAddress)
        /// The answer is awaited; packets may wait under this entry's number.
        case waits(entry: Int)
        /// It did not answer a moment ago.
        case unresolved
        /// There are too many neighbours.
        case full
    }

    /// What the owner has to do.
    enum Event: Equatable {
        /// Ask for an address; `.broadcast`: whoever has it, else only the neighbour itself.
        case ask(IPAddress, of: HardwareAddress)
        /// What waits under this entry may leave.
        case resolved(entry: Int, HardwareAddress)
        /// What waits under this entry is lost.
        case lost(entry: Int)
    }

    /// How long an answer is trusted.
    static let lifetime = Interval.seconds(60)
    /// How long before its end a neighbour in use is probed for the first time.
    static let probing = Interval.seconds(5)
    /// Between two questions, and how long a neighbour that did not answer is left alone: RFC 1122 2.3.2.1 allows one a second, and
    /// RFC 4861 section 10 has RetransTimer and MAX_MULTICAST_SOLICIT the same.
    static let pause = Interval.seconds(1)
    /// Questions without answer.
    static let attempts: UInt8 = 3

    private enum State: UInt8 { case free, asked, known, silent }

    private struct Entry {
        var address = IPAddress(v4: 0)
        var hardware = HardwareAddress.none
        var state = State.free
        /// Questions since the last answer.
        var asked: UInt8 = 0
        /// Whether a packet went there since the last answer.
        var isUsed = false
        /// When something is to be done about it.
        var due = Instant.distantFuture
        /// Until when the answer is trusted.
        var expiry = Instant.distantPast
    }

    let capacity: Int
    private let key: SipKey
    private let entries: UnsafeMutablePointer<Entry>
    /// Open addressing, linear; -1 = none. Twice as large as `entries`, so that there is always a gap.
    private let places: UnsafeMutablePointer<Int32>
    private let placeMask: Int
    private let unused: UnsafeMutablePointer<Int32>
    private var unusedCount: Int
    private let events: UnsafeMutablePointer<Event>
    private var eventCount = 0
    private var eventsTaken = 0
    /// Not later than anything is due.
    private(set) var nextDeadline = Instant.distantFuture
    /// Neighbours that did not answer, each time.
    private(set) var failures: UInt64 = 0
    /// The last one of them.
    private(set) var lastFailure: IPAddress?

    /// - Parameters:
    ///   - capacity: neighbours, a power of two.
    ///   - key: of this process: peers choose the addresses.
    init(capacity: Int = 1_024, key: SipKey) {
        precondition(capacity > 0 && capacity & (capacity - 1) == 0)
        let unused = UnsafeMutablePointer<Int32>.allocate(capacity: capacity)
        for index in 0..<capacity { unused[index] = Int32(capacity - 1 - index) }
        let entries = UnsafeMutablePointer<Entry>.allocate(capacity: capacity)
        entries.initialize(repeating: Entry(), count: capacity)
        let places = UnsafeMutablePointer<Int32>.allocate(capacity: 2 * capacity)
        places.initialize(repeating: -1, count: 2 * capacity)
        self.capacity = capacity
        self.key = key
        self.entries = entries
        self.places = places
        placeMask = 2 * capacity - 1
        self.unused = unused
        unusedCount = capacity
        // A call causes at most one event an entry, and the owner takes them after each.
        events = .allocate(capacity: capacity)
    }

    deinit {
        entries.deallocate()
        places.deallocate()
        unused.deallocate()
        events.deallocate()
    }

    var count: Int { capacity - unusedCount }

    // MARK: What the owner asks and tells

    /// Where a packet to this neighbour goes. A neighbour that nobody knows is asked for.
    mutating func find(_ address: IPAddress, at now: Instant) -> Resolution {
        if let index = index(of: address) {
            let entry = entries + index
            switch entry.pointee.state {
            case .known:
                entry.pointee.isUsed = true
                return .at(entry.pointee.hardware)
            case .asked: return .waits(entry: index)
            case .silent, .free: return .unresolved
            }
        }
        guard let index = insert(address) else { return .full }
        ask(entries + index, at: now)
        return .waits(entry: index)
    }

    /// A neighbour told its hardware address, to us.
    /// - Parameter isNew: whether an entry may be made for it, because it asked us. Half of the table is kept for those that we ask for.
    mutating func confirm(_ address: IPAddress, _ hardware: HardwareAddress, isNew: Bool, at now: Instant) {
        var found = index(of: address)
        if found == nil, isNew, count < capacity / 2 { found = insert(address) }
        guard let index = found else { return }
        let entry = entries + index
        let wasAwaited = entry.pointee.state == .asked
        entry.pointee.hardware = hardware
        entry.pointee.state = .known
        entry.pointee.asked = 0
        entry.pointee.isUsed = false
        entry.pointee.expiry = now + Self.lifetime
        schedule(entry, now + (Self.lifetime - Self.probing))
        if wasAwaited { note(.resolved(entry: index, hardware)) }
    }

    /// A neighbour was heard telling others: an entry that is there learns of a new hardware address (RFC 826, "merge"), but is not
    /// trusted the longer for it.
    mutating func overhear(_ address: IPAddress, _ hardware: HardwareAddress, at now: Instant) {
        guard let index = index(of: address) else { return }
        if entries[index].state == .known {
            entries[index].hardware = hardware
        } else {
            confirm(address, hardware, isNew: false, at: now)
        }
    }

    /// A neighbour advertised itself (RFC 4861 7.2.5). Advertisements that nobody waits for make no entry.
    /// - Parameters:
    ///   - hardware: nil when the advertisement does not say: it is where it was.
    ///   - isSolicited: whether it answers a question, so that it can be reached.
    ///   - overrides: whether it replaces what is known.
    mutating func hearAdvertisement(
        _ address: IPAddress, _ hardware: HardwareAddress?, isSolicited: Bool, overrides: Bool, at now: Instant
    ) {
        guard let index = index(of: address) else { return }
        let entry = entries + index
        guard entry.pointee.state == .known else {
            if let hardware { confirm(address, hardware, isNew: false, at: now) }
            return
        }
        if let hardware, hardware != entry.pointee.hardware {
            guard overrides else {
                // Another one has it as well, perhaps: the known one is not trusted for long, and probed if in use.
                entry.pointee.expiry = min(entry.pointee.expiry, now + Self.probing)
                return schedule(entry, now)
            }
            entry.pointee.hardware = hardware
        }
        if isSolicited { confirm(address, entry.pointee.hardware, isNew: false, at: now) }
    }

    /// Lets time pass.
    mutating func advance(to now: Instant) {
        guard nextDeadline <= now else { return }
        var next = Instant.distantFuture
        for index in 0..<capacity where entries[index].state != .free {
            if entries[index].due <= now { act(index, at: now) }
            if entries[index].state != .free { next = min(next, entries[index].due) }
        }
        nextDeadline = next
    }

    /// What is to be done, oldest first.
    mutating func nextEvent() -> Event? {
        guard eventsTaken < eventCount else {
            eventCount = 0
            eventsTaken = 0
            return nil
        }
        eventsTaken += 1
        return events[eventsTaken - 1]
    }

    // MARK: The life of an entry

    private mutating func act(_ index: Int, at now: Instant) {
        let entry = entries + index
        switch entry.pointee.state {
        case .asked where entry.pointee.asked < Self.attempts: ask(entry, at: now)
        case .asked:
            failures += 1
            lastFailure = entry.pointee.address
            entry.pointee.state = .silent
            schedule(entry, now + Self.pause)
            note(.lost(entry: index))
        case .silent: remove(index)
        case .known where now < entry.pointee.expiry:
            if entry.pointee.isUsed, entry.pointee.asked < Self.attempts {
                entry.pointee.asked += 1
                note(.ask(entry.pointee.address, of: entry.pointee.hardware))
            }
            schedule(entry, min(now + Self.pause, entry.pointee.expiry))
        case .known where entry.pointee.isUsed:
            // It does not answer where it was; it may have moved.
            entry.pointee.asked = 0
            ask(entry, at: now)
        case .known: remove(index)
        case .free: break
        }
    }

    private mutating func ask(_ entry: UnsafeMutablePointer<Entry>, at now: Instant) {
        entry.pointee.state = .asked
        entry.pointee.asked += 1
        schedule(entry, now + Self.pause)
        note(.ask(entry.pointee.address, of: .broadcast))
    }

    private mutating func schedule(_ entry: UnsafeMutablePointer<Entry>, _ instant: Instant) {
        entry.pointee.due = instant
        nextDeadline = min(nextDeadline, instant)
    }

    private mutating func note(_ event: Event) {
        precondition(eventCount < capacity, "the owner takes the events after each call")
        events[eventCount] = event
        eventCount += 1
    }

    // MARK: Finding

    private func home(_ address: IPAddress) -> Int { Int(truncatingIfNeeded: key.hash13(address.high, address.low, 0)) & placeMask }

    private func index(of address: IPAddress) -> Int? {
        var place = home(address)
        while places[place] >= 0 {
            let index = Int(places[place])
            if entries[index].address == address { return index }
            place = (place + 1) & placeMask
        }
        return nil
    }

    private mutating func insert(_ address: IPAddress) -> Int? {
        guard unusedCount > 0 else { return nil }
        unusedCount -= 1
        let index = Int(unused[unusedCount])
        entries[index] = Entry(address: address)
        var place = home(address)
        while places[place] >= 0 { place = (place + 1) & placeMask }
        places[place] = Int32(index)
        return index
    }

    /// Takes an entry away; what stood behind it because its own place was taken moves up.
    private mutating func remove(_ index: Int) {
        var gap = home(entries[index].address)
        while Int(places[gap]) != index { gap = (gap + 1) & placeMask }
        var place = gap
        while true {
            place = (place + 1) & placeMask
            guard places[place] >= 0 else { break }
            let home = home(entries[Int(places[place])].address)
            if (place - home) & placeMask >= (place - gap) & placeMask {
                places[gap] = places[place]
                gap = place
            }
        }
        places[gap] = -1
        entries[index] = Entry()
        unused[unusedCount] = Int32(index)
        unusedCount += 1
    }
}
