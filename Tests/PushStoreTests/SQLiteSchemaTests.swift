import Foundation
import GRDB
import PushProtocol
import Testing

@testable import PushStore

@Suite("Push: versions of the SQLite schema")
struct SQLiteSchemaTests {
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    @Test("A database of the first version is brought up to date, with all that it holds")
    func upgrade() async throws {
        let old = Version1Database()
        try old.write(to: directory.path)
        let store = try SQLiteStore(directory: directory.path)
        #expect(try store.userVersion() == SQLiteSchema.version)
        #expect(store.identity == Version1Database.identity)
        #expect(try await store.applications(of: old.device) == [old.news.appToken, old.mail.appToken])
        #expect(try await store.pendingSequences(old.device) == [11, 12])
        #expect(try await store.pending(PendingQuery(device: old.device, limit: 9, now: 0)).map(\.accepted) == [0, 0])
        #expect(try await store.post("four", to: old.mail.appToken) == 14)
        let connection = try await store.connect(old.device, to: WorkerName())
        #expect(connection.number == 42)
        #expect(connection.previousWorker == WorkerName("0123456789abcdef"))
        store.close()
    }

    @Test("An upgraded database has the same tables and indexes as a new one")
    func sameSchema() throws {
        try Version1Database().write(to: directory.path)
        let upgraded = try SQLiteStore(directory: directory.path)
        let other = try TemporaryDirectory()
        let new = try SQLiteStore(directory: other.path)
        #expect(try upgraded.columns() == new.columns())
        #expect(try !new.columns().isEmpty)
        upgraded.close()
        new.close()
    }

    @Test("A database of a newer version is refused with both numbers, and left as it is", arguments: [1, 98])
    func newerVersion(by steps: Int) throws {
        let store = try SQLiteStore(directory: directory.path)
        let newer = SQLiteSchema.version + steps
        try store.setUserVersion(newer)
        store.close()
        let error = #expect(throws: StoreError.self) { try SQLiteStore(directory: directory.path) }
        guard case .unavailable(let text)? = error else {
            Issue.record("it is unavailable")
            return
        }
        #expect(text.contains("schema \(newer)") && text.contains("up to \(SQLiteSchema.version)") && text.contains("--data"))
        let file = try DatabaseQueue(path: "\(directory.path)/messages.sqlite")
        #expect(try file.read { db in try Int.fetchOne(db, sql: "PRAGMA user_version") } == newer)
        try file.close()
    }

    @Test("A step that fails leaves the database as it was")
    func failedStep() throws {
        let file = try DatabaseQueue(path: "\(directory.path)/messages.sqlite")
        try file.write { db in try db.execute(sql: "CREATE TABLE acknowledged (x)") }
        try file.close()
        #expect(throws: StoreError.self) { try SQLiteStore(directory: directory.path) }
        let again = try DatabaseQueue(path: "\(directory.path)/messages.sqlite")
        #expect(try again.read { db in try String.fetchAll(db, sql: "SELECT name FROM sqlite_master") } == ["acknowledged"])
        #expect(try again.read { db in try Int.fetchOne(db, sql: "PRAGMA user_version") } == 0)
        try again.close()
    }
}
