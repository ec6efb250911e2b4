import Foundation
import GRDB
import PushProtocol

extension SQLiteStore {
    public func accept(_ message: NewMessage, then: @escaping Completion<Acceptance?>) {
        write(grows: true, then: then) { db in
            guard let found = try Self.destinations(of: message, db) else { return nil }
            if let key = message.replayKey, let first = try Self.first(with: key, of: message.application, now: message.accepted, db) {
                return Acceptance(sequence: first, isReplay: true)
            }
            let expires = message.accepted + (message.ttl == 0 ? Self.transientLifetime : message.ttl * 1000)
            try db.cachedStatement(sql: "INSERT INTO message (application, expires, transient, accepted, body) VALUES (?, ?, ?, ?, ?)")
                .execute(arguments: [
                    message.application, expires, message.ttl == 0 ? 1 : 0, message.accepted, Data(message.body.bytes),
                ])
            let sequence = db.lastInsertedRowID
            if let key = message.replayKey { try Self.remember(key, of: message, sequence: sequence, expires: expires, db) }
            let routes = found.connected.map { MessageRoutes(expires: expires, connected: $0) }
            return Acceptance(sequence: sequence, isReplay: false, routes: routes)
        }
    }

    /// The most applications of a device for which `MessageRoute.previous` is looked for.
    private static let routedApplications = 8

    private struct Destinations {
        /// The connected devices; nil: they were not looked for, are many, or others are to be woken.
        let connected: [MessageRoute]?
    }

    /// Where the message goes, before it is stored; nil: no device has its application registered.
    private static func destinations(of message: NewMessage, _ db: Database) throws -> Destinations? {
        guard message.wantsRoutes else {
            let exists = try Int64.fetchOne(
                db.cachedStatement(sql: "SELECT 1 FROM application WHERE number = ?"), arguments: [message.application])
            return exists.map { _ in Destinations(connected: nil) }
        }
        let statement = try db.cachedStatement(
            sql: """
                SELECT registration.device, device.worker, device.wake_ip IS NOT NULL AND device.wake_due IS NULL,
                    CASE WHEN device.worker IS NOT NULL THEN (
                        SELECT CASE WHEN COUNT(*) <= ?2 THEN IFNULL(MAX(previous), 0) END FROM (
                            SELECT (
                                SELECT sequence FROM message WHERE application = own.application ORDER BY sequence DESC LIMIT 1) AS previous
                            FROM registration AS own WHERE own.device = registration.device LIMIT ?2 + 1)) END
                FROM registration LEFT JOIN device ON device.id = registration.device WHERE registration.application = ?1 LIMIT ?3
                """)
        var connected: [MessageRoute] = []
        var (count, hasSleepers) = (0, false)
        let rows = try Row.fetchCursor(statement, arguments: [message.application, routedApplications, MessageRoutes.limit + 1])
        while let row = try rows.next() {
            count += 1
            if let name = try row.decode(String?.self, atIndex: 1) {
                guard let device = DeviceID(bytes: try row.decode(Data.self, atIndex: 0)), let worker = WorkerName(name) else { continue }
                let recipient = Recipient(device: device, worker: worker)
                connected.append(MessageRoute(recipient: recipient, previous: try row.decode(atIndex: 3)))
            } else if try row.decode(Bool.self, atIndex: 2) {
                hasSleepers = true
            }
        }
        guard count > 0 else { return nil }
        return Destinations(connected: count > MessageRoutes.limit || hasSleepers ? nil : connected)
    }

