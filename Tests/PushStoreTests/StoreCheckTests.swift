import Foundation
import GRDB
import PushProtocol
import Testing

@testable import PushStore

@Suite("Push: looking for damage")
struct StoreCheckTests {
    private let directory: TemporaryDirectory
    private let device = DeviceID()
    private let news = ApplicationPair.named("news")

    init() throws {
        directory = try TemporaryDirectory()
    }

    private var path: String { SQLiteStore.path(in: directory.path) }

    /// A store with 200 messages for one device, closed.
    private func fill() async throws {
        let store = try SQLiteStore(directory: directory.path)
        try await store.register(news, for: device)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<200 { group.addTask { try await store.post(String(repeating: "\(index) ", count: 200), to: news.appToken) } }
            try await group.waitForAll()
        }
        store.close()
    }

    /// Changes the closed database by SQL.
    private func change(_ sql: String) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.writeWithoutTransaction { try $0.execute(sql: sql) }
        try queue.close()
    }

    /// Overwrites bytes of the closed database.
    private func overwrite(at offset: UInt64, _ bytes: [UInt8]) throws {
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try file.seek(toOffset: offset)
        try file.write(contentsOf: Data(bytes))
        try file.close()
    }

    private func refusal() -> String? {
        do {
            try SQLiteStore(directory: directory.path).close()
            return nil
        } catch StoreError.unavailable(let reason) {
            return reason
        } catch {
            return nil
        }
    }

    @Test("A whole store has no problems, and is counted")
    func whole() async throws {
        try await fill()
        let report = try StoreCheck.run(directory: directory.path)
        #expect(report.problems == [])
        #expect(report.messages == 200)
        #expect(report.registrations == 1)
        #expect(report.bytes > 200 * 400)
        #expect(report.seconds > 0)
    }

    @Test("A check beside a store that writes changes nothing")
    func besideWriter() async throws {
        try await fill()
        let store = try SQLiteStore(directory: directory.path)
        let writing = Task { for _ in 0..<200 { try await store.post("x", to: news.appToken) } }
        for _ in 0..<5 { #expect(try StoreCheck.run(directory: directory.path).problems == []) }
        try await writing.value
        #expect(try await store.pendingSequences(device).count == 400)
        store.close()
    }

    @Test("What is no store is refused at the start, with the file and what to do")
    func refused() async throws {
        try await fill()
        let good = try Data(contentsOf: URL(fileURLWithPath: path))
        // No database at all, half of one, another program's.
        try overwrite(at: 0, Array("What is this?".utf8))
        #expect(try #require(refusal()).contains("not a database"))
        #expect(try #require(refusal()).contains(path))
        try good.prefix(good.count / 2).write(to: URL(fileURLWithPath: path))
        let reason = try #require(refusal())
        #expect(reason.contains("damaged") && reason.contains("sluice store check") && reason.contains("back-up"))
        try good.write(to: URL(fileURLWithPath: path))
        try change("PRAGMA application_id = 77")
        #expect(try #require(refusal()).contains("another program"))
        try good.write(to: URL(fileURLWithPath: path))
        #expect(refusal() == nil)
    }

    @Test(
        "What everything hangs on is looked at in each start",
        arguments: [
            ("DROP TABLE registration", "table registration"), ("DROP INDEX message_expires", "index message_expires"),
            ("DELETE FROM store", "identity"), ("UPDATE store SET identity = -1", "identity"),
            ("UPDATE sqlite_sequence SET seq = 5 WHERE name = 'message'", "message 200"),
        ])
    func invariants(sql: String, what: String) async throws {
        try await fill()
        try change(sql)
        let reason = try #require(refusal())
        #expect(reason.contains("damaged") && reason.contains(what))
    }

    @Test(
        "Rows that contradict each other are found",
        arguments: [
            ("DELETE FROM application", "for an application that does not exist"),
            ("DELETE FROM registration", "have no registration"),
            ("UPDATE registration SET cursor = 1000", "ahead of the last message"),
            ("INSERT INTO acknowledged VALUES (x'00', 1, 1)", "devices that are not registered"),
        ])
    func relations(sql: String, what: String) async throws {
        try await fill()
        try change(sql)
        #expect(try StoreCheck.run(directory: directory.path).problems.contains { $0.contains(what) })
    }

    @Test("Pages that are overwritten are found; a store on them fails where it meets them, and only there")
    func damagedPages() async throws {
        try await fill()
        // A start reads the last one, and may move the first.
        for page in try pages(of: "message").dropFirst(3).dropLast() {
            try overwrite(at: (page - 1) * 4096, (0..<4096).map { _ in UInt8.random(in: 0...255) })
        }
        #expect(try !StoreCheck.run(directory: directory.path).problems.isEmpty)
        let store = try SQLiteStore(directory: directory.path)
        do {
            _ = try await store.pendingSequences(device)
            Issue.record("the messages could be read")
        } catch StoreError.unavailable(let reason) {
            #expect(reason.contains("damaged") && reason.contains("sluice store check"))
        }
        // What does not meet the damage goes on.
        #expect(try await store.applications(of: device) == [news.appToken])
        try await store.register(.named("mail"), for: device)
        store.close()
        let copy = directory.path + "/copy"
        #expect(throws: StoreError.self) { try StoreBackup.make(of: directory.path, to: copy, replacing: false) }
        #expect(!FileManager.default.fileExists(atPath: copy))
    }

    /// The numbers of the pages that hold the rows of a table.
    private func pages(of table: String) throws -> [UInt64] {
        let queue = try DatabaseQueue(path: path)
        let pages = try queue.read { db in
            try Int64.fetchAll(db, sql: "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path", arguments: [table])
        }
        try queue.close()
        return pages.map { UInt64($0) }
    }

    @Test("Single bytes overwritten anywhere never end the process", arguments: 0..<40)
    func anyByte(seed: UInt64) async throws {
        try await fill()
        let size = try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? UInt64)
        var numbers = SplitMix(state: seed)
        for _ in 0..<30 { try overwrite(at: numbers.next() % size, [UInt8(truncatingIfNeeded: numbers.next())]) }
        guard let store = try? SQLiteStore(directory: directory.path) else { return }
        var answers = 0
        for sequence: Int64 in 1...20 {
            let outcomes: [Bool] = [
                (try? await store.pendingSequences(device)) != nil, (try? await store.post("x", to: news.appToken)) != nil,
                (try? await store.acknowledge([Acknowledgement(device: device, sequence: sequence)])) != nil,
                (try? await store.connect(device, to: WorkerName())) != nil, (try? await store.removeExpired(now: 1)) != nil,
                (try? await store.arrivals(for: WorkerName(), after: 0)) != nil, (try? await store.applications(of: device)) != nil,
            ]
            answers += outcomes.count
        }
        #expect(answers == 140)
        store.close()
    }

    @Test("A store of an older version is checked and backed up as it is, and of a newer one neither")
    func otherVersions() throws {
        let copy = directory.path + "/copy"
        try Version1Database().write(to: directory.path)
        let report = try StoreCheck.run(directory: directory.path)
        #expect(report.problems == [] && report.messages == 3 && report.registrations == 2)
        #expect(try StoreBackup.make(of: directory.path, to: copy, replacing: false).messages == 3)
        try change("PRAGMA user_version = 99")
        #expect(throws: StoreError.self) { try StoreCheck.run(directory: directory.path) }
        #expect(throws: StoreError.self) { try StoreBackup.make(of: directory.path, to: copy, replacing: true) }
        // The back-up of the older one becomes a store of this version.
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: copy, toPath: path)
        #expect(refusal() == nil)
        let upgraded = try StoreCheck.run(directory: directory.path)
        #expect(upgraded.problems == [] && upgraded.messages == 3 && upgraded.registrations == 2)
    }

    @Test("A directory without a store is said to be so")
    func missing() throws {
        let error = #expect(throws: StoreError.self) { try StoreCheck.run(directory: directory.path) }
        guard case .unavailable(let reason)? = error else {
            Issue.record("it is unavailable")
            return
        }
        #expect(reason.contains(path) && reason.contains("--data"))
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}

/// Numbers that a seed determines (SplitMix64).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
