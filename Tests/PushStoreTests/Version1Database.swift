import Foundation
import GRDB
import PushProtocol

/// A database as the first version left it, as SQL: one device with two registrations, three messages, one of them acknowledged.
struct Version1Database {
    static let identity: UInt32 = 0xC0FF_EE01
    let device = DeviceID(bytes: [UInt8](repeating: 0xD1, count: 16))!
    let news = ApplicationPair(watoken: "news", pbkbase64: "key")
    let mail = ApplicationPair(watoken: "mail", pbkbase64: "key")

    /// Writes it as the database of `directory`.
    func write(to directory: String) throws {
        let queue = try DatabaseQueue(path: "\(directory)/messages.sqlite")
        try queue.write { db in
            try db.execute(sql: Self.tables)
            try db.execute(
                sql: Self.rows,
                arguments: [
                    "identity": Int64(Self.identity), "device": Data(device.bytes), "news": Data(news.appToken.bytes),
                    "mail": Data(mail.appToken.bytes),
                ])
        }
        try queue.close()
    }

    private static let tables = """
        CREATE TABLE store (identity INTEGER NOT NULL, connections INTEGER NOT NULL);
        CREATE TABLE application (
            number INTEGER PRIMARY KEY AUTOINCREMENT, token BLOB NOT NULL UNIQUE, watoken TEXT NOT NULL, pbkbase64 TEXT NOT NULL);
        CREATE TABLE registration (
            device BLOB NOT NULL, application INTEGER NOT NULL, cursor INTEGER NOT NULL, PRIMARY KEY (device, application)) WITHOUT ROWID;
        CREATE INDEX registration_application ON registration (application, cursor);
        CREATE TABLE message (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT, application INTEGER NOT NULL, expires INTEGER NOT NULL,
            transient INTEGER NOT NULL, body BLOB NOT NULL);
        CREATE INDEX message_application ON message (application);
        CREATE INDEX message_expires ON message (expires);
        CREATE TABLE acknowledged (
            device BLOB NOT NULL, application INTEGER NOT NULL, sequence INTEGER NOT NULL,
            PRIMARY KEY (device, application, sequence)) WITHOUT ROWID;
        CREATE TABLE device (id BLOB NOT NULL PRIMARY KEY, worker TEXT, connection INTEGER NOT NULL) WITHOUT ROWID;
        PRAGMA user_version = 1;
        """

    private static let rows = """
        INSERT INTO store VALUES (:identity, 41);
        INSERT INTO application VALUES (5, :news, 'news', 'key'), (6, :mail, 'mail', 'key');
        INSERT INTO registration VALUES (:device, 5, 10), (:device, 6, 10);
        INSERT INTO message VALUES (11, 5, 9000000000000, 0, CAST('one' AS BLOB)),
            (12, 6, 9000000000000, 0, CAST('two' AS BLOB)),
            (13, 5, 9000000000000, 0, CAST('three' AS BLOB));
        INSERT INTO acknowledged VALUES (:device, 5, 13);
        INSERT INTO device VALUES (:device, '0123456789abcdef', 41);
        """
}
