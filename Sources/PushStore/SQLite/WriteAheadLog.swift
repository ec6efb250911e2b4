import GRDB
import Glibc

/// Keeps the write-ahead log short. SQLite begins it anew when no reader is in it; readers that follow each other closely prevent that.
///
/// Used by one thread.
final class WriteAheadLog {
    /// It is emptied when it has grown to so many bytes.
    static let limit: off_t = 64 << 20
    /// How long readers are waited for, in milliseconds: writes wait as long.
    private static let patience = 50

    private let path: String
    private let limit: off_t
    /// The size at which the next attempt is made.
    private var next: off_t

    init(database: String, limit: off_t = WriteAheadLog.limit) {
        path = database + "-wal"
        self.limit = limit
        next = limit
    }

    /// Bytes; 0: there is none.
    var size: off_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_size : 0
    }

    /// Empties it if it is long, between transactions. A reader that takes long, such as a back-up, puts that off until it has grown as
    /// much again.
    func shorten(_ db: Database) throws {
        let size = size
        guard size >= next else {
            if size < limit { next = limit }
            return
        }
        try empty(db)
        let left = self.size
        next = left < limit ? limit : left + limit
    }

    /// Moves what is in it into the database, and gives its room back, if readers allow that soon.
    func empty(_ db: Database) throws {
        try db.execute(sql: "PRAGMA busy_timeout = \(Self.patience)")
        _ = try? db.checkpoint(.truncate)
        try db.execute(sql: "PRAGMA busy_timeout = \(SQLiteStore.busyTimeout * 1000)")
    }
}
