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

    @Test("Operations after the end fail")
    func closed() async throws {
        store.close()
        await #expect(throws: StoreError.closed) { try await store.application(news.appToken) }
        await #expect(throws: StoreError.closed) { try await store.register(news, for: device) }
    }

    @Test("A device gets the messages accepted after its registration, of all its applications, in the order of acceptance")
    func order() async throws {
        let early = DeviceID()
        try await store.register(news, for: early)
        try await store.post("before", to: news.appToken)
        let mail = ApplicationPair.named("mail")
        try await store.register(news, for: device)
        try await store.register(mail, for: device)
        var expected: [Int64] = []
        for index in 0..<10 {
            expected.append(try await store.post("\(index)", to: index.isMultiple(of: 3) ? mail.appToken : news.appToken))
        }
        #expect(try await store.pendingSequences(device) == expected)
        #expect(try await store.pendingSequences(device, limit: 4) == Array(expected.prefix(4)))
        #expect(try await store.pendingSequences(device, after: expected[4]) == Array(expected.suffix(5)))
        #expect(try await store.pendingSequences(early).count == 7)
        #expect(expected == expected.sorted())
    }

    @Test("Registering again changes nothing; unregistering removes what is pending; registering afresh begins afresh")
    func registrations() async throws {
        try await store.register(news, for: device)
        try await store.post("one", to: news.appToken)
        #expect(try await store.register(news, for: device) == .registered)
        #expect(try await store.pendingSequences(device).count == 1)
        #expect(try await store.applications(of: device) == [news.appToken])
        #expect(try await store.unregister(news.appToken, for: device))
        #expect(try await store.unregister(news.appToken, for: device) == false)
        #expect(try await store.applications(of: device).isEmpty)
        #expect(try await store.application(news.appToken) == nil)
        try await store.register(news, for: device)
        #expect(try await store.pendingSequences(device).isEmpty)
    }

    @Test("An AppToken that another pair has is refused")
    func appTokenInUse() async throws {
        let one = ApplicationPair(watoken: "ab", pbkbase64: "c")
        let other = ApplicationPair(watoken: "a", pbkbase64: "bc")
        #expect(one.appToken == other.appToken)
        try await store.register(one, for: device)
        #expect(try await store.register(other, for: DeviceID()) == .appTokenInUse)
        #expect(try await store.register(one, for: DeviceID()) == .registered)
    }

    @Test("A message for an application that was unregistered meanwhile is not accepted; a new registration has another number")
    func unregisteredMeanwhile() async throws {
        try await store.register(news, for: device)
        let application = try #require(try await store.application(news.appToken))
        _ = try await store.unregister(news.appToken, for: device)
        let message = NewMessage(application: application.number, body: NotificationBody(bytes: []), accepted: 0, ttl: 60)
        #expect(try await store.accept(message) == nil)
        try await store.register(news, for: device)
        #expect(try await store.accept(message) == nil)
    }

    @Test("An acknowledgement removes the device's copy; another device's stays; the body goes with the last")
    func acknowledgements() async throws {
        let other = DeviceID()
        try await store.register(news, for: device)
        try await store.register(news, for: other)
        let sequence = try await store.post("one", to: news.appToken)
        #expect(try await store.acknowledge([Acknowledgement(device: device, sequence: sequence)]) == 0)
        #expect(try await store.pendingSequences(device).isEmpty)
        #expect(try await store.pendingSequences(other) == [sequence])
        #expect(try count("message") == 1)
        try await store.acknowledge([Acknowledgement(device: other, sequence: sequence)])
        #expect(try count("message") == 0)
    }

    @Test("Acknowledgements in any order", arguments: [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3], [1, 3, 0, 4, 2]])
    func acknowledgedInAnyOrder(order: [Int]) async throws {
        try await store.register(news, for: device)
        var left: [Int64] = []
        for index in 0..<5 { left.append(try await store.post("\(index)", to: news.appToken)) }
        let all = left
        for index in order {
            #expect(try await store.acknowledge([Acknowledgement(device: device, sequence: all[index])]) == 0)
            left.removeAll { $0 == all[index] }
            #expect(try await store.pendingSequences(device) == left)
        }
        #expect(try count("message") == 0)
        #expect(try count("acknowledged") == 0)
        let next = try await store.post("next", to: news.appToken)
        #expect(next > all[4])
        #expect(try await store.pendingSequences(device) == [next])
    }

    @Test("Acknowledgements of what is not pending are ignored and counted")
    func unknownAcknowledgements() async throws {
        try await store.register(news, for: device)
        let sequence = try await store.post("one", to: news.appToken)
        let stranger = Acknowledgement(device: DeviceID(), sequence: sequence)
        let future = Acknowledgement(device: device, sequence: sequence + 100)
        #expect(try await store.acknowledge([stranger, future]) == 2)
        let mine = Acknowledgement(device: device, sequence: sequence)
        #expect(try await store.acknowledge([mine, mine]) == 1)
        let next = try await store.post("two", to: news.appToken)
        #expect(try await store.pendingSequences(device) == [next])
    }

    @Test("A message is stored once however many devices it goes to")
    func storedOnce() async throws {
        for _ in 0..<50 { try await store.register(news, for: DeviceID()) }
        let before = try totalRows()
        try await store.post("one", to: news.appToken)
        #expect(try totalRows() == before + 1)
    }

    @Test("Messages expire, also while they are not removed")
    func expiry() async throws {
        try await store.register(news, for: device)
        let short = try await store.post("short", to: news.appToken, accepted: 1000, ttl: 1)
        let long = try await store.post("long", to: news.appToken, accepted: 1000, ttl: 10)
        #expect(try await store.pendingSequences(device, now: 1999) == [short, long])
        #expect(try await store.pendingSequences(device, now: 2000) == [long])
        #expect(try await store.pending(PendingQuery(device: device, limit: 9, now: 0)).map(\.accepted) == [1000, 1000])
        #expect(try await store.removeExpired(now: 2000).map(\.isTransient) == [false])
        #expect(try await store.removeExpired(now: 2000).isEmpty)
        #expect(try await store.pendingSequences(device, now: 0) == [long])
        // What expired does not hold back the cursor.
        try await store.acknowledge([Acknowledgement(device: device, sequence: long)])
        #expect(try count("message") == 0)
    }

    @Test("A message with ttl 0 is for those who were connected before it, and pending for nobody")
    func transient() async throws {
        let worker = WorkerName()
        try await store.register(news, for: device)
        let connection = try await store.connect(device, to: worker)
        let sequence = try await store.post("now", to: news.appToken, ttl: 0)
        #expect(try await store.pendingSequences(device).isEmpty)
        #expect(try await store.pendingSequences(device, transientAfter: connection.sequence) == [sequence])
        let later = try await store.connect(device, to: worker)
        #expect(try await store.pendingSequences(device, transientAfter: later.sequence).isEmpty)
        #expect(try await store.acknowledge([Acknowledgement(device: device, sequence: sequence)]) == 0)
        // It does not hold back what comes after it.
        let next = try await store.post("next", to: news.appToken)
        try await store.acknowledge([Acknowledgement(device: device, sequence: next)])
        #expect(try await store.removeExpired(now: SQLiteStore.transientLifetime).map(\.isTransient) == [true])
        #expect(try count("message") == 0)
    }

    @Test("Connections are numbered; an old one that ends does not end the new one")
    func connections() async throws {
        let (one, two) = (WorkerName(), WorkerName())
        try await store.register(news, for: device)
        let application = try #require(try await store.application(news.appToken))
        let first = try await store.connect(device, to: one)
        #expect(first.previousWorker == nil)
        #expect(try await store.recipients(of: application.number) == [Recipient(device: device, worker: one)])
        let second = try await store.connect(device, to: two)
        #expect(second.previousWorker == one)
        #expect(second.number > first.number)
        try await store.disconnect(device, connection: first.number)
        #expect(try await store.recipients(of: application.number, after: store) == [Recipient(device: device, worker: two)])
        try await store.disconnect(device, connection: second.number)
        #expect(try await store.recipients(of: application.number, after: store).isEmpty)
        try await store.forget(device)
        let third = try await store.connect(device, to: one)
        #expect(third.number > second.number)
    }

    @Test("Forgetting a device removes its registrations and pending messages, and nobody else's")
    func forget() async throws {
        let other = DeviceID()
        let mail = ApplicationPair.named("mail")
        try await store.register(news, for: device)
        try await store.register(mail, for: device)
        try await store.register(news, for: other)
        let sequence = try await store.post("one", to: news.appToken)
        try await store.post("two", to: mail.appToken)
        try await store.forget(device)
        #expect(try await store.applications(of: device).isEmpty)
        #expect(try await store.pendingSequences(device).isEmpty)
        #expect(try await store.application(mail.appToken) == nil)
        #expect(try await store.pendingSequences(other) == [sequence])
    }

    @Test("Arrivals are found by cursor, for the devices of one worker")
    func arrivals() async throws {
        let (mine, theirs) = (WorkerName(), WorkerName())
        let other = DeviceID()
        try await store.register(news, for: device)
        try await store.register(news, for: other)
        _ = try await store.connect(device, to: mine)
        _ = try await store.connect(other, to: theirs)
        let start = try await store.arrivals(for: mine, after: .max)
        #expect(start.devices.isEmpty)
        try await store.post("one", to: news.appToken)
        let last = try await store.post("two", to: news.appToken)
        let arrivals = try await store.arrivals(for: mine, after: start.through)
        #expect(arrivals.devices == [device: last])
        #expect(arrivals.through == last)
        #expect(try await store.arrivals(for: mine, after: arrivals.through).devices.isEmpty)
    }

    // MARK: Helpers

    private func count(_ table: String) throws -> Int {
        try store.rowCount(of: table)
    }

    private func totalRows() throws -> Int {
        try ["application", "registration", "message", "acknowledged", "device"].reduce(0) { try $0 + store.rowCount(of: $1) }
    }
}

extension SQLiteStore {
    /// As `recipients`, after the writes that are waiting.
    fileprivate func recipients(of application: Int64, after store: SQLiteStore) async throws -> [Recipient] {
        try await store.acknowledge([])
        return try await recipients(of: application)
    }
}
