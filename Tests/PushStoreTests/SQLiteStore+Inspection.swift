import GRDB

@testable import PushStore

/// What tests look at behind the protocol.
extension SQLiteStore {
    func rowCount(of table: String) throws -> Int {
        try pool.read { db in try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM \(table)") ?? 0 }
    }

    /// What the connection that writes says about its durability: 2 is FULL.
    func synchronousLevel() throws -> Int? {
        try pool.writeWithoutTransaction { db in try Int.fetchOne(db, sql: "PRAGMA synchronous") }
    }

    func setUserVersion(_ version: Int) throws {
        try pool.writeWithoutTransaction { db in try db.execute(sql: "PRAGMA user_version = \(version)") }
    }
}
