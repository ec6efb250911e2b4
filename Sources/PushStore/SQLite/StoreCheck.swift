import Foundation
import GRDB

/// Looks for damage.
///
/// At each start a quick look, whose cost does not grow with the database: SQLite has checked the file's header and length, this checks
/// that the tables are there and that what everything hangs on makes sense. Reading every page takes as long as reading the file: that is
/// for `sluice store check`, `sluice-worker --check-store` and each back-up.
public enum StoreCheck {
    /// How many problems are named at most.
    private static let limit = 20

    /// The quick look; throws what is wrong.
    static func quick(_ db: Database) throws {
        let missing = try expectedObjects().subtracting(objects(in: db)).sorted()
        guard missing.isEmpty else { throw StoreError.damaged("it lacks \(missing.joined(separator: ", "))") }
        let identities = try Int64.fetchAll(db, sql: "SELECT identity FROM store")
        guard identities.count == 1, UInt32(exactly: identities[0]) != nil else { throw StoreError.damaged("it has no identity") }
        for (table, key) in [("message", "sequence"), ("application", "number")] {
            let given = try Int64.fetchAll(db, sql: "SELECT seq FROM sqlite_sequence WHERE name = ?", arguments: [table])
            let greatest = try Int64.fetchOne(db, sql: "SELECT MAX(\(key)) FROM \(table)") ?? 0
            guard given.count <= 1, given.first ?? 0 >= greatest else {
                throw StoreError.damaged("\(table) \(greatest) is beyond the last number that was given, \(given.first ?? 0)")
            }
        }
    }

    /// Tables and indexes of this version.
    private static func expectedObjects() throws -> Set<String> {
        let model = try DatabaseQueue()
        return try model.write { db in
            for step in SQLiteMigrations.all { try db.execute(sql: step) }
            return try objects(in: db)
        }
    }

    private static func objects(in db: Database) throws -> Set<String> {
        try String.fetchSet(db, sql: "SELECT type || ' ' || name FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
    }

    /// Everything: each page and index, and what the rows of one table say of those of others. Reads the whole file.
    static func full(_ db: Database) throws -> StoreReport {
        var report = StoreReport()
        do {
            let found = try String.fetchAll(db, sql: "PRAGMA integrity_check(\(limit))")
            if found != ["ok"] { report.problems += found.flatMap { $0.split(separator: "\n").map(String.init) } }
            try readTables(db, &report)
        } catch {
            guard StoreError.isDamage(error) || !report.problems.isEmpty else { throw error }
            if case .unavailable(let reason) = StoreError(describing: error) { report.problems.append(reason) }
        }
        return report
    }

    private static func readTables(_ db: Database, _ report: inout StoreReport) throws {
        let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard (1...SQLiteSchema.version).contains(version) else {
            throw StoreError.unavailable(
                "it has schema \(version), and this version checks up to \(SQLiteSchema.version); use the version that the workers have")
        }
        // An older one has other tables; those below have been there from the first.
        if version == SQLiteSchema.version { try quick(db) }
        for (sql, what) in relations {
            let count = try Int.fetchOne(db, sql: sql) ?? 0
            if count > 0 { report.problems.append("\(count) \(what)") }
        }
        report.messages = try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM message") ?? 0
        report.registrations = try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM registration") ?? 0
    }

    /// What must not be, each with the words for it.
    private static let relations = [
        (
            "SELECT COUNT(*) FROM registration WHERE application NOT IN (SELECT number FROM application)",
            "registrations are for an application that does not exist"
        ),
        (
            "SELECT COUNT(*) FROM message WHERE application NOT IN (SELECT number FROM application)",
            "messages are for an application that does not exist"
        ),
        (
            "SELECT COUNT(*) FROM application WHERE number NOT IN (SELECT application FROM registration)",
            "applications have no registration"
        ),
        (
            "SELECT COUNT(*) FROM registration WHERE cursor > (SELECT seq FROM sqlite_sequence WHERE name = 'message')",
            "registrations are ahead of the last message"
        ),
        (
            """
            SELECT COUNT(*) FROM acknowledged AS a WHERE NOT EXISTS
            (SELECT 1 FROM registration AS r WHERE r.device = a.device AND r.application = a.application)
            """, "acknowledgements are of devices that are not registered"
        ),
    ]

    /// There is a database in `directory`.
    public static func exists(in directory: String) -> Bool {
        FileManager.default.fileExists(atPath: SQLiteStore.path(in: directory))
    }

    /// The full check of the store in `directory`, beside running workers.
    ///
    /// - Throws: `StoreError.unavailable` when the database cannot be read at all.
    public static func run(directory: String) throws -> StoreReport {
        let start = ContinuousClock.now
        let path = SQLiteStore.path(in: directory)
        do {
            let queue = try openForReading(path)
            var report = try queue.read { db in
                var report = try full(db)
                // With what is in the log still.
                report.bytes = try (Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0) * (Int.fetchOne(db, sql: "PRAGMA page_size") ?? 0)
                return report
            }
            report.seconds = (ContinuousClock.now - start) / .seconds(1)
            return report
        } catch {
            guard case .unavailable(let reason) = StoreError(describing: error) else { throw error }
            throw StoreError.unavailable("cannot check the database \(path): \(reason)")
        }
    }

    /// A connection that changes nothing.
    static func openForReading(_ path: String) throws -> DatabaseQueue {
        guard FileManager.default.fileExists(atPath: path) else {
            throw StoreError.unavailable("there is none; name the directory that the workers have as --data")
        }
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(TimeInterval(SQLiteStore.busyTimeout))
        return try DatabaseQueue(path: path, configuration: configuration)
    }
}

/// What a check or a back-up found.
public struct StoreReport: Hashable, Sendable {
    /// What is wrong, in words; empty: nothing.
    public var problems: [String] = []
    public var messages = 0
    /// Pairs of device and application.
    public var registrations = 0
    /// The size of the database.
    public var bytes = 0
    public var seconds = 0.0
}
