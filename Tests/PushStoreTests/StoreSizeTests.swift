import Foundation
import PushProtocol
import Testing

@testable import PushStore

@Suite("Push: the size of a store", .serialized)
struct StoreSizeTests {
    private let directory: TemporaryDirectory
    private let device = DeviceID()
    private let news = ApplicationPair.named("news")

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func size(_ file: String = "messages.sqlite") throws -> Int {
        try FileManager.default.attributesOfItem(atPath: "\(directory.path)/\(file)")[.size] as? Int ?? 0
    }

    /// Posts `count` messages of 3000 bytes at once.
    private func post(_ count: Int, to store: SQLiteStore, ttl: Int64 = 3600) async throws {
        let text = String(repeating: "x", count: 3000)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<count { group.addTask { try await store.post(text, to: news.appToken, ttl: ttl) } }
            try await group.waitForAll()
        }
    }

    @Test("Room that expired messages took is given back to the file system")
    func shrinks() async throws {
        let store = try SQLiteStore(directory: directory.path)
        try await store.register(news, for: device)
        try await post(6000, to: store, ttl: 1)
        try store.checkpoint()
        let full = try size()
        while try await !store.removeExpired(now: 2000).isEmpty {}
        for _ in 0..<5 { _ = try await store.removeExpired(now: 2000) }
        try store.checkpoint()
        // What is soon used again stays.
        let kept = SQLiteStore.freePagesKept * 4096
        #expect(full > 6000 * 3000)
        #expect(try size() < kept + (1 << 20))
        store.close()
        #expect(try StoreCheck.run(directory: directory.path).problems == [])
    }

    @Test("The write-ahead log stays short beside readers that never pause")
    func logIsBounded() async throws {
        let limit = 1 << 20
        let store = try SQLiteStore(directory: directory.path, machine: { MachineTime.now }, reserve: 0, logLimit: off_t(limit))
        try await store.register(news, for: device)
        let readers = (0..<2).map { _ in
            Task { while !Task.isCancelled { _ = try await store.pendingSequences(device, limit: 10) } }
        }
        var greatest = 0
        for _ in 0..<60 {
            try await post(50, to: store)
            greatest = max(greatest, try size("messages.sqlite-wal"))
        }
        for reader in readers {
            reader.cancel()
            try await reader.value
        }
        #expect(greatest < 4 * limit)
        store.close()
        #expect(!FileManager.default.fileExists(atPath: "\(directory.path)/messages.sqlite-wal"))
    }

    @Test("A store with 1,000,000 registrations opens in less than 2 s")
    func million() async throws {
        let empty = try SQLiteStore(directory: directory.path)
        try await empty.register(news, for: device)
        try empty.execute(
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999999)
            INSERT INTO registration SELECT CAST(printf('%016d', i) AS BLOB), 1, 0 FROM n;
            INSERT OR IGNORE INTO seen SELECT device, 20000 FROM registration;
            """)
        empty.close()
        let start = ContinuousClock.now
        let store = try SQLiteStore(directory: directory.path)
        let opened = ContinuousClock.now - start
        #expect(try await store.applications(of: device) == [news.appToken])
        try await store.post("x", to: news.appToken)
        #expect(opened < .seconds(2))
        #expect(try store.rowCount(of: "registration") == 1_000_000)
        store.close()
    }
}
