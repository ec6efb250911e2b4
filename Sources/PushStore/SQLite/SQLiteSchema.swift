import GRDB

/// The tables of the SQLite engine.
///
/// - `store`: one row: the identity, and how many connections of devices there have been.
/// - `application`: one row for each pair of WAToken and key that a device has registered.
/// - `registration`: device and application; `cursor`: the device has nothing pending of it up to this sequence number.
/// - `message`: one row a message; `transient` is 1 for a ttl of 0; `accepted` is 0 for one of a time when it was not noted.
/// - `acknowledged`: what a device acknowledged past its cursor, out of order.
/// - `device`: the worker that holds its socket, and the number of that connection; where it waits for wake-ups when it has none, and what
///   is due.
/// - `seen`: the day (of the store's time, since 1970) on which a device was connected last.
/// - `clock`: one row: how far the store's time is ahead of the time since the boot `boot`, and the latest that was noted; milliseconds.
/// - `replay`: which message a sender's repetition is of, while replay protection is on.
enum SQLiteSchema {
    /// The number of steps that this version knows: stored as `user_version`.
    static var version: Int { SQLiteMigrations.all.count }
    /// Marks a database as a store of ours: stored as `application_id`. The letters `SLUI`.
    static let mark = 0x534C_5549
    /// Marks a copy that `StoreBackup` has made, until it is opened as a store. The letters `SLUB`.
    static let backupMark = 0x534C_5542

    /// Brings an empty or older database to this version, with `identity` as a new store's; returns the identity of the store.
    ///
    /// Runs in the caller's transaction: a step that fails leaves the database as it was.
    ///
    /// - Throws: `StoreError.unavailable` for a database of a newer version.
    static func prepare(_ db: Database, identity: UInt32) throws -> UInt32 {
        let found = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        let mark = try Int.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        guard mark == 0 || mark == Self.mark else {
            throw StoreError.unavailable("it is a database of another program (application_id \(mark)); use another --data directory")
        }
        guard (0...version).contains(found) else {
            throw StoreError.unavailable(
                "the data directory was written by another version (schema \(found), this one reads up to \(version)); "
                    + "run that version, or use another --data directory")
        }
        if found < version {
            for step in SQLiteMigrations.all[found...] { try db.execute(sql: step) }
            if found == 0 {
                try db.execute(sql: "INSERT INTO store (identity, connections) VALUES (?, 0)", arguments: [Int64(identity)])
            }
            try db.execute(sql: "PRAGMA user_version = \(version)")
        }
        try StoreCheck.quick(db)
        if mark != Self.mark { try db.execute(sql: "PRAGMA application_id = \(Self.mark)") }
        guard let stored = try Int64.fetchOne(db, sql: "SELECT identity FROM store"), let identity = UInt32(exactly: stored) else {
            throw StoreError.damaged("it has no identity")
        }
        return identity
    }
}