    public func pending(_ query: PendingQuery, then: @escaping Completion<[StoredMessage]>) {
        read(then: then) { db in
            let id = Data(query.device.bytes)
            let registrations = try Row.fetchAll(
                db.cachedStatement(
                    sql: """
                        SELECT registration.application, registration.cursor, application.token
                        FROM registration JOIN application ON application.number = registration.application WHERE registration.device = ?
                        """), arguments: [id])
            let statement = try db.cachedStatement(
                sql: """
                    SELECT sequence, transient, body, accepted, expires FROM message
                    WHERE application = ?1 AND sequence > ?2 AND sequence <= ?3 AND expires > ?4 AND (transient = 0 OR sequence > ?5)
                    AND NOT EXISTS (SELECT 1 FROM acknowledged WHERE device = ?6 AND application = ?1 AND sequence = message.sequence)
                    ORDER BY sequence LIMIT ?7
                    """)
            var messages: [StoredMessage] = []
            for registration in registrations {
                guard let token = AppToken(bytes: Array(try registration.decode(Data.self, atIndex: 2))) else { continue }
                let number = try registration.decode(Int64.self, atIndex: 0)
                let after = max(query.after, try registration.decode(Int64.self, atIndex: 1))
                let arguments: StatementArguments = [
                    number, after, query.through, query.now, query.transientAfter ?? .max, id, query.limit,
                ]
                let rows = try Row.fetchCursor(statement, arguments: arguments)
                while let row = try rows.next() {
                    messages.append(
                        StoredMessage(
                            sequence: try row.decode(atIndex: 0), appToken: token,
                            body: NotificationBody(bytes: Array(try row.decode(Data.self, atIndex: 2))),
                            isTransient: try row.decode(Int64.self, atIndex: 1) == 1, accepted: try row.decode(atIndex: 3),
                            expires: try row.decode(atIndex: 4)))
                }
            }
            guard registrations.count > 1 else { return messages }
            return Array(messages.sorted { $0.sequence < $1.sequence }.prefix(query.limit))
        }
    }

    public func arrivals(for worker: WorkerName, after: Int64, then: @escaping Completion<Arrivals>) {
        read(then: then) { db in
            let through = try Self.lastSequence(db)
            let statement = try db.cachedStatement(
                sql: """
                    SELECT registration.device, MAX(message.sequence) FROM message
                    CROSS JOIN registration ON registration.application = message.application
                    CROSS JOIN device ON device.id = registration.device
                    WHERE message.sequence > ? AND message.sequence <= ? AND device.worker = ? GROUP BY registration.device
                    """)
            var devices: [DeviceID: Int64] = [:]
            let rows = try Row.fetchCursor(statement, arguments: [after, through, worker.description])
            while let row = try rows.next() {
                if let device = DeviceID(bytes: try row.decode(Data.self, atIndex: 0)) { devices[device] = try row.decode(atIndex: 1) }
            }
            return Arrivals(devices: devices, through: through)
        }
    }

    // MARK: Acknowledgements

    public func acknowledge(_ acknowledgements: [Acknowledgement], then: @escaping Completion<Int>) {
        write(always: true, then: then) { db in
            var ignored = 0
            var applications: Set<Int64> = []
            for acknowledgement in acknowledgements {
                switch try Self.acknowledge(acknowledgement, db) {
                case .ignored: ignored += 1
                case .transient, .deleted: break
                case .removed(let application): applications.insert(application)
                }
            }
            for application in applications { try Self.trim(application, db) }
            return ignored
        }
    }

    private enum AcknowledgementOutcome {
        /// The message is not pending for the device.
        case ignored
        /// It had a ttl of 0, so nothing waits for the acknowledgement.
        case transient
        /// Nobody waits for the message any more, and it is gone.
        case deleted
        /// The application may have messages that nobody waits for any more.
        case removed(application: Int64)
    }

