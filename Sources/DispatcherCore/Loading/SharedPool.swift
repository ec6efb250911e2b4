import Glibc
import Synchronization

/// What the shards of a dispatcher share of one pool: the order in which requests came, and which shard's have waited longest
/// (tcp.md, "Shards").
///
/// A shard that waits publishes the ticket of its queue's head, and looks for a token once more behind that; who frees a token looks at the
/// heads behind that. So one of the two sees the other, and no wait is forgotten.
struct SharedPool: ~Copyable {
    /// The ticket of a request that is repeated: it has waited its turn already.
    static let repeated: UInt64 = 0
    private static let noHead = UInt64.max

    /// A cache line of its own.
    private struct Head: ~Copyable {
        let ticket = Atomic<UInt64>(SharedPool.noHead)
        private let padding = InlineArray<7, UInt64>(repeating: 0)
    }

    private struct Waiting {
        var shards = 0
        /// Since when something waits, and how long something waited before that.
        var since = Instant.distantPast
        var before = Interval.zero
    }

    private let shards: Int
    /// One for each shard.
    private let heads: UnsafeMutablePointer<Head>
    private let next = Atomic<UInt64>(1)
    /// Requests that wait, over all shards, and a bit for each shard that has one.
    private let count = Atomic<Int>(0)
    private let waitingShards = Atomic<UInt64>(0)
    private let waiting = Mutex(Waiting())

    init(shards: Int) {
        self.shards = shards
        heads = .allocate(capacity: shards)
        for shard in 0..<shards { (heads + shard).initialize(to: Head()) }
    }

    deinit {
        heads.deinitialize(count: shards)
        heads.deallocate()
    }

    /// For a request that begins to wait: lower ones have waited longer.
    func takeTicket() -> UInt64 { next.wrappingAdd(1, ordering: .relaxed).oldValue }

    // MARK: Heads

    /// - Parameter ticket: of the request that a shard would dispatch next if it had a token; nil = it needs none.
    func publish(_ ticket: UInt64?, shard: Int) {
        heads[shard].ticket.store(ticket ?? Self.noHead, ordering: .sequentiallyConsistent)
    }

    /// The other shard whose head has waited longest; nil = no other waits for a token.
    func oldest(besides shard: Int) -> (shard: Int, ticket: UInt64)? {
        var found: (shard: Int, ticket: UInt64)?
        for other in 0..<shards where other != shard {
            let ticket = heads[other].ticket.load(ordering: .sequentiallyConsistent)
            if ticket != Self.noHead, found.map({ ticket < $0.ticket }) ?? true { found = (other, ticket) }
        }
        return found
    }

    // MARK: Waiting

    var waitingCount: Int { count.load(ordering: .relaxed) }

    /// A bit for each shard in which a request waits.
    var shardsThatWait: UInt64 { waitingShards.load(ordering: .sequentiallyConsistent) }

    func entered() { count.wrappingAdd(1, ordering: .relaxed) }
    func left() { count.wrappingSubtract(1, ordering: .relaxed) }

    /// A shard's queue is empty no more.
    func begins(shard: Int, at now: Instant) {
        waitingShards.bitwiseOr(1 << UInt64(shard), ordering: .sequentiallyConsistent)
        waiting.withLock {
            if $0.shards == 0 { $0.since = now }
            $0.shards += 1
        }
    }

    /// A shard's queue is empty.
    func ends(shard: Int, at now: Instant) {
        waitingShards.bitwiseAnd(~(1 << UInt64(shard)), ordering: .sequentiallyConsistent)
        waiting.withLock {
            $0.shards -= 1
            if $0.shards == 0, now > $0.since { $0.before = $0.before + (now - $0.since) }
        }
    }

    /// For how long, in all, something has waited.
    func waited(at now: Instant) -> Interval {
        waiting.withLock { $0.shards > 0 && now > $0.since ? $0.before + (now - $0.since) : $0.before }
    }
}
