import GRDB

/// The tables of the SQLite engine.
///
/// - `store`: one row: the identity, and how many connections of devices there have been.
/// - `application`: one row for each pair of WAToken and key that a device has registered.
/// - `registration`: device and application; `cursor`: the device has nothing pending of it up to this sequence number.
/// - `message`: one row a message; `transient` is 1 for a ttl of 0.
/// - `acknowledged`: what a device acknowledged past its cursor, out of order.
/// - `device`: the worker that holds its socket, and the number of that connection.
enum SQLiteSchema {
    /// Stored as `user_version`; another one is refused.
    static let version = 1

    static let statements = """
        CREATE TABLE store (identity INTEGER NOT NULL, connections INTEGER NOT NULL);
        CREATE TABLE application (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            token BLOB NOT NULL UNIQUE,
            watoken TEXT NOT NULL,
            pbkbase64 TEXT NOT NULL);
        CREATE TABLE registration (
            device BLOB NOT NULL,
            application INTEGER NOT NULL,
            cursor INTEGER NOT NULL,
            PRIMARY KEY (device, application)) WITHOUT ROWID;
        CREATE INDEX registration_application ON registration (application, cursor);
        CREATE TABLE message (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            application INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            transient INTEGER NOT NULL,
            body BLOB NOT NULL);
        CREATE INDEX message_application ON message (application);
        CREATE INDEX message_expires ON message (expires);
        CREATE TABLE acknowledged (
            device BLOB NOT NULL,
            application INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            PRIMARY KEY (device, application, sequence)) WITHOUT ROWID;
        CREATE TABLE device (
            id BLOB NOT NULL PRIMARY KEY,
            worker TEXT,
            connection INTEGER NOT NULL) WITHOUT ROWID;
        INSERT INTO sqlite_sequence (name, seq) VALUES ('message', 0);
        """

    /// Makes the tables in an empty database, with `identity` as the store's; returns the identity of the store.
    static func prepare(_ db: Database, identity: UInt32) throws -> UInt32 {
        let found = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        if found == 0 {
            try db.execute(sql: statements)
            try db.execute(sql: "INSERT INTO store (identity, connections) VALUES (?, 0)", arguments: [Int64(identity)])
            try db.execute(sql: "PRAGMA user_version = \(version)")
        } else if found != version {
            throw StoreError.unavailable(
                "the data directory was written by another version (schema \(found), this one reads \(version)); "
                    + "use another --data directory")
        }
        guard let stored = try Int64.fetchOne(db, sql: "SELECT identity FROM store"), let identity = UInt32(exactly: stored) else {
            throw StoreError.unavailable("the database has no identity: it is damaged; restore it or use another --data directory")
        }
        return identity
    }
}
