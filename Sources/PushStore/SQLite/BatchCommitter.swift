import Dispatch
import GRDB

/// Writes batches of operations, each in one transaction, while the process has its turn. Used by the thread of the write lane.
///
/// A batch is taken when the turn has come: while others have it, it grows.
///
/// A transaction that fails leaves nothing behind: its operations report that, and the next batch is tried as if nothing had been.
final class BatchCommitter {
    typealias Write = SQLiteStore.Write
    /// After a failure the operations that must be done in the end wait so many seconds.
    private static let pause = 1.0

    private let pool: DatabasePool
    private let turn: TurnLock
    private let log: WriteAheadLog
    private let space: FreeSpace
    private var pace = GatheringPace()
    /// Is told how long batches are to gather, in seconds.
    var gathers: (Double) -> Void = { _ in }
    /// Takes the operations that are tried again.
    weak var lane: OperationLane<Write>?

    init(pool: DatabasePool, turn: TurnLock, log: WriteAheadLog, space: FreeSpace) {
        self.pool = pool
        self.turn = turn
        self.log = log
        self.space = space
    }

    /// - Parameter take: gives the batch; called once.
    func commit(_ take: () -> [Write]) {
        var taken: [Write]?
        do {
            try transact {
                let batch = withinSpace(take())
                taken = batch
                return batch
            } perform: { operation, db in
                try operation.perform(db)
            }
        } catch {
            // Without a turn nothing has been taken.
            let batch = taken ?? take()
            guard batch.count > 1, StoreError.isOfOneOperation(error) else {
                fail(batch, StoreError(describing: error))
                if (error as? DatabaseError)?.resultCode == .SQLITE_FULL { makeRoom() }
                return
            }
            // One operation met a damaged page, say: the others must not suffer for it.
            do {
                try transact({ batch }, perform: Self.separately)
            } catch {
                fail(batch, StoreError(describing: error))
            }
        }
    }

    /// The log may hold all the room that is left, and SQLite empties it only after a commit.
    private func makeRoom() {
        try? turn.withLock {
            try pool.writeWithoutTransaction { try log.empty($0) }
        }
    }

    /// What may be written with the room that there is; the others fail.
    private func withinSpace(_ batch: [Write]) -> [Write] {
        guard let shortage = space.shortage(inside: freeBytes) else { return batch }
        for operation in batch where operation.grows { operation.fail(shortage) }
        return batch.filter { !$0.grows }
    }

    private func freeBytes() -> UInt64 {
        let bytes = try? pool.writeWithoutTransaction { db in
            (try UInt64.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0) * (try UInt64.fetchOne(db, sql: "PRAGMA page_size") ?? 0)
        }
        return bytes ?? 0
    }

    private func transact(_ take: () -> [Write], perform: (Write, Database) throws -> @Sendable () -> Void) throws {
        var reports: [@Sendable () -> Void] = []
        var number: Int64?
        try turn.withLock {
            let batch = take()
            guard !batch.isEmpty else { return }
            try pool.writeWithoutTransaction { db in
                try db.inTransaction(.immediate) {
                    for operation in batch { reports.append(try perform(operation, db)) }
                    return .commit
                }
                // What is committed is reported as such, whatever becomes of the log.
                try? log.shorten(db)
            }
            number = turn.countCommit()
        }
        if let number {
            pace.committed(number: number, at: .now)
            gathers(pace.gathering)
        }
        for report in reports { report() }
    }

    /// Performs one operation so that its failure undoes nothing else.
    private static func separately(_ operation: Write, _ db: Database) throws -> @Sendable () -> Void {
        var report: (@Sendable () -> Void)?
        do {
            try db.inSavepoint {
                report = try operation.perform(db)
                return .commit
            }
        } catch  where StoreError.isOfOneOperation(error) {
            report = { operation.fail(StoreError(describing: error)) }
        }
        return report ?? {}
    }

    private func fail(_ batch: [Write], _ error: StoreError) {
        for operation in batch where !operation.isRepeated { operation.fail(error) }
        let again = batch.filter(\.isRepeated)
        guard !again.isEmpty else { return }
        DispatchQueue.global().asyncAfter(deadline: .now() + Self.pause) { [weak lane] in
            for operation in again where lane?.submit(operation, always: true) != nil || lane == nil { operation.fail(.closed) }
        }
    }
}
