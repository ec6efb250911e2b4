/// The steps that make the tables, in order. A database holds the number of those that it has been through (`user_version`).
///
/// A step that has been released is never changed: what is to be different is a new step at the end.
enum SQLiteMigrations {
    /// What one step does, in SQL.
    static let all = [tables, acceptanceTime]

    private static let tables = """
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

    private static let acceptanceTime = """
        ALTER TABLE message ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;
        """
}
