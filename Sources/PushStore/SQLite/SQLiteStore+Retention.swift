import Foundation
import GRDB
public import PushProtocol

/// What goes by itself: expired messages, devices that have not been connected for long, and the room that they took.
extension SQLiteStore {
    /// How many devices one pass forgets at most.
    static let unseenBatch = 100
    /// How many replay keys one pass removes at most.
    private static let replayBatch = 1000
    /// As many free pages of 4 KiB stay in the file: soon used again.
    static let freePagesKept = 2048
    /// How many one pass gives back at most.
    private static let freePagesGivenBack = 2048
    private static let dayLength: Int64 = 86_400_000

    public func removeExpired(now: Int64, then: @escaping Completion<[ExpiredMessage]>) {
        write(then: then) { db in
            try StoreClock.note(now, db)
            let rows = try Row.fetchAll(
                db.cachedStatement(
                    sql: """
                        DELETE FROM message WHERE sequence IN (SELECT sequence FROM message WHERE expires <= ? ORDER BY expires LIMIT ?)
                        RETURNING sequence, transient
                        """), arguments: [now, Self.expiryBatch])
            let removed = try rows.map {
                ExpiredMessage(sequence: try $0.decode(atIndex: 0), isTransient: try $0.decode(Int64.self, atIndex: 1) == 1)
            }
            if !removed.isEmpty {
                try db.cachedStatement(
                    sql: "DELETE FROM acknowledged WHERE NOT EXISTS (SELECT 1 FROM message WHERE message.sequence = acknowledged.sequence)"
                ).execute()
            }
            try Self.forgetReplays(now: now, limit: Self.replayBatch, db)
            if removed.count < Self.expiryBatch { try Self.giveBackPages(db) }
            return removed
        }
    }

    public func removeUnseen(since: Int64, then: @escaping Completion<Int>) {
        write(then: then) { db in
            let devices = try Data.fetchAll(
                db.cachedStatement(sql: "SELECT device FROM seen WHERE day < ? ORDER BY day LIMIT ?"),
                arguments: [Self.day(of: since), Self.unseenBatch])
            for device in devices { try Self.forget(device, db) }
            return devices.count
        }
    }

    public func noteConnected(_ devices: [DeviceID], then: @escaping Completion<Void>) {
        write(then: then) { [self] db in
            let day = Self.day(of: now)
            // Only of those that are in the table: a device that was unregistered meanwhile does not come back.
            let statement = try db.cachedStatement(sql: "UPDATE seen SET day = ?1 WHERE device = ?2 AND day <> ?1")
            for device in devices { try statement.execute(arguments: [day, Data(device.bytes)]) }
        }
    }

    // MARK: Parts

    /// Days since 1970.
    static func day(of time: Int64) -> Int64 { time / dayLength }

    /// Notes that the device is connected on `day`: one write a day however often it connects.
    static func noteSeen(_ id: Data, day: Int64, _ db: Database) throws {
        try db.cachedStatement(
            sql: """
                INSERT INTO seen (device, day) VALUES (?, ?)
                ON CONFLICT (device) DO UPDATE SET day = excluded.day WHERE day <> excluded.day
                """
        ).execute(arguments: [id, day])
    }

    static func forgetSeen(_ id: Data, _ db: Database) throws {
        try db.cachedStatement(sql: "DELETE FROM seen WHERE device = ?").execute(arguments: [id])
    }

    /// Makes the file shorter by a bounded number of free pages. A database made before this was possible keeps them for later use.
    private static func giveBackPages(_ db: Database) throws {
        let free = try Int.fetchOne(db.cachedStatement(sql: "PRAGMA freelist_count")) ?? 0
        guard free > freePagesKept else { return }
        try db.execute(sql: "PRAGMA incremental_vacuum(\(min(free - freePagesKept, freePagesGivenBack)))")
    }
}
