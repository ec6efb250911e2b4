import Foundation
import GRDB
public import PushProtocol

extension SQLiteStore {
    public func setWakeUp(_ target: WakeUpTarget?, of device: DeviceID, connection: Int64, then: @escaping Completion<Void>) {
        write(then: then) { db in
            try db.cachedStatement(
                sql: """
                    UPDATE device SET wake_ip = ?, wake_port = ?, wake_mcc = ?, wake_mnc = ? WHERE id = ? AND connection = ?
                    """
            ).execute(arguments: Self.columns(of: target) + [Data(device.bytes), connection])
        }
    }

    public func disconnect(
        _ device: DeviceID, connection: Int64, sentThrough: Int64, pauses: WakeUpPauses, now: Int64, then: @escaping Completion<Bool>
    ) {
        write(always: true, isRepeated: true, then: then) { db in
            let id = Data(device.bytes)
            // A device without registrations leaves nothing behind.
            try db.cachedStatement(
                sql: """
                    DELETE FROM device WHERE id = ?1 AND connection = ?2
                    AND NOT EXISTS (SELECT 1 FROM registration WHERE device = ?1)
                    """
            ).execute(arguments: [id, connection])
            guard db.changesCount == 0 else {
                try Self.forgetSeen(id, db)
                return false
            }
            let attempts = try Int.fetchOne(
                db.cachedStatement(sql: "SELECT wake_attempt FROM device WHERE id = ? AND connection = ? AND wake_ip IS NOT NULL"),
                arguments: [id, connection])
            try db.cachedStatement(sql: "UPDATE device SET worker = NULL WHERE id = ? AND connection = ?")
                .execute(arguments: [id, connection])
            guard let attempts else { return false }
            return try Self.sleep(id, sentThrough: sentThrough, attempts: attempts, pauses: pauses, now: now, db)
        }
    }

    /// A device that can be woken has lost its socket. What it was sent and did not acknowledge counts as a wake-up that brought nobody, so
    /// that one that never acknowledges is not woken for ever.
    /// - Returns: whether it is to be woken at once.
    private static func sleep(
        _ id: Data, sentThrough: Int64, attempts: Int, pauses: WakeUpPauses, now: Int64, _ db: Database
    ) throws -> Bool {
        var (due, attempt): (Int64?, Int) = (nil, 0)
        if try hasPending(id, after: sentThrough, now: now, db) {
            due = now
        } else if try hasPending(id, after: 0, now: now, db) {
            attempt = attempts + 1
            due = pauses.due(after: attempt, at: now)
        }
        try db.cachedStatement(sql: "UPDATE device SET wake_due = ?, wake_attempt = ? WHERE id = ?")
            .execute(arguments: [due, attempt, id])
        return due == now
    }

    public func disconnectAll(of worker: WorkerName, now: Int64, then: @escaping Completion<Int>) {
        write(then: then) { db in
            // Whether they have anything pending is looked at when they are to be woken.
            try db.cachedStatement(
                sql: """
                    UPDATE device SET worker = NULL, wake_due = CASE WHEN wake_ip IS NULL THEN NULL ELSE ? END, wake_attempt = 0
                    WHERE worker = ?
                    """
            ).execute(arguments: [now, worker.description])
            return db.changesCount
        }
    }

    public func requestWakeUps(of application: Int64, now: Int64, then: @escaping Completion<Int>) {
        write(then: then) { db in
            try db.cachedStatement(
                sql: """
                    UPDATE device SET wake_due = ?, wake_attempt = 0
                    WHERE worker IS NULL AND wake_ip IS NOT NULL AND wake_due IS NULL
                    AND id IN (SELECT device FROM registration WHERE application = ?)
                    """
            ).execute(arguments: [now, application])
            return db.changesCount
        }
    }

    public func takeWakeUps(limit: Int, pauses: WakeUpPauses, now: Int64, then: @escaping Completion<WakeUps>) {
        write(then: then) { db in
            let rows = try Row.fetchAll(
                db.cachedStatement(
                    sql: """
                        SELECT id, wake_ip, wake_port, wake_mcc, wake_mnc, wake_attempt FROM device
                        WHERE wake_due <= ? AND worker IS NULL ORDER BY wake_due LIMIT ?
                        """), arguments: [now, limit])
            let change = try db.cachedStatement(sql: "UPDATE device SET wake_due = ?, wake_attempt = ? WHERE id = ?")
            var due: [WakeUp] = []
            var needless = 0
            for row in rows {
                let id = try row.decode(Data.self, atIndex: 0)
                guard let device = DeviceID(bytes: id), let target = try Self.target(row, from: 1),
                    try Self.hasPending(id, after: 0, now: now, db)
                else {
                    needless += 1
                    try change.execute(arguments: [nil, 0, id])
                    continue
                }
                let attempt = try row.decode(Int.self, atIndex: 5) + 1
                try change.execute(arguments: [pauses.due(after: attempt, at: now), attempt, id])
                due.append(WakeUp(device: device, target: target, attempt: attempt))
            }
            let next = try Int64.fetchOne(db.cachedStatement(sql: "SELECT MIN(wake_due) FROM device WHERE wake_due IS NOT NULL"))
            return WakeUps(due: due, needless: needless, next: next)
        }
    }

    public func noteAwake(_ device: DeviceID, then: @escaping Completion<Bool>) {
        write(then: then) { db in
            try db.cachedStatement(
                sql: "UPDATE device SET wake_due = NULL, wake_attempt = 0 WHERE id = ? AND worker IS NULL AND wake_attempt > 0"
            ).execute(arguments: [Data(device.bytes)])
            return db.changesCount > 0
        }
    }

    // MARK: Parts

    /// The values of the columns wake_ip, wake_port, wake_mcc, wake_mnc.
    static func columns(of target: WakeUpTarget?) -> StatementArguments {
        [target?.interface.ip, target.map { Int64($0.interface.port) }, target?.network.mcc, target?.network.mnc]
    }

    /// The same read back, from the column numbered `first`.
    private static func target(_ row: Row, from first: Int) throws -> WakeUpTarget? {
        guard let ip = try row.decode(String?.self, atIndex: first),
            let port = try row.decode(Int64?.self, atIndex: first + 1).flatMap({ UInt16(exactly: $0) }),
            let mcc = try row.decode(String?.self, atIndex: first + 2), let mnc = try row.decode(String?.self, atIndex: first + 3)
        else { return nil }
        return WakeUpTarget(interface: DeviceInterface(ip: ip, port: port), network: MobileNetwork(mcc: mcc, mnc: mnc))
    }

    /// Whether the device has a message after `after` to get that outlives a sleep.
    private static func hasPending(_ device: Data, after: Int64, now: Int64, _ db: Database) throws -> Bool {
        try Int64.fetchOne(
            db.cachedStatement(
                sql: """
                    SELECT 1 FROM registration CROSS JOIN message ON message.application = registration.application
                    WHERE registration.device = ?1 AND message.sequence > MAX(registration.cursor, ?2) AND message.transient = 0
                    AND message.expires > ?3
                    AND NOT EXISTS (
                        SELECT 1 FROM acknowledged WHERE acknowledged.device = ?1
                        AND acknowledged.application = message.application AND acknowledged.sequence = message.sequence)
                    LIMIT 1
                    """), arguments: [device, after, now]) != nil
    }
}
