import Foundation
import GRDB
import PushProtocol

/// The default engine: an SQLite database (WAL, synchronous=FULL) in a directory that the workers of one machine share.
///
/// Writes of a process wait for each other for some ms (`GatheringPace`) or until there are 256, and go into one transaction with one
/// `fsync`; the processes take turns by a lock file. Reads run in snapshots beside them.
public final class SQLiteStore: MessageStore {
    /// How long a ttl-0 message stays readable, in milliseconds: until the sockets that were open have got it.
    static let transientLifetime: Int64 = 60_000
    /// How many expired messages one pass removes at most.
    static let expiryBatch = 1000
    /// How long SQLite waits for a lock that another process holds, in seconds: only recovery and closing take one out of turn.
    static let busyTimeout = 5
    /// How long reads gather, as a part of how long writes do.
    private static let readShare = 0.3

    struct Write: Sendable {
        /// Does the work in the batch's transaction; what it returns reports the outcome after the commit.
        let perform: @Sendable (Database) throws -> @Sendable () -> Void
        let fail: @Sendable (StoreError) -> Void
        /// It makes the database larger: not done while the file system is nearly full.
        var grows = false
        /// It must be done in the end: tried again when its batch fails, and reported when it is done.
        var isRepeated = false
    }
    struct Read: Sendable {
        let perform: @Sendable (Database) -> Void
        let fail: @Sendable (StoreError) -> Void
    }

    public let identity: UInt32
    let pool: DatabasePool
    private let writes: OperationLane<Write>
    private let reads: OperationLane<Read>
    /// A connection of its own: what reads one row is done without a transaction around it.
    private let lookUpQueue: DatabaseQueue
    private let lookUps: OperationLane<Read>
    private let clock: StoreClock

    /// Opens the store in `directory`, which must exist; makes it when it is empty. Several processes may do so at once.
    ///
    /// - Throws: `StoreError.unavailable` with what is wrong and what to do.
    public convenience init(directory: String) throws {
        try self.init(directory: directory, machine: { MachineTime.now }, reserve: FreeSpace.reserve)
    }

    /// - Parameters:
    ///   - machine: the time of the machine.
    ///   - reserve: as in `FreeSpace`.
    ///   - logLimit: as in `WriteAheadLog`.
    init(
        directory: String, machine: @escaping @Sendable () -> MachineTime, reserve: UInt64, logLimit: off_t = WriteAheadLog.limit
    ) throws {
        let turn = try TurnLock(directory: directory)
        let path = Self.path(in: directory)
        let (pool, identity, clock) = try turn.withLock {
            do {
                try StoreBackup.continueRestored(path)
                return try Self.open(path, machine: machine)
            } catch {
                guard case .unavailable(let reason) = StoreError(describing: error) else { throw error }
                throw StoreError.unavailable("cannot open the database \(path): \(reason)")
            }
        }
        self.pool = pool
        self.identity = identity
        self.clock = clock
        let committer = BatchCommitter(
            pool: pool, turn: turn, log: WriteAheadLog(database: path, limit: logLimit),
            space: FreeSpace(directory: directory, reserve: reserve))
        writes = OperationLane(
            name: "store-writes", limits: .init(gathering: GatheringPace.shortest, enough: 256, batch: 1024, waiting: 16_384)
        ) { committer.commit($0) }
        committer.lane = writes
        reads = OperationLane(name: "store-reads", limits: .init(gathering: 0, enough: 64, batch: 1024, waiting: 262_144)) {
            Self.run($0(), on: pool)
        }
        let queue = try Self.openForLookUps(path)
        lookUpQueue = queue
        lookUps = OperationLane(name: "store-look-ups", limits: .init(gathering: 0, enough: 64, batch: 1024, waiting: 262_144)) { take in
            Self.lookUp(take(), in: queue)
        }
        committer.gathers = { [weak writes, weak reads, weak lookUps] seconds in
            writes?.gathering = seconds
            // Each snapshot begins with nothing in memory after the others' commits: where there are many, reads share some.
            let shared = seconds > GatheringPace.shortest ? seconds * Self.readShare : 0
            reads?.gathering = shared
            lookUps?.gathering = shared
        }
    }

    /// Where the database of a data directory is.
    static func path(in directory: String) -> String { "\(directory)/messages.sqlite" }

    public var now: Int64 { clock.now }

