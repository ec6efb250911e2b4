import Foundation
import PushProtocol
import Testing

@testable import PushStore

@Suite("Push: SQLite store")
struct SQLiteStoreTests {
    private let directory: TemporaryDirectory
    private let store: SQLiteStore
    private let device = DeviceID()
    private let news = ApplicationPair.named("news")

    init() throws {
        directory = try TemporaryDirectory()
        store = try SQLiteStore(directory: directory.path)
    }

    @Test("Commits are synchronous: 2 is FULL")
    func synchronous() throws {
        #expect(try store.synchronousLevel() == 2)
    }

    @Test("What was accepted is there after the store is opened again, with the same identity")
    func durability() async throws {
        try await store.register(news, for: device)
        let first = try await store.post("one", to: news.appToken)
        store.close()
        let again = try SQLiteStore(directory: directory.path)
        #expect(again.identity == store.identity)
        let messages = try await again.pending(PendingQuery(device: device, limit: 10, now: 0))
        #expect(messages.map(\.sequence) == [first])
        #expect(messages.first?.body.bytes == Array("one".utf8))
        #expect(messages.first?.appToken == news.appToken)
        again.close()
    }

    @Test("A message is stored once however many devices it goes to")
    func storedOnce() async throws {
        for _ in 0..<50 { try await store.register(news, for: DeviceID()) }
        let before = try totalRows()
        try await store.post("one", to: news.appToken)
        #expect(try totalRows() == before + 1)
    }

    @Test("What every device has acknowledged, and what has expired, leaves nothing behind")
    func nothingLeft() async throws {
        let other = DeviceID()
        try await store.register(news, for: device)
        try await store.register(news, for: other)
        var sequences: [Int64] = []
        for index in 0..<5 { sequences.append(try await store.post("\(index)", to: news.appToken)) }
        for sequence in sequences.reversed() { try await store.acknowledge([Acknowledgement(device: device, sequence: sequence)]) }
        #expect(try store.rowCount(of: "message") == 5)
        for sequence in sequences { try await store.acknowledge([Acknowledgement(device: other, sequence: sequence)]) }
        #expect(try store.rowCount(of: "message") == 0)
        #expect(try store.rowCount(of: "acknowledged") == 0)

        let short = try await store.post("short", to: news.appToken, ttl: 1)
        try await store.post("now", to: news.appToken, ttl: 0)
        let long = try await store.post("long", to: news.appToken, ttl: 100)
        #expect(try await store.removeExpired(now: 60_000).count == 2)
        #expect(short < long)
        try await store.acknowledge([device, other].map { Acknowledgement(device: $0, sequence: long) })
        #expect(try store.rowCount(of: "message") == 0)
        #expect(try store.rowCount(of: "acknowledged") == 0)
    }

    @Test("A device that leaves without a registration leaves nothing behind")
    func deviceLeftBehind() async throws {
        let connection = try await store.connect(device, to: WorkerName())
        #expect(try store.rowCount(of: "seen") == 1)
        try await store.disconnect(device, connection: connection.number)
        #expect(try store.rowCount(of: "device") == 0)
        #expect(try store.rowCount(of: "seen") == 0)
    }

    @Test("What the only device acknowledges is gone at once, in whatever order, and counts once")
    func soleDevice() async throws {
        try await store.register(news, for: device)
        var sequences: [Int64] = []
        for index in 0..<4 { sequences.append(try await store.post("\(index)", to: news.appToken)) }
        let acknowledgements = sequences.map { Acknowledgement(device: device, sequence: $0) }
        #expect(try await store.acknowledge([acknowledgements[2], acknowledgements[0], acknowledgements[2]]) == 1)
        #expect(try store.rowCount(of: "message") == 2)
        #expect(try store.rowCount(of: "acknowledged") == 0)
        #expect(try await store.pendingSequences(device) == [sequences[1], sequences[3]])
        // Another one's, and one that comes with another device.
        let other = DeviceID()
        #expect(try await store.acknowledge([Acknowledgement(device: other, sequence: sequences[1])]) == 1)
        try await store.register(news, for: other)
        #expect(try await store.acknowledge([acknowledgements[3], Acknowledgement(device: other, sequence: sequences[1])]) == 1)
        #expect(try await store.pendingSequences(device) == [sequences[1]])
        #expect(try await store.pendingSequences(other).isEmpty)
        #expect(try store.rowCount(of: "acknowledged") == 1)
        // Alone again, with something that was acknowledged out of order.
        #expect(try await store.unregister(news, for: other))
        #expect(try await store.acknowledge([acknowledgements[3], acknowledgements[1]]) == 1)
        #expect(try store.rowCount(of: "message") == 0)
        #expect(try store.rowCount(of: "acknowledged") == 0)
    }

    // MARK: Helpers

    private func totalRows() throws -> Int {
        try ["application", "registration", "message", "acknowledged", "device"].reduce(0) { try $0 + store.rowCount(of: $1) }
    }
}
