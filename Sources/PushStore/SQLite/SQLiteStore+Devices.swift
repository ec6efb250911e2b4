import Foundation
import GRDB
public import PushProtocol

extension SQLiteStore {
    public func connect(
        _ device: DeviceID, to worker: WorkerName, wakeUp: WakeUpTarget?, then: @escaping Completion<DeviceConnection>
    ) {
        write(then: then) { [self] db in
            let id = Data(device.bytes)
            let previous = try Row.fetchOne(
                db.cachedStatement(sql: "SELECT worker, wake_attempt FROM device WHERE id = ?"),
                arguments: [id])
            let name = try previous?.decode(String?.self, atIndex: 0)
            let attempt = try previous?.decode(Int.self, atIndex: 1) ?? 0
            try db.cachedStatement(sql: "UPDATE store SET connections = connections + 1").execute()
            let number = try Int64.fetchOne(db.cachedStatement(sql: "SELECT connections FROM store")) ?? 0
            // The attempts are kept: should it be gone again with nothing acknowledged, they go on.
            try db.cachedStatement(
                sql: """
                    INSERT OR REPLACE INTO device (id, worker, connection, wake_ip, wake_port, wake_mcc, wake_mnc, wake_attempt)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                    """
            ).execute(arguments: [id, worker.description, number] + Self.columns(of: wakeUp) + [attempt])
            try Self.noteSeen(id, day: Self.day(of: now), db)
            return DeviceConnection(
                number: number, previousWorker: name.flatMap { WorkerName($0) }, sequence: try Self.lastSequence(db),
                wasWoken: name == nil && attempt > 0)
        }
    }

    public func forget(_ device: DeviceID, then: @escaping Completion<Void>) {
        write(then: then) { db in
            let id = Data(device.bytes)
            try Self.forget(id, db)
        }
    }

    // MARK: Registrations

    public func register(
        _ application: ApplicationPair, for device: DeviceID, limit: Int, then: @escaping Completion<RegistrationOutcome>
    ) {
        let token = Data(application.appToken.bytes)
        write(grows: true, then: then) { [self] db in
            let found = try Self.found(application, db)
            if let found, !found.isSame { return .appTokenInUse }
            var number = found?.number
            let id = Data(device.bytes)
            if try !Self.hasRegistered(number, id, db), try Self.registrations(of: id, upTo: limit, db) >= limit { return .tooMany }
            if number == nil {
                try db.cachedStatement(sql: "INSERT INTO application (token, watoken, pbkbase64) VALUES (?, ?, ?)")
                    .execute(arguments: [token, application.watoken, application.pbkbase64])
                number = db.lastInsertedRowID
            }
            try db.cachedStatement(sql: "INSERT OR IGNORE INTO registration (device, application, cursor) VALUES (?, ?, ?)")
                .execute(arguments: [id, number, try Self.lastSequence(db)])
            try Self.noteSeen(id, day: Self.day(of: now), db)
            return .registered
        }
    }

    /// The application with that AppToken, and whether it is of the same WAToken and key: two pairs may add up to one text.
    private static func found(_ application: ApplicationPair, _ db: Database) throws -> (number: Int64, isSame: Bool)? {
        let row = try Row.fetchOne(
            db.cachedStatement(sql: "SELECT number, watoken, pbkbase64 FROM application WHERE token = ?"),
            arguments: [Data(application.appToken.bytes)])
        guard let row else { return nil }
        // By bytes: texts are equal when they only look the same.
        let watoken = Data(try row.decode(String.self, atIndex: 1).utf8)
        let key = try row.decode(String.self, atIndex: 2)
        return (try row.decode(atIndex: 0), watoken == Data(application.watoken.utf8) && key == application.pbkbase64)
    }

    private static func hasRegistered(_ application: Int64?, _ device: Data, _ db: Database) throws -> Bool {
        guard let application else { return false }
        return try Int64.fetchOne(
            db.cachedStatement(sql: "SELECT 1 FROM registration WHERE device = ? AND application = ?"), arguments: [device, application])
            != nil
    }

