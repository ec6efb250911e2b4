import Synchronization

/// What a server has sent, counted by each shard in a cell of its own: a packet costs no lock and no other shard's cache line. Whoever looks
/// at the measuring takes what has come since.
struct ServerTraffic: ~Copyable {
    /// A cache line of its own; only its shard writes there.
    struct Cell: ~Copyable {
        fileprivate let bytes = Atomic<Int>(0)
        fileprivate let packets = Atomic<Int>(0)
        private let padding = InlineArray<6, UInt64>(repeating: 0)

        /// One packet from the server with so many bytes that are new.
        @inline(__always) func carried(_ count: Int) {
            bytes.store(bytes.load(ordering: .relaxed) &+ count, ordering: .relaxed)
            packets.store(packets.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        }
    }

    private let cells: UnsafeMutablePointer<Cell>
    private let shards: Int
    /// What was taken so far.
    private var bytes = 0
    private var packets = 0

    init(shards: Int) {
        self.shards = shards
        cells = .allocate(capacity: shards)
        for shard in 0..<shards { (cells + shard).initialize(to: Cell()) }
    }

    deinit {
        cells.deinitialize(count: shards)
        cells.deallocate()
    }

    /// Where a shard counts; it stays there.
    func cell(of shard: Int) -> UnsafeMutablePointer<Cell> {
        precondition((0..<shards).contains(shard))
        return cells + shard
    }

    /// What has come since the last call; for one shard at a time.
    @inline(__always) mutating func take() -> (bytes: Int, packets: Int) {
        var (allBytes, allPackets) = (0, 0)
        for shard in 0..<shards {
            allBytes &+= cells[shard].bytes.load(ordering: .relaxed)
            allPackets &+= cells[shard].packets.load(ordering: .relaxed)
        }
        defer { (bytes, packets) = (allBytes, allPackets) }
        return (allBytes &- bytes, allPackets &- packets)
    }
}
