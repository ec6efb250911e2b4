import Foundation
import PushProtocol
import Testing

@testable import PushStore

/// What every engine beneath `MessageStore` does. A new engine is a new case of `StoreEngine`.
@Suite("Push: the contract of message stores")
struct MessageStoreContractTests {
    private let device = DeviceID()
    private let news = ApplicationPair.named("news")

    @Test("Operations after the end fail", arguments: StoreEngine.allCases)
    func closed(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        store.close()
        await #expect(throws: StoreError.closed) { try await store.application(news.appToken) }
        await #expect(throws: StoreError.closed) { try await store.register(news, for: device) }
    }

    @Test(
        "A device gets the messages accepted after its registration, of all its applications, in the order of acceptance",
        arguments: StoreEngine.allCases)
    func order(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
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

    @Test("An acknowledgement passes no message with a ttl of 0 that was accepted before it was written", arguments: StoreEngine.allCases)
    func acknowledgedBesideTransient(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        try await store.register(news, for: device)
        let first = try await store.post("first", to: news.appToken)
        let transient = try await store.post("now", to: news.appToken, ttl: 0)
        #expect(try await store.acknowledge([Acknowledgement(device: device, sequence: first)]) == 0)
        var query = PendingQuery(device: device, limit: 10, now: 1)
        (query.after, query.transientAfter) = (first, 0)
        #expect(try await store.pending(query).map(\.sequence) == [transient])
        // What was acknowledged is not pending again, and nothing is left behind by what follows.
        query.after = 0
        #expect(try await store.pending(query).map(\.sequence) == [transient])
        let last = try await store.post("last", to: news.appToken)
        #expect(try await store.acknowledge([Acknowledgement(device: device, sequence: last)]) == 0)
        #expect(try await store.pendingSequences(device).isEmpty)
    }

    @Test("Only the pair that was registered is unregistered, though another adds up to the same AppToken", arguments: StoreEngine.allCases)
    func otherPair(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        let one = ApplicationPair(watoken: "ab", pbkbase64: "cd")
        let other = ApplicationPair(watoken: "abc", pbkbase64: "d")
        #expect(one.appToken == other.appToken)
        try await store.register(one, for: device)
        #expect(try await store.register(other, for: device) == .appTokenInUse)
        #expect(try await store.unregister(other, for: device) == false)
        #expect(try await store.applications(of: device) == [one.appToken])
        #expect(try await store.unregister(one, for: device))
    }

    @Test(
        "Registering again changes nothing; unregistering removes what is pending; registering afresh begins afresh",
        arguments: StoreEngine.allCases)
    func registrations(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        try await store.register(news, for: device)
        try await store.post("one", to: news.appToken)
        #expect(try await store.register(news, for: device) == .registered)
        #expect(try await store.pendingSequences(device).count == 1)
        #expect(try await store.applications(of: device) == [news.appToken])
        #expect(try await store.unregister(news, for: device))
        #expect(try await store.unregister(news, for: device) == false)
        #expect(try await store.applications(of: device).isEmpty)
        #expect(try await store.application(news.appToken) == nil)
        try await store.register(news, for: device)
        #expect(try await store.pendingSequences(device).isEmpty)
    }

    @Test("An AppToken that another pair has is refused", arguments: StoreEngine.allCases)
    func appTokenInUse(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        let one = ApplicationPair(watoken: "ab", pbkbase64: "c")
        let other = ApplicationPair(watoken: "a", pbkbase64: "bc")
        #expect(one.appToken == other.appToken)
        try await store.register(one, for: device)
        #expect(try await store.register(other, for: DeviceID()) == .appTokenInUse)
        #expect(try await store.register(one, for: DeviceID()) == .registered)
    }

    @Test(
        "A message for an application that was unregistered meanwhile is not accepted; a new registration has another number",
        arguments: StoreEngine.allCases)
    func unregisteredMeanwhile(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        try await store.register(news, for: device)
        let application = try #require(try await store.application(news.appToken))
        _ = try await store.unregister(news, for: device)
        let message = NewMessage(application: application.number, body: NotificationBody(bytes: []), accepted: 0, ttl: 60)
        #expect(try await store.accept(message) == nil)
        try await store.register(news, for: device)
        #expect(try await store.accept(message) == nil)
    }

    @Test("An acknowledgement removes the device's copy; another device's stays", arguments: StoreEngine.allCases)
    func acknowledgements(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        let other = DeviceID()
        try await store.register(news, for: device)
        try await store.register(news, for: other)
        let sequence = try await store.post("one", to: news.appToken)
        #expect(try await store.acknowledge([Acknowledgement(device: device, sequence: sequence)]) == 0)
        #expect(try await store.pendingSequences(device).isEmpty)
        #expect(try await store.pendingSequences(other) == [sequence])
        try await store.acknowledge([Acknowledgement(device: other, sequence: sequence)])
        #expect(try await store.pendingSequences(other).isEmpty)
    }

    @Test(
        "Acknowledgements in any order", arguments: StoreEngine.allCases,
        [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3], [1, 3, 0, 4, 2]])
    func acknowledgedInAnyOrder(engine: StoreEngine, order: [Int]) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        try await store.register(news, for: device)
        var left: [Int64] = []
        for index in 0..<5 { left.append(try await store.post("\(index)", to: news.appToken)) }
        let all = left
        for index in order {
            #expect(try await store.acknowledge([Acknowledgement(device: device, sequence: all[index])]) == 0)
            left.removeAll { $0 == all[index] }
            #expect(try await store.pendingSequences(device) == left)
        }
        let next = try await store.post("next", to: news.appToken)
        #expect(next > all[4])
        #expect(try await store.pendingSequences(device) == [next])
    }

    @Test("Acknowledgements of what is not pending are ignored and counted", arguments: StoreEngine.allCases)
    func unknownAcknowledgements(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
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

    @Test("Messages expire, also while they are not removed", arguments: StoreEngine.allCases)
    func expiry(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        try await store.register(news, for: device)
        let short = try await store.post("short", to: news.appToken, accepted: 1000, ttl: 1)
        let long = try await store.post("long", to: news.appToken, accepted: 1000, ttl: 10)
        #expect(try await store.pendingSequences(device, now: 1999) == [short, long])
        #expect(try await store.pendingSequences(device, now: 2000) == [long])
        #expect(try await store.pending(PendingQuery(device: device, limit: 9, now: 0)).map(\.accepted) == [1000, 1000])
        #expect(try await store.removeExpired(now: 2000).map(\.isTransient) == [false])
        #expect(try await store.removeExpired(now: 2000).isEmpty)
        #expect(try await store.pendingSequences(device, now: 0) == [long])
        #expect(try await store.acknowledge([Acknowledgement(device: device, sequence: long)]) == 0)
        #expect(try await store.pendingSequences(device).isEmpty)
    }

    @Test("A message with ttl 0 is for those who were connected before it, and pending for nobody", arguments: StoreEngine.allCases)
    func transient(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
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
    }

    @Test("A device has at most so many applications; those that it has are no new ones", arguments: StoreEngine.allCases)
    func tooMany(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        for number in 0..<3 { #expect(try await store.register(.named("\(number)"), for: device, limit: 3) == .registered) }
        let fourth = ApplicationPair.named("3")
        #expect(try await store.register(fourth, for: device, limit: 3) == .tooMany)
        #expect(try await store.application(fourth.appToken) == nil, "nothing is left of it")
        #expect(try await store.register(.named("2"), for: device, limit: 3) == .registered)
        #expect(try await store.register(fourth, for: DeviceID(), limit: 3) == .registered)
        #expect(try await store.unregister(ApplicationPair.named("0"), for: device))
        #expect(try await store.register(fourth, for: device, limit: 3) == .registered)
        #expect(try await store.applications(of: device).count == 3)
    }

    @Test("Connections are numbered; an old one that ends does not end the new one", arguments: StoreEngine.allCases)
    func connections(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
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
        #expect(try await store.recipients(of: application.number) == [Recipient(device: device, worker: two)])
        try await store.disconnect(device, connection: second.number)
        #expect(try await store.recipients(of: application.number).isEmpty)
        try await store.forget(device)
        let third = try await store.connect(device, to: one)
        #expect(third.number > second.number)
    }

    @Test("Forgetting a device removes its registrations and pending messages, and nobody else's", arguments: StoreEngine.allCases)
    func forget(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
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

    @Test("Arrivals are found by cursor, for the devices of one worker", arguments: StoreEngine.allCases)
    func arrivals(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
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

    // MARK: Routes

    private func accept(_ application: ApplicationPair, _ store: any MessageStore, wantsRoutes: Bool = true) async throws -> Acceptance {
        let number = try #require(try await store.application(application.appToken)).number
        let message = NewMessage(
            application: number, body: NotificationBody(bytes: [1]), accepted: 1000, ttl: 60, wantsRoutes: wantsRoutes)
        return try #require(try await store.accept(message))
    }

    @Test("An acceptance says where the message goes, and what the device may have got before", arguments: StoreEngine.allCases)
    func routes(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        let (worker, mail, other) = (WorkerName(), ApplicationPair.named("mail"), DeviceID())
        _ = try await store.connect(device, to: worker)
        try await store.register(mail, for: device)
        try await store.register(news, for: device)
        try await store.register(news, for: other)
        let first = try #require(try await accept(news, store).routes)
        // The other device has the application, but no socket.
        let recipient = Recipient(device: device, worker: worker)
        #expect(first == MessageRoutes(expires: 61_000, connected: [MessageRoute(recipient: recipient, previous: 0)]))
        let mailed = try await accept(mail, store)
        #expect(mailed.routes?.connected.first?.previous == mailed.sequence - 1)
        #expect(try await accept(news, store).routes?.connected.first?.previous == mailed.sequence)
        #expect(try await accept(news, store, wantsRoutes: false).routes == nil)
        let connection = try await store.connect(device, to: WorkerName())
        try await store.disconnect(device, connection: connection.number)
        #expect(try await accept(news, store).routes?.connected.isEmpty == true)
    }

    @Test("It does not when devices are to be woken, or there are many", arguments: StoreEngine.allCases)
    func noRoutes(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        let target = WakeUpTarget(interface: DeviceInterface(ip: "10.0.0.1", port: 4), network: MobileNetwork(mcc: "214", mnc: "07"))
        let connection = try await store.connect(device, to: WorkerName(), wakeUp: target)
        try await store.register(news, for: device)
        #expect(try await accept(news, store).routes?.connected.count == 1)
        try await store.disconnect(device, connection: connection.number, sentThrough: .max, now: 100_000)
        #expect(try await accept(news, store).routes == nil)
        let others = (0..<MessageRoutes.limit + 1).map { _ in DeviceID() }
        let mail = ApplicationPair.named("mail")
        for other in others {
            _ = try await store.connect(other, to: WorkerName())
            try await store.register(mail, for: other)
        }
        #expect(try await accept(mail, store).routes == nil)
        try await store.forget(others[0])
        #expect(try await accept(mail, store).routes?.connected.count == MessageRoutes.limit)
    }

    // MARK: Replay protection

    private func notification(_ text: String, _ application: Application, key: ReplayKey?, at time: Int64 = 0, ttl: Int64 = 60)
        -> NewMessage
    {
        NewMessage(
            application: application.number, body: NotificationBody(bytes: Array(text.utf8)), accepted: time, ttl: ttl, replayKey: key)
    }

    @Test("A message that comes again within its ttl is the first one, also after it was acknowledged", arguments: StoreEngine.allCases)
    func replay(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        try await store.register(news, for: device)
        let application = try #require(try await store.application(news.appToken))
        let key = ReplayKey(id: "1", signature: [1, 2, 3])
        let first = try #require(try await store.accept(notification("x", application, key: key)))
        #expect(!first.isReplay)
        let again = notification("x", application, key: key, at: 59_999)
        #expect(try await store.accept(again) == Acceptance(sequence: first.sequence, isReplay: true))
        #expect(try await store.pendingSequences(device) == [first.sequence])
        try await store.acknowledge([Acknowledgement(device: device, sequence: first.sequence)])
        #expect(try await store.accept(again) == Acceptance(sequence: first.sequence, isReplay: true))
        #expect(try await store.pendingSequences(device).isEmpty)
        // After the ttl of the first it is a new one, and the first of those that follow.
        let later = try #require(try await store.accept(notification("x", application, key: key, at: 60_000)))
        #expect(!later.isReplay && later.sequence > first.sequence)
        #expect(
            try await store.accept(notification("x", application, key: key, at: 60_001))
                == Acceptance(sequence: later.sequence, isReplay: true))
    }

    @Test("Another id, signature or application, or no key: a message of its own", arguments: StoreEngine.allCases)
    func noReplay(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        let mail = ApplicationPair.named("mail")
        try await store.register(news, for: device)
        try await store.register(mail, for: device)
        let one = try #require(try await store.application(news.appToken))
        let two = try #require(try await store.application(mail.appToken))
        let key = ReplayKey(id: "1", signature: [1, 2, 3])
        let messages = [
            notification("x", one, key: key), notification("x", one, key: ReplayKey(id: .number(JSONNumber(1)), signature: [1, 2, 3])),
            notification("x", one, key: ReplayKey(id: "2", signature: [1, 2, 3])),
            notification("x", one, key: ReplayKey(id: "1", signature: [1, 2, 4])), notification("x", two, key: key),
            notification("x", one, key: nil), notification("x", one, key: nil),
        ]
        for message in messages { #expect(try #require(try await store.accept(message)).isReplay == false) }
        #expect(try await store.pendingSequences(device).count == messages.count)
    }

    @Test("Repetitions that come at once: one is stored", arguments: StoreEngine.allCases)
    func replaysAtOnce(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        try await store.register(news, for: device)
        let application = try #require(try await store.application(news.appToken))
        let message = notification("x", application, key: ReplayKey(id: "1", signature: [7]))
        let outcomes = try await withThrowingTaskGroup(of: Acceptance?.self) { group in
            for _ in 0..<50 { group.addTask { try await store.accept(message) } }
            return try await group.reduce(into: [Acceptance?]()) { $0.append($1) }
        }
        #expect(outcomes.count { $0?.isReplay == false } == 1)
        #expect(Set(outcomes.map { $0?.sequence }).count == 1)
    }

    // MARK: Retention

    @Test(
        "Devices that were not connected for long are forgotten, with what they registered; others are not", arguments: StoreEngine.allCases
    )
    func unseen(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        let (gone, back, connected) = (DeviceID(), DeviceID(), DeviceID())
        for device in [gone, back, connected] {
            _ = try await store.connect(device, to: WorkerName())
            try await store.register(news, for: device)
        }
        subject.machine.pass(5 * TestMachine.day)
        _ = try await store.connect(back, to: WorkerName())
        try await store.noteConnected([connected, DeviceID()])
        subject.machine.pass(2 * TestMachine.day)
        #expect(try await store.removeUnseen(since: store.now - 7 * TestMachine.day) == 0)
        #expect(try await store.removeUnseen(since: store.now - 6 * TestMachine.day) == 1)
        #expect(try await store.removeUnseen(since: store.now - 6 * TestMachine.day) == 0)
        #expect(try await store.applications(of: gone).isEmpty)
        #expect(try await store.applications(of: back) == [news.appToken])
        #expect(try await store.applications(of: connected) == [news.appToken])
        subject.machine.pass(100 * TestMachine.day)
        #expect(try await store.removeUnseen(since: store.now - 6 * TestMachine.day) == 2)
        #expect(try await store.application(news.appToken) == nil)
    }

    // MARK: Time

    @Test("Setting the machine's clock, back or forward, changes neither the store's time nor the order", arguments: StoreEngine.allCases)
    func clockSteps(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        try await store.register(news, for: device)
        var sequences: [Int64] = []
        for step in [0, 10 * 365 * TestMachine.day, -30 * 365 * TestMachine.day] {
            let before = store.now
            subject.machine.step(by: step)
            #expect(store.now == before)
            subject.machine.pass(1000)
            #expect(store.now == before + 1000)
            sequences.append(try await store.post("\(step)", to: news.appToken, accepted: store.now, ttl: 60))
            #expect(try await store.removeExpired(now: store.now).isEmpty)
        }
        #expect(sequences == sequences.sorted())
        #expect(try await store.pendingSequences(device, now: store.now) == sequences)
        subject.machine.pass(58_000)
        #expect(try await store.pendingSequences(device, now: store.now) == Array(sequences.dropFirst()))
        #expect(try await store.removeExpired(now: store.now).count == 1)
    }
}
