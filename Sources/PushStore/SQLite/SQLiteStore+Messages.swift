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
            let routes = try found.connected.map { connected in
                MessageRoutes(expires: expires, connected: try connected.map { try Self.route(to: $0, before: sequence, db) })
            }
            return Acceptance(sequence: sequence, isReplay: false, routes: routes)
        }
    }

    /// The most applications of a device for which `MessageRoute.previous` is looked for.
    private static let routedApplications = 8

    private struct Destinations {
        /// The connected devices; nil: they were not looked for, are many, or others are to be woken.
        let connected: [Recipient]?
    }

    /// Where the message goes; nil: no device has its application registered.
    private static func destinations(of message: NewMessage, _ db: Database) throws -> Destinations? {
        guard message.wantsRoutes else {
            let exists = try Int64.fetchOne(
                db.cachedStatement(sql: "SELECT 1 FROM application WHERE number = ?"), arguments: [message.application])
            return exists.map { _ in Destinations(connected: nil) }
        }
        let statement = try db.cachedStatement(
            sql: """
                SELECT registration.device, device.worker, device.wake_ip IS NOT NULL AND device.wake_due IS NULL
                FROM registration LEFT JOIN device ON device.id = registration.device WHERE registration.application = ? LIMIT ?
                """)
        var connected: [Recipient] = []
        var (count, hasSleepers) = (0, false)
        let rows = try Row.fetchCursor(statement, arguments: [message.application, MessageRoutes.limit + 1])
        while let row = try rows.next() {
            count += 1
            if let name = try row.decode(String?.self, atIndex: 1) {
                guard let device = DeviceID(bytes: try row.decode(Data.self, atIndex: 0)), let worker = WorkerName(name) else { continue }
                connected.append(Recipient(device: device, worker: worker))
            } else if try row.decode(Bool.self, atIndex: 2) {
                hasSleepers = true
            }
        }
        guard count > 0 else { return nil }
        return Destinations(connected: count > MessageRoutes.limit || hasSleepers ? nil : connected)
    }

    private static func route(to recipient: Recipient, before sequence: Int64, _ db: Database) throws -> MessageRoute {
        let row = try Row.fetchOne(
            db.cachedStatement(
                sql: """
                    SELECT COUNT(*), MAX(previous) FROM (
                        SELECT (
                            SELECT sequence FROM message WHERE application = registration.application AND sequence < ?2
                            ORDER BY sequence DESC LIMIT 1) AS previous
                        FROM registration WHERE device = ?1 LIMIT ?3)
                    """), arguments: [Data(recipient.device.bytes), sequence, routedApplications + 1])
        guard let row, try row.decode(Int.self, atIndex: 0) <= routedApplications else {
            return MessageRoute(recipient: recipient, previous: nil)
        }
        return MessageRoute(recipient: recipient, previous: try row.decode(Int64?.self, atIndex: 1) ?? 0)
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
        let message = try Row.fetchOne(
            db.cachedStatement(sql: "SELECT application, transient FROM message WHERE sequence = ?"), arguments: [acknowledgement.sequence])
        guard let message else { return .ignored }
        let application = try message.decode(Int64.self, atIndex: 0)
        let isTransient = try message.decode(Int64.self, atIndex: 1) == 1
        if let cursor = try soleCursor(of: application, device: id, db) {
            guard acknowledgement.sequence > cursor || isTransient else { return .ignored }
            guard !isTransient else { return .transient }
            // Nobody else waits for it. The cursor may stay where it is: what is gone is not pending.
            try db.cachedStatement(sql: "DELETE FROM message WHERE sequence = ?").execute(arguments: [acknowledgement.sequence])
            return .deleted
        }
        let cursor = try Int64.fetchOne(
            db.cachedStatement(sql: "SELECT cursor FROM registration WHERE device = ? AND application = ?"), arguments: [id, application])
        guard let cursor else { return .ignored }
        if isTransient { return .transient }
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

    /// The device's cursor of the application, if it alone has that registered, and has acknowledged nothing of it out of order that is
    /// still there.
    private static func soleCursor(of application: Int64, device: Data, _ db: Database) throws -> Int64? {
        let rows = try Row.fetchAll(
            db.cachedStatement(sql: "SELECT device, cursor FROM registration WHERE application = ? LIMIT 2"), arguments: [application])
        guard rows.count == 1, try rows[0].decode(Data.self, atIndex: 0) == device else { return nil }
        let acknowledged = try Int64.fetchOne(
            db.cachedStatement(sql: "SELECT 1 FROM acknowledged WHERE device = ? AND application = ? LIMIT 1"),
            arguments: [device, application])
        return acknowledged == nil ? try rows[0].decode(Int64.self, atIndex: 1) : nil
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
