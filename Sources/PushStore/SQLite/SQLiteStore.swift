import Foundation
import GRDB
import PushProtocol

/// The default engine: an SQLite database (WAL, synchronous=FULL) in a directory that the workers of one machine share.
///
/// Writes of a process wait for each other for 2 ms or until there are 256, and go into one transaction with one `fsync`; the processes
/// take turns by a lock file. Reads run in snapshots beside them.
public final class SQLiteStore: MessageStore {
    /// How long a ttl-0 message stays readable, in milliseconds: until the sockets that were open have got it.
    static let transientLifetime: Int64 = 60_000
    /// How many expired messages one pass removes at most.
    static let expiryBatch = 1000

    struct Write: Sendable {
        /// Does the work in the batch's transaction; what it returns reports the outcome after the commit.
        let perform: @Sendable (Database) throws -> @Sendable () -> Void
        let fail: @Sendable (StoreError) -> Void
    }
    struct Read: Sendable {
        let perform: @Sendable (Database) -> Void
        let fail: @Sendable (StoreError) -> Void
    }

    public let identity: UInt32
    let pool: DatabasePool
    private let writes: OperationLane<Write>
    private let reads: OperationLane<Read>

    /// Opens the store in `directory`, which must exist; makes it when it is empty. Several processes may do so at once.
    ///
    /// - Throws: `StoreError.unavailable` with what is wrong and what to do.
    public init(directory: String) throws {
        let turn = try TurnLock(directory: directory)
        let path = "\(directory)/messages.sqlite"
        let (pool, identity) = try turn.withLock {
            do {
                return try Self.open(path)
            } catch let error as DatabaseError {
                throw StoreError.unavailable("cannot open the database \(path): \(error.message ?? "\(error.resultCode)")")
            }
        }
        self.pool = pool
        self.identity = identity
        writes = OperationLane(
            name: "store-writes", limits: .init(gathering: 0.002, enough: 256, batch: 1024, waiting: 16_384)
        ) { Self.commit($0, to: pool, turn: turn) }
        reads = OperationLane(name: "store-reads", limits: .init(gathering: 0, enough: 1, batch: 1024, waiting: 262_144)) {
            Self.run($0, on: pool)
        }
    }

    private static func open(_ path: String) throws -> (DatabasePool, UInt32) {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = false
        configuration.busyMode = .timeout(5)
        configuration.maximumReaderCount = 2
        let pool = try DatabasePool(path: path, configuration: configuration)
        let identity = try pool.writeWithoutTransaction { db in
            // The pool opens with synchronous=NORMAL, which may lose the last commits when the machine stops.
            try db.execute(sql: "PRAGMA synchronous = FULL")
            try db.execute(sql: "PRAGMA journal_size_limit = 67108864")
            let fresh = Randomness.bytes(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            var identity: UInt32 = 0
            try db.inTransaction(.immediate) {
                identity = try SQLiteSchema.prepare(db, identity: fresh)
                return .commit
            }
            return identity
        }
        return (pool, identity)
    }

    public var waiting: StoreQueues { StoreQueues(writes: writes.length, reads: reads.length) }

    public func close() {
        writes.close()
        reads.close()
        // Closing can fail only while statements run, and both lanes have ended.
        try? pool.close()
    }

    // MARK: Batches

    private static func commit(_ batch: [Write], to pool: DatabasePool, turn: TurnLock) {
        var reports: [@Sendable () -> Void] = []
        do {
            try turn.withLock {
                try pool.writeWithoutTransaction { db in
                    try db.inTransaction(.immediate) {
                        for operation in batch { reports.append(try operation.perform(db)) }
                        return .commit
                    }
                }
            }
        } catch {
            for operation in batch { operation.fail(StoreError(describing: error)) }
            return
        }
        for report in reports { report() }
    }

    private static func run(_ batch: [Read], on pool: DatabasePool) {
        do {
            try pool.read { db in
                for operation in batch { operation.perform(db) }
            }
        } catch {
            for operation in batch { operation.fail(StoreError(describing: error)) }
        }
    }

    /// Lets `perform` wait for the next batch of writes. `always` takes it even when too many wait.
    func write<Value: Sendable>(
        always: Bool = false, then: @escaping Completion<Value>, _ perform: @escaping @Sendable (Database) throws -> Value
    ) {
        let operation = Write(
            perform: { db in
                let value = try perform(db)
                return { then(.success(value)) }
            }, fail: { then(.failure($0)) })
        if let rejection = writes.submit(operation, always: always) { then(.failure(StoreError(rejection))) }
    }

    /// Lets `perform` wait for the next snapshot.
    func read<Value: Sendable>(then: @escaping Completion<Value>, _ perform: @escaping @Sendable (Database) throws -> Value) {
        let operation = Read(
            perform: { db in
                do {
                    let value = try perform(db)
                    then(.success(value))
                } catch {
                    then(.failure(StoreError(describing: error)))
                }
            }, fail: { then(.failure($0)) })
        if let rejection = reads.submit(operation) { then(.failure(StoreError(rejection))) }
    }
}

extension StoreError {
    fileprivate init(_ rejection: OperationLane<SQLiteStore.Write>.Rejection) {
        self = rejection == .full ? .full : .closed
    }

    fileprivate init(_ rejection: OperationLane<SQLiteStore.Read>.Rejection) {
        self = rejection == .full ? .full : .closed
    }

    fileprivate init(describing error: any Error) {
        self = error as? StoreError ?? .unavailable((error as? DatabaseError).map { $0.message ?? "\($0.resultCode)" } ?? "\(error)")
    }
}