    /// How many applications the device has registered; `limit` stands for any greater number.
    private static func registrations(of device: Data, upTo limit: Int, _ db: Database) throws -> Int {
        try Int.fetchOne(
            db.cachedStatement(sql: "SELECT COUNT(*) FROM (SELECT 1 FROM registration WHERE device = ? LIMIT ?)"),
            arguments: [device, limit]) ?? 0
    }

    public func unregister(_ application: ApplicationPair, for device: DeviceID, then: @escaping Completion<Bool>) {
        write(then: then) { db in
            guard let found = try Self.found(application, db), found.isSame else { return false }
            let number = found.number
            let id = Data(device.bytes)
            try db.cachedStatement(sql: "DELETE FROM registration WHERE device = ? AND application = ?").execute(arguments: [id, number])
            guard db.changesCount > 0 else { return false }
            try db.cachedStatement(sql: "DELETE FROM acknowledged WHERE device = ? AND application = ?").execute(arguments: [id, number])
            try Self.tidyAfterUnregistration(of: number, db)
            return true
        }
    }

    public func applications(of device: DeviceID, then: @escaping Completion<[AppToken]>) {
        read(then: then) { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT application.token FROM registration JOIN application ON application.number = registration.application
                    WHERE registration.device = ? ORDER BY application.number
                    """)
            return try Data.fetchAll(statement, arguments: [Data(device.bytes)]).compactMap { AppToken(bytes: Array($0)) }
        }
    }

    public func application(_ token: AppToken, then: @escaping Completion<Application?>) {
        lookUp(then: then) { db in
            try Row.fetchOne(
                db.cachedStatement(sql: "SELECT number, pbkbase64 FROM application WHERE token = ?"), arguments: [Data(token.bytes)]
            ).map { Application(number: try $0.decode(atIndex: 0), pbkbase64: try $0.decode(atIndex: 1)) }
        }
    }

    public func recipients(of application: Int64, then: @escaping Completion<Recipients>) {
        read(then: then) { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT registration.device, device.worker FROM registration JOIN device ON device.id = registration.device
                    WHERE registration.application = ?
                    AND (device.worker IS NOT NULL OR (device.wake_ip IS NOT NULL AND device.wake_due IS NULL))
                    """)
            var connected: [Recipient] = []
            var hasSleepers = false
            let rows = try Row.fetchCursor(statement, arguments: [application])
            while let row = try rows.next() {
                guard let name = try row.decode(String?.self, atIndex: 1) else {
                    hasSleepers = true
                    continue
                }
                guard let device = DeviceID(bytes: try row.decode(Data.self, atIndex: 0)), let worker = WorkerName(name) else { continue }
                connected.append(Recipient(device: device, worker: worker))
            }
            return Recipients(connected: connected, hasSleepers: hasSleepers)
        }
    }

    // MARK: Parts

    /// Removes a device with its registrations and pending messages.
    static func forget(_ id: Data, _ db: Database) throws {
        let applications = try Int64.fetchAll(
            db.cachedStatement(sql: "SELECT application FROM registration WHERE device = ?"), arguments: [id])
        try db.cachedStatement(sql: "DELETE FROM registration WHERE device = ?").execute(arguments: [id])
        try db.cachedStatement(sql: "DELETE FROM acknowledged WHERE device = ?").execute(arguments: [id])
        try db.cachedStatement(sql: "DELETE FROM device WHERE id = ?").execute(arguments: [id])
        try forgetSeen(id, db)
        for application in applications { try tidyAfterUnregistration(of: application, db) }
    }

    /// Removes an application without registrations, with its messages; of one that has some, the messages that nobody waits for.
    static func tidyAfterUnregistration(of application: Int64, _ db: Database) throws {
        let isRegistered =
            try Int64.fetchOne(
                db.cachedStatement(sql: "SELECT 1 FROM registration WHERE application = ? LIMIT 1"), arguments: [application]) != nil
        if isRegistered {
            try trim(application, db)
        } else {
            try db.cachedStatement(sql: "DELETE FROM message WHERE application = ?").execute(arguments: [application])
            try db.cachedStatement(sql: "DELETE FROM application WHERE number = ?").execute(arguments: [application])
        }
    }
}
