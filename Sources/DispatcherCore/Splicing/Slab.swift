import CPrefetch

/// A fixed number of places for values of one plain type. Memory is touched only as far as it has been used.
struct Slab<Value>: ~Copyable {
    private let values: UnsafeMutablePointer<Value>
    private let free: UnsafeMutablePointer<UInt32>
    private var freeCount = 0
    /// Places that have ever been used.
    private(set) var touched = 0
    let capacity: Int
    /// Places in use.
    var count: Int { touched - freeCount }

    init(capacity: Int) {
        self.capacity = capacity
        values = .allocate(capacity: max(capacity, 1))
        free = .allocate(capacity: max(capacity, 1))
    }

    deinit {
        values.deallocate()
        free.deallocate()
    }

    /// Bytes of memory that it has when all places have been used.
    var bytes: Int { capacity * (MemoryLayout<Value>.stride + MemoryLayout<UInt32>.stride) }

    /// Takes a place for `value`; the one given back last first.
    /// - Returns: its index; nil when all are in use.
    mutating func insert(_ value: Value) -> Int? {
        guard let index = take() else { return nil }
        (values + index).initialize(to: value)
        return index
    }

    private mutating func take() -> Int? {
        let index: Int
        if freeCount > 0 {
            freeCount -= 1
            index = Int(free[freeCount])
        } else {
            guard touched < capacity else { return nil }
            index = touched
            touched += 1
        }
        return index
    }

    mutating func remove(_ index: Int) {
        precondition(index >= 0 && index < touched && freeCount < touched)
        free[freeCount] = UInt32(index)
        freeCount += 1
    }

    /// Takes a place for `value`, in a slab that has one for everybody.
    mutating func place(_ value: Value) -> UnsafeMutablePointer<Value> {
        let place = claim()
        place.initialize(to: value)
        return place
    }

    /// The same for a value that the caller sets.
    mutating func claim() -> UnsafeMutablePointer<Value> {
        guard let index = take() else { preconditionFailure("there are more values than there can be") }
        return values + index
    }

    mutating func remove(_ pointer: UnsafeMutablePointer<Value>) { remove(pointer - values) }

    /// Has the memory of a value fetched; nothing happens when there is none.
    @inline(__always) func fetchAhead(_ index: Int) {
        guard index >= 0, index < touched else { return }
        let start = UnsafeRawPointer(values + index)
        for offset in stride(from: 0, to: MemoryLayout<Value>.stride, by: 64) { sluice_prefetch(start + offset) }
    }

    /// The place itself; it stays where it is until the slab goes.
    @inline(__always) func pointer(_ index: Int) -> UnsafeMutablePointer<Value> {
        precondition(index >= 0 && index < touched)
        return values + index
    }
}
