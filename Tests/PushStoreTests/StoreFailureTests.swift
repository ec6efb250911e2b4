import Foundation
import GRDB
import Glibc
import PushProtocol
import Testing

@testable import PushStore

/// A store whose file system is full, read-only or damaged: errors while it lasts, nothing accepted is lost, and it goes on by itself.
@Suite("Push: a store that cannot write")
struct StoreFailureTests {
    private let device = DeviceID()
    private let news = ApplicationPair.named("news")
    private let text = String(repeating: "x", count: 3000)

    private func open(_ directory: String, reserve: UInt64 = 0) throws -> SQLiteStore {
        try SQLiteStore(directory: directory, machine: { MachineTime.now }, reserve: reserve)
    }

    /// Posts until the store refuses; returns what was accepted, and why it refused.
    private func fill(_ store: SQLiteStore) async throws -> (accepted: [Int64], reason: String) {
        var accepted: [Int64] = []
        for _ in 0..<20_000 {
            do {
                accepted.append(try await store.post(text, to: news.appToken))
            } catch StoreError.unavailable(let reason) {
                return (accepted, reason)
            }
        }
        Issue.record("the store never became full")
        return (accepted, "")
    }

    @Test("SQLite says that it is full: writes fail, and succeed again when there is room")
    func full() async throws {
        let directory = try TemporaryDirectory()
        let store = try open(directory.path)
        defer { store.close() }
        try await store.register(news, for: device)
        try store.setPageLimit(200)
        var (accepted, reason) = try await fill(store)
        #expect(accepted.count > 20)
        #expect(reason.contains("no room"))
        await #expect(throws: StoreError.self) { try await store.post(text, to: news.appToken) }
        #expect(try await store.pendingSequences(device) == accepted)
        // Acknowledgements that fit into what is there are taken, and make room.
        try await store.acknowledge(accepted.prefix(10).map { Acknowledgement(device: device, sequence: $0) })
        accepted.removeFirst(10)
        accepted.append(try await store.post(text, to: news.appToken))
        try store.setPageLimit(100_000)
        accepted.append(try await store.post(text, to: news.appToken))
        #expect(try await store.pendingSequences(device) == accepted)
    }

    @Test("Read-only: writes fail, reads go on, writes succeed again afterwards; a device that left meanwhile has left")
    func readOnly() async throws {
        let directory = try TemporaryDirectory()
        let store = try open(directory.path)
        defer { store.close() }
        try await store.register(news, for: device)
        let first = try await store.post("one", to: news.appToken)
        let connection = try await store.connect(device, to: WorkerName())
        let application = try #require(try await store.application(news.appToken))
        try store.setQueryOnly(true)
        let error = await #expect(throws: StoreError.self) { try await store.post("two", to: news.appToken) }
        guard case .unavailable(let reason)? = error else {
            Issue.record("it is unavailable")
            return
        }
        #expect(reason.contains("cannot be written"))
        await #expect(throws: StoreError.self) { try await store.register(.named("mail"), for: device) }
        await #expect(throws: StoreError.self) {
            try await store.acknowledge([Acknowledgement(device: device, sequence: first)])
        }
        async let disconnected = store.disconnect(device, connection: connection.number)
        #expect(try await store.pendingSequences(device) == [first])
        try store.setQueryOnly(false)
        let second = try await store.post("two", to: news.appToken)
        #expect(try await store.pendingSequences(device) == [first, second])
        #expect(try await disconnected == false)
        #expect(try await store.recipients(of: application.number).isEmpty)
    }

    @Test(
        "A file system that fills up: errors, everything accepted is there, and it goes on when there is room",
        .enabled(if: geteuid() == 0, "only root can mount a tmpfs"), arguments: [0, FreeSpace.reserve])
    func fileSystemFull(reserve: UInt64) async throws {
        let mounted = try SmallFileSystem(megabytes: 6)
        let store = try open(mounted.path, reserve: reserve)
        try await store.register(news, for: device)
        let other = DeviceID()
        try await store.register(news, for: other)
        let ballast = mounted.path + "/ballast"
        try Data(count: 1 << 20).write(to: URL(fileURLWithPath: ballast))
        var (accepted, reason) = try await fill(store)
        #expect(accepted.count > 100)
        #expect(reason.contains("goes on by itself"))
        #expect(try await store.pendingSequences(device, limit: 100_000) == accepted)
        if reserve > 0 {
            // What makes it smaller is still written.
            try await store.acknowledge(accepted.map { Acknowledgement(device: other, sequence: $0) })
            await #expect(throws: StoreError.self) { try await store.post(text, to: news.appToken) }
        }
        try FileManager.default.removeItem(atPath: ballast)
        for _ in 0..<20 { accepted.append(try await store.post(text, to: news.appToken)) }
        #expect(try await store.pendingSequences(device, limit: 100_000) == accepted)
        store.close()
        let again = try open(mounted.path, reserve: reserve)
        #expect(try await again.pendingSequences(device, limit: 100_000) == accepted)
        again.close()
        #expect(try StoreCheck.run(directory: mounted.path).problems == [])
    }

    @Test("An operation that meets damage fails; the others of its batch do not")
    func damagedPage() async throws {
        let directory = try TemporaryDirectory()
        let store = try open(directory.path)
        defer { store.close() }
        try await store.register(news, for: device)
        let application = try #require(try await store.application(news.appToken))
        let kept = NewMessage(application: application.number, body: NotificationBody(bytes: [1]), accepted: 0, ttl: 60)
        // A token whose row says what no row of ours says.
        let mail = ApplicationPair.named("mail")
        try store.execute(
            "INSERT INTO application (token, watoken, pbkbase64) VALUES (x'\(Hex.encode(mail.appToken.bytes))', x'FF', 'key')")
        async let refused = store.register(mail, for: DeviceID())
        async let accepted = store.accept(kept)
        async let more = store.accept(kept)
        #expect(try await accepted != nil)
        #expect(try await more != nil)
        do {
            let outcome = try await refused
            Issue.record("it met the damage, and yet: \(outcome)")
        } catch StoreError.unavailable(let reason) {
            #expect(reason.contains("damaged") && reason.contains("sluice store check"))
        }
    }
}

/// A small tmpfs that is unmounted in the end.
final class SmallFileSystem: Sendable {
    private let directory: TemporaryDirectory
    var path: String { directory.path }

    init(megabytes: Int) throws {
        directory = try TemporaryDirectory()
        guard mount("tmpfs", directory.path, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
            throw StoreError.unavailable("cannot mount a tmpfs: \(SystemError.text(errno))")
        }
    }

    deinit {
        umount2(directory.path, CInt(MNT_DETACH))
    }
}