    private static func acknowledge(_ acknowledgement: Acknowledgement, _ db: Database) throws -> AcknowledgementOutcome {
        let id = Data(acknowledgement.device.bytes)
        if try removeOnlyCopy(acknowledgement.sequence, device: id, db) { return .deleted }
        let message = try Row.fetchOne(
            db.cachedStatement(sql: "SELECT application, transient FROM message WHERE sequence = ?"), arguments: [acknowledgement.sequence])
        guard let message else { return .ignored }
        let application = try message.decode(Int64.self, atIndex: 0)
        let cursor = try Int64.fetchOne(
            db.cachedStatement(sql: "SELECT cursor FROM registration WHERE device = ? AND application = ?"), arguments: [id, application])
        guard let cursor else { return .ignored }
        if try message.decode(Int64.self, atIndex: 1) == 1 { return .transient }
        guard acknowledgement.sequence > cursor else { return .ignored }

        let first = try firstPending(of: application, device: id, after: cursor, db)
        guard first == acknowledgement.sequence else {
            try db.cachedStatement(sql: "INSERT OR IGNORE INTO acknowledged (device, application, sequence) VALUES (?, ?, ?)")
                .execute(arguments: [id, application, acknowledgement.sequence])
            return db.changesCount > 0 ? .removed(application: application) : .ignored
        }
        let next = try firstPending(of: application, device: id, after: acknowledgement.sequence, db)
        // One with a ttl of 0 that came behind what is acknowledged may not have been read for the device yet.
        let transient = try Int64.fetchOne(
            db.cachedStatement(
                sql: """
                    SELECT sequence FROM message WHERE application = ? AND sequence > ? AND sequence < ? AND transient = 1
                    ORDER BY sequence LIMIT 1
                    """), arguments: [application, acknowledgement.sequence, next ?? .max])
        let moved = min(try next.map { $0 - 1 } ?? lastSequence(db), transient.map { $0 - 1 } ?? .max)
        try db.cachedStatement(sql: "UPDATE registration SET cursor = ? WHERE device = ? AND application = ?")
            .execute(arguments: [moved, id, application])
        try db.cachedStatement(sql: "DELETE FROM acknowledged WHERE device = ? AND application = ? AND sequence <= ?")
            .execute(arguments: [id, application, moved])
        return .removed(application: application)
    }

    /// Removes a message that is pending for the device and for nobody else; false: it is not, and nothing was done.
    ///
    /// The device's cursor may stay where it is, for what is gone is not pending. Where it has acknowledged other messages of the
    /// application out of order, however, the cursor is moved past them.
    private static func removeOnlyCopy(_ sequence: Int64, device: Data, _ db: Database) throws -> Bool {
        try db.cachedStatement(
            sql: """
                DELETE FROM message WHERE sequence = ?1 AND transient = 0
                AND (
                    SELECT COUNT(*) = 1 AND MIN(device) = ?2 AND MIN(cursor) < ?1
                    FROM (SELECT device, cursor FROM registration WHERE application = message.application LIMIT 2))
                AND NOT EXISTS (SELECT 1 FROM acknowledged WHERE device = ?2 AND application = message.application)
                """
        ).execute(arguments: [sequence, device])
        return db.changesCount > 0
    }

    private static func firstPending(of application: Int64, device: Data, after: Int64, _ db: Database) throws -> Int64? {
        try Int64.fetchOne(
            db.cachedStatement(
                sql: """
                    SELECT sequence FROM message WHERE application = ?1 AND sequence > ?2 AND transient = 0
                    AND NOT EXISTS (SELECT 1 FROM acknowledged WHERE device = ?3 AND application = ?1 AND sequence = message.sequence)
                    ORDER BY sequence LIMIT 1
                    """), arguments: [application, after, device])
    }

    // MARK: Parts

    /// The greatest sequence number that was given.
    static func lastSequence(_ db: Database) throws -> Int64 {
        try Int64.fetchOne(db.cachedStatement(sql: "SELECT seq FROM sqlite_sequence WHERE name = 'message'")) ?? 0
    }

    /// Removes the messages that every registered device has acknowledged.
    static func trim(_ application: Int64, _ db: Database) throws {
        try db.cachedStatement(
            sql: """
                DELETE FROM message WHERE application = ?1 AND transient = 0
                AND sequence <= (SELECT MIN(cursor) FROM registration WHERE application = ?1)
                """
        ).execute(arguments: [application])
    }
}
