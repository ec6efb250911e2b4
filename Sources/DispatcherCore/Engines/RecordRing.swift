/// What is on its way to the log: a ring that never grows.
struct RecordRing<Record>: ~Copyable {
    private let records: UnsafeMutablePointer<Record>
    private let capacity: Int
    private var head = 0
    private var count = 0

    init(capacity: Int) {
        self.capacity = max(capacity, 1)
        records = .allocate(capacity: self.capacity)
    }

    deinit { records.deallocate() }

    /// - Returns: false when it is full: the record is lost.
    mutating func append(_ record: Record) -> Bool {
        guard count < capacity else { return false }
        (records + (head + count) % capacity).initialize(to: record)
        count += 1
        return true
    }

    mutating func drain(_ body: (borrowing Record) -> Void) {
        while count > 0 {
            body(records[head])
            head = (head + 1) % capacity
            count -= 1
        }
    }
}