    private static func open(_ path: String, machine: @escaping @Sendable () -> MachineTime) throws -> (DatabasePool, UInt32, StoreClock) {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = false
        configuration.busyMode = .timeout(TimeInterval(busyTimeout))
        configuration.maximumReaderCount = 2
        configuration.prepareDatabase { db in
            // Free pages can be given back to the file system; that is decided before anything is written.
            guard !db.configuration.readonly, try Int.fetchOne(db, sql: "PRAGMA page_count") == 0 else { return }
            try db.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
        }
        let pool = try DatabasePool(path: path, configuration: configuration)
        let (identity, clock) = try pool.writeWithoutTransaction { db in
            // The pool opens with synchronous=NORMAL, which may lose the last commits when the machine stops.
            try db.execute(sql: "PRAGMA synchronous = FULL")
            try db.execute(sql: "PRAGMA journal_size_limit = \(WriteAheadLog.limit)")
            let fresh = Randomness.bytes(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            var opened: (UInt32, StoreClock)?
            try db.inTransaction(.immediate) {
                opened = (try SQLiteSchema.prepare(db, identity: fresh), try StoreClock(db, machine: machine))
                return .commit
            }
            return opened!
        }
        return (pool, identity, clock)
    }

    /// A connection that only reads, for one row at a time.
    private static func openForLookUps(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(TimeInterval(busyTimeout))
        do {
            return try DatabaseQueue(path: path, configuration: configuration)
        } catch {
            throw StoreError(describing: error)
        }
    }

    public var waiting: StoreQueues { StoreQueues(writes: writes.length, reads: reads.length + lookUps.length) }

    public func close() {
        writes.close()
        reads.close()
        lookUps.close()
        try? lookUpQueue.close()
        // The pool closes its writer first. The last connection to a database empties its log, and one that only reads cannot.
        pool.invalidateReadOnlyConnections()
        // Closing can fail only while statements run, and both lanes have ended.
        try? pool.close()
    }

    // MARK: Batches

    private static func run(_ batch: [Read], on pool: DatabasePool) {
        var begun = 0
        do {
            try pool.read { db in
                for operation in batch {
                    begun += 1
                    operation.perform(db)
                }
            }
        } catch {
            for operation in batch.dropFirst(begun) { operation.fail(StoreError(describing: error)) }
        }
    }

    private static func lookUp(_ batch: [Read], in queue: DatabaseQueue) {
        // Without a transaction each statement has a snapshot of its own.
        queue.writeWithoutTransaction { db in
            for operation in batch { operation.perform(db) }
        }
    }

    /// Lets `perform` wait for the next batch of writes.
    ///
    /// - Parameters:
    ///   - always: it is taken even when too many wait.
    ///   - grows: as in `Write`.
    ///   - isRepeated: as in `Write`.
    func write<Value: Sendable>(
        always: Bool = false, grows: Bool = false, isRepeated: Bool = false, then: @escaping Completion<Value>,
        _ perform: @escaping @Sendable (Database) throws -> Value
    ) {
        let operation = Write(
            perform: { db in
                let value = try perform(db)
                return { then(.success(value)) }
            }, fail: { then(.failure($0)) }, grows: grows, isRepeated: isRepeated)
        if let rejection = writes.submit(operation, always: always) { then(.failure(StoreError(rejection))) }
    }

    /// Lets `perform` wait for the next snapshot.
    func read<Value: Sendable>(then: @escaping Completion<Value>, _ perform: @escaping @Sendable (Database) throws -> Value) {
        read(in: reads, then: then, perform)
    }

    /// The same for one statement that reads little.
    func lookUp<Value: Sendable>(then: @escaping Completion<Value>, _ perform: @escaping @Sendable (Database) throws -> Value) {
        read(in: lookUps, then: then, perform)
    }

    private func read<Value: Sendable>(
        in lane: OperationLane<Read>, then: @escaping Completion<Value>, _ perform: @escaping @Sendable (Database) throws -> Value
    ) {
        let operation = Read(
            perform: { db in
                do {
                    let value = try perform(db)
                    then(.success(value))
                } catch {
                    then(.failure(StoreError(describing: error)))
                }
            }, fail: { then(.failure($0)) })
        if let rejection = lane.submit(operation) { then(.failure(StoreError(rejection))) }
    }
}

extension StoreError {
    fileprivate init(_ rejection: OperationLane<SQLiteStore.Write>.Rejection) {
        self = rejection == .full ? .full : .closed
    }

    fileprivate init(_ rejection: OperationLane<SQLiteStore.Read>.Rejection) {
        self = rejection == .full ? .full : .closed
    }
}
