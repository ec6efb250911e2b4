/// The steps that make the tables, in order. A database holds the number of those that it has been through (`user_version`).
///
/// A step that has been released is never changed: what is to be different is a new step at the end.
enum SQLiteMigrations {
    /// What one step does, in SQL.
    static let all = [tables, wakeUps, acceptanceTime, lastSeen, clock, replays]

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

    /// Where devices wait for wake-ups (all four columns or none), when the next one is due in milliseconds since 1970 UTC, and how many there
    /// were since the device was last known to have got everything.
    private static let wakeUps = """
        ALTER TABLE device ADD COLUMN wake_ip TEXT;
        ALTER TABLE device ADD COLUMN wake_port INTEGER;
        ALTER TABLE device ADD COLUMN wake_mcc TEXT;
        ALTER TABLE device ADD COLUMN wake_mnc TEXT;
        ALTER TABLE device ADD COLUMN wake_due INTEGER;
        ALTER TABLE device ADD COLUMN wake_attempt INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX device_wake ON device (wake_due) WHERE wake_due IS NOT NULL;
        CREATE INDEX device_worker ON device (worker) WHERE worker IS NOT NULL;
        """

    /// When each message was accepted, in milliseconds since 1970 UTC; 0: before that was kept.
    private static let acceptanceTime = """
        ALTER TABLE message ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;
        """

    /// Devices of an older database count as seen today.
    private static let lastSeen = """
        CREATE TABLE seen (device BLOB NOT NULL PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX seen_day ON seen (day);
        INSERT INTO seen SELECT DISTINCT device, unixepoch() / 86400 FROM registration;
        """

    private static let clock = """
        CREATE TABLE clock (boot TEXT NOT NULL, ahead INTEGER NOT NULL, latest INTEGER NOT NULL);
        """

    private static let replays = """
        CREATE TABLE replay (
            application INTEGER NOT NULL,
            digest BLOB NOT NULL,
            sequence INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            PRIMARY KEY (application, digest)) WITHOUT ROWID;
        CREATE INDEX replay_expires ON replay (expires);
        """
}
