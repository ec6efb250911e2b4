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

    func userVersion() throws -> Int? {
        try pool.read { db in try Int.fetchOne(db, sql: "PRAGMA user_version") }
    }

    /// Every column of every table and index, as `TABLE.COLUMN TYPE`.
    func columns() throws -> Set<String> {
        try pool.read { db in
            try String.fetchSet(
                db,
                sql: """
                    SELECT m.name || '.' || COALESCE(c.name, '') || ' ' || COALESCE(c.type, '') FROM sqlite_master AS m
                    JOIN pragma_table_xinfo(m.name) AS c WHERE m.name NOT LIKE 'sqlite_%'
                    """)
        }
    }

    /// Runs SQL on the connection that writes.
    func execute(_ sql: String) throws {
        try pool.writeWithoutTransaction { db in try db.execute(sql: sql) }
    }

    /// SQLite takes the database for full when it has as many pages.
    func setPageLimit(_ pages: Int) throws {
        try execute("PRAGMA max_page_count = \(pages)")
    }

    /// SQLite takes the database for read-only.
    func setQueryOnly(_ isQueryOnly: Bool) throws {
        try execute("PRAGMA query_only = \(isQueryOnly ? 1 : 0)")
    }

    /// Moves the write-ahead log into the database.
    func checkpoint() throws {
        _ = try pool.writeWithoutTransaction { db in try db.checkpoint(.truncate) }
    }
}
