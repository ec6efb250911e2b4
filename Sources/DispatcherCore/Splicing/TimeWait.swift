/// Front-end connections that have ended: records of 24 bytes in the order in which they ended (RFC 9293 3.6, [0064]).
///
/// Those that we closed first are in TIME_WAIT. The others are only remembered: a delayed copy of a connection's first segment would
/// still pass as the end of a handshake, because its SYN cookie is good for two minutes, and its request would be served twice.
struct TimeWait: ~Copyable {
    struct Record {
        var client: IPAddress
        var port: UInt16
        /// Index of the listening endpoint.
        var listener: UInt16 {
            get { listenerAndKind & 0x7FFF }
            set { listenerAndKind = listenerAndKind & 0x8000 | newValue }
        }
        /// Whether it is only remembered.
        var isMemory: Bool { listenerAndKind & 0x8000 != 0 }
        private var listenerAndKind: UInt16
        /// RCV.NXT: a SYN with a higher number may open the flow anew.
        var receiveNext: SequenceNumber

        init(client: Endpoint, listener: UInt16, receiveNext: SequenceNumber, isMemory: Bool = false) {
            self.client = client.address
            port = client.port
            listenerAndKind = listener | (isMemory ? 0x8000 : 0)
            self.receiveNext = receiveNext
        }
    }

    private static let secondsKept = 256

    private let records: UnsafeMutablePointer<Record>
    private let dead: UnsafeMutablePointer<Bool>
    private let capacity: Int
    private let length: Interval
    private let key: SipKey
    private var table: FlowTable
    /// Records from `head`, `used` of them, oldest first; dead ones included.
    private var head = 0
    private var used = 0
    /// For each second of the ring, how many records were added in it.
    private let added: UnsafeMutablePointer<UInt32>
    private var oldestSecond: Int64 = 0
    private(set) var count = 0

    /// - Parameters:
    ///   - capacity: records; the oldest goes when it is full.
    ///   - length: how long a record is kept; at most 250 s.
    init(capacity: Int, length: Interval, key: SipKey) {
        self.capacity = max(capacity, 1)
        self.length = min(length, .seconds(250))
        self.key = key
        records = .allocate(capacity: self.capacity)
        dead = .allocate(capacity: self.capacity)
        added = .allocate(capacity: Self.secondsKept)
        added.initialize(repeating: 0, count: Self.secondsKept)
        table = FlowTable(capacity: self.capacity)
    }

    deinit {
        records.deallocate()
        dead.deallocate()
        added.deallocate()
    }

    private func hash(_ record: Record) -> UInt64 {
        key.hash13(record.client.high, record.client.low, UInt64(record.port) << 16 | UInt64(record.listener))
    }

    private static func second(_ now: Instant) -> Int64 { now.nanoseconds / 1_000_000_000 }

    mutating func insert(_ record: Record, at now: Instant) {
        guard length > .zero else { return }
        expire(at: now)
        if let old = find(client: record.client, port: record.port, listener: record.listener, at: now) { remove(old) }
        if used == capacity { dropOldest() }
        if used == 0 { oldestSecond = Self.second(now) }
        let place = (head + used) % capacity
        (records + place).initialize(to: record)
        (dead + place).initialize(to: false)
        used += 1
        count += 1
        added[Int(Self.second(now) % Int64(Self.secondsKept))] += 1
        table.insert(hash(record), place)
    }

    /// - Returns: the record's place; nil when the flow is not in TIME_WAIT.
    mutating func find(client: IPAddress, port: UInt16, listener: UInt16, at now: Instant) -> Int? {
        if count == 0 { return nil }
        expire(at: now)
        let records = records
        let probe = Record(client: Endpoint(address: client, port: port), listener: listener, receiveNext: SequenceNumber(0))
        return table.find(hash(probe)) { index in
            records[index].port == port && records[index].client == client && records[index].listener == listener
        }
    }

    subscript(place: Int) -> Record { records[place] }

    mutating func remove(_ place: Int) {
        guard !dead[place] else { return }
        let records = records
        let key = key
        table.remove(hash(records[place]), place) { index in
            key.hash13(
                records[index].client.high, records[index].client.low, UInt64(records[index].port) << 16 | UInt64(records[index].listener))
        }
        dead[place] = true
        count -= 1
    }

    private mutating func dropOldest() {
        remove(head)
        head = (head + 1) % capacity
        used -= 1
        var second = Int(oldestSecond % Int64(Self.secondsKept))
        while added[second] == 0 {
            oldestSecond += 1
            second = Int(oldestSecond % Int64(Self.secondsKept))
        }
        added[second] -= 1
    }

    /// How many records there are at `now`; what is too old but was not dropped yet is not counted.
    func count(at now: Instant) -> Int {
        let last = Self.second(now) - (length.nanoseconds + 999_999_999) / 1_000_000_000
        guard used > 0, oldestSecond < last else { return count }
        var old = 0
        var second = oldestSecond
        while second < last, old < used {
            old += Int(added[Int(second % Int64(Self.secondsKept))])
            second += 1
        }
        var alive = count
        for step in 0..<min(old, used) where !dead[(head + step) % capacity] { alive -= 1 }
        return alive
    }

    /// Drops what is older than `length`, to within a second.
    mutating func expire(at now: Instant) {
        let last = Self.second(now) - (length.nanoseconds + 999_999_999) / 1_000_000_000
        while used > 0, oldestSecond < last {
            let second = Int(oldestSecond % Int64(Self.secondsKept))
            if added[second] == 0 { oldestSecond += 1 } else { dropOldest() }
        }
        if used == 0 { count = 0 }
    }
}
