import Foundation
import GRDB
import PushProtocol

/// Replay protection: which messages were accepted under which key. A row stays as long as its message may live, though that may have
/// been acknowledged long before.
extension SQLiteStore {
    /// The sequence number of the message that the application sent under `key` before; nil: there is none, or it has expired.
    static func first(with key: ReplayKey, of application: Int64, now: Int64, _ db: Database) throws -> Int64? {
        try Int64.fetchOne(
            db.cachedStatement(sql: "SELECT sequence FROM replay WHERE application = ? AND digest = ? AND expires > ?"),
            arguments: [application, Data(key.bytes), now])
    }

    /// Notes that `message` came first under `key`. Each new row takes two that have expired with it, so that they do not pile up.
    static func remember(_ key: ReplayKey, of message: NewMessage, sequence: Int64, expires: Int64, _ db: Database) throws {
        try db.cachedStatement(sql: "INSERT OR REPLACE INTO replay (application, digest, sequence, expires) VALUES (?, ?, ?, ?)")
            .execute(arguments: [message.application, Data(key.bytes), sequence, expires])
        try forgetReplays(now: message.accepted, limit: 2, db)
    }

    /// Removes rows that have expired, `limit` of them at most.
    static func forgetReplays(now: Int64, limit: Int, _ db: Database) throws {
        try db.cachedStatement(
            sql: """
                DELETE FROM replay WHERE (application, digest) IN
                (SELECT application, digest FROM replay WHERE expires <= ? ORDER BY expires LIMIT ?)
                """
        ).execute(arguments: [now, limit])
    }
}
