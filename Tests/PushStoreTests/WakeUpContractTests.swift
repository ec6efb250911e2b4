import PushProtocol
import Testing

@testable import PushStore

@Suite("Push: the contract of message stores: wake-ups")
struct WakeUpContractTests {
    private let worker = WorkerName()
    private let device = DeviceID()
    private let news = ApplicationPair.named("news")
    private let target = WakeUpTarget(
        interface: DeviceInterface(ip: "10.77.4.11", port: 5000), network: MobileNetwork(mcc: "214", mnc: "07"))

    /// The device has registered the application and sleeps; returns the application's number.
    private func asleep(_ device: DeviceID, in store: any MessageStore) async throws -> Int64 {
        let connection = try await store.connect(device, to: worker, wakeUp: target)
        try await store.register(news, for: device)
        try await store.disconnect(device, connection: connection.number)
        return try #require(try await store.application(news.appToken)).number
    }

    @Test(
        "A message makes one wake-up due; it is repeated after 30, 60 and 120 s, and again at the next message",
        arguments: StoreEngine.allCases)
    func repeated(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        let application = try await asleep(device, in: store)
        try await store.post("one", to: news.appToken)
        #expect(try await store.allRecipients(of: application) == Recipients(connected: [], hasSleepers: true))
        #expect(try await store.requestWakeUps(of: application, now: 1_000) == 1)
        // A second message changes nothing.
        #expect(try await store.allRecipients(of: application).hasSleepers == false)
        #expect(try await store.requestWakeUps(of: application, now: 1_500) == 0)

        var now: Int64 = 1_000
        #expect(try await store.takeWakeUps(now: now - 1) == WakeUps(due: [], needless: 0, next: now))
        for (attempt, pause) in [(1, 30_000), (2, 60_000), (3, 120_000)] as [(Int, Int64)] {
            let taken = try await store.takeWakeUps(now: now)
            #expect(taken == WakeUps(due: [WakeUp(device: device, target: target, attempt: attempt)], needless: 0, next: now + pause))
            #expect(try await store.takeWakeUps(now: now + pause - 1).due == [])
            now += pause
        }
        #expect(try await store.takeWakeUps(now: now).due.map(\.attempt) == [4])
        #expect(try await store.takeWakeUps(now: now + 10_000_000) == WakeUps(due: [], needless: 0, next: nil))
        #expect(try await store.requestWakeUps(of: application, now: now) == 1)
        #expect(try await store.takeWakeUps(now: now).due.map(\.attempt) == [1])
    }

    @Test("A device that comes is not woken any more, and counts as woken once", arguments: StoreEngine.allCases)
    func comes(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        let application = try await asleep(device, in: store)
        try await store.post("one", to: news.appToken)
        _ = try await store.requestWakeUps(of: application, now: 0)
        _ = try await store.takeWakeUps(now: 0)
        #expect(try await store.connect(device, to: worker, wakeUp: target).wasWoken)
        #expect(try await store.takeWakeUps(now: 1_000_000) == WakeUps(due: [], needless: 0, next: nil))
        #expect(try await store.connect(device, to: worker, wakeUp: target).wasWoken == false)
    }

    @Test("A device that only polls counts as awake", arguments: StoreEngine.allCases)
    func polls(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        let application = try await asleep(device, in: store)
        try await store.post("one", to: news.appToken)
        #expect(try await store.noteAwake(device) == false)
        _ = try await store.requestWakeUps(of: application, now: 0)
        _ = try await store.takeWakeUps(now: 0)
        #expect(try await store.noteAwake(device))
        #expect(try await store.takeWakeUps(now: 1_000_000) == WakeUps(due: [], needless: 0, next: nil))
    }

    @Test("Nobody is woken for what has expired, has a ttl of 0, was acknowledged or unregistered", arguments: StoreEngine.allCases)
    func needless(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        let application = try await asleep(device, in: store)
        try await store.post("now or never", to: news.appToken, ttl: 0)
        _ = try await store.requestWakeUps(of: application, now: 0)
        #expect(try await store.takeWakeUps(now: 0) == WakeUps(due: [], needless: 1, next: nil))

        let sequence = try await store.post("short", to: news.appToken, ttl: 10)
        _ = try await store.requestWakeUps(of: application, now: 0)
        #expect(try await store.takeWakeUps(now: 0).due.count == 1)
        #expect(try await store.takeWakeUps(now: 30_000) == WakeUps(due: [], needless: 1, next: nil))

        let other = try await store.post("acknowledged out of order", to: news.appToken)
        try await store.acknowledge([Acknowledgement(device: device, sequence: other)])
        try await store.acknowledge([Acknowledgement(device: device, sequence: sequence)])
        _ = try await store.requestWakeUps(of: application, now: 0)
        #expect(try await store.takeWakeUps(now: 0) == WakeUps(due: [], needless: 1, next: nil))

        try await store.post("unregistered", to: news.appToken)
        _ = try await store.requestWakeUps(of: application, now: 0)
        _ = try await store.unregister(news, for: device)
        #expect(try await store.takeWakeUps(now: 0) == WakeUps(due: [], needless: 1, next: nil))
    }

    @Test(
        "Only devices that sleep and said where are woken; those that are connected, or cannot be woken, are not",
        arguments: StoreEngine.allCases)
    func others(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        let application = try await asleep(device, in: store)
        let (plain, connected) = (DeviceID(), DeviceID())
        let first = try await store.connect(plain, to: worker)
        try await store.register(news, for: plain)
        try await store.disconnect(plain, connection: first.number)
        _ = try await store.connect(connected, to: worker, wakeUp: target)
        try await store.register(news, for: connected)
        try await store.post("one", to: news.appToken)
        let recipients = try await store.allRecipients(of: application)
        #expect(recipients == Recipients(connected: [Recipient(device: connected, worker: worker)], hasSleepers: true))
        #expect(try await store.requestWakeUps(of: application, now: 0) == 1)
        #expect(try await store.takeWakeUps(now: 0).due.map(\.device) == [device])
    }

    @Test(
        "At the end of a connection: what was never sent wakes at once, what was not acknowledged after a pause, and not for ever",
        arguments: StoreEngine.allCases)
    func ends(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        var connection = try await store.connect(device, to: worker, wakeUp: target)
        try await store.register(news, for: device)
        let first = try await store.post("sent", to: news.appToken)
        #expect(try await store.disconnect(device, connection: connection.number, sentThrough: first - 1, now: 5_000))
        #expect(try await store.takeWakeUps(now: 5_000).due.map(\.attempt) == [1])

        var now: Int64 = 10_000
        for pause in [60_000, 120_000] as [Int64] {
            connection = try await store.connect(device, to: worker, wakeUp: target)
            #expect(try await store.disconnect(device, connection: connection.number, sentThrough: first, now: now) == false)
            #expect(try await store.takeWakeUps(now: now + pause - 1).due == [])
            now += pause
        }
        connection = try await store.connect(device, to: worker, wakeUp: target)
        try await store.disconnect(device, connection: connection.number, sentThrough: first, now: now)
        #expect(try await store.takeWakeUps(now: now + 10_000_000).next == nil, "it never acknowledges")

        connection = try await store.connect(device, to: worker, wakeUp: target)
        try await store.acknowledge([Acknowledgement(device: device, sequence: first)])
        try await store.disconnect(device, connection: connection.number, sentThrough: first, now: now)
        #expect(try await store.connect(device, to: worker, wakeUp: target).wasWoken == false)
    }

    @Test("An old connection's end, and its interface, do not count any more", arguments: StoreEngine.allCases)
    func old(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        let first = try await store.connect(device, to: worker, wakeUp: target)
        try await store.register(news, for: device)
        _ = try await store.connect(device, to: worker, wakeUp: nil)
        try await store.setWakeUp(target, of: device, connection: first.number)
        try await store.disconnect(device, connection: first.number)
        let application = try #require(try await store.application(news.appToken)).number
        try await store.post("one", to: news.appToken)
        #expect(
            try await store.allRecipients(of: application)
                == Recipients(
                    connected: [Recipient(device: device, worker: worker)], hasSleepers: false))
    }

    @Test("The interface is replaced, and taken away", arguments: StoreEngine.allCases)
    func interface(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        let connection = try await store.connect(device, to: worker)
        try await store.register(news, for: device)
        let other = WakeUpTarget(interface: DeviceInterface(ip: "fd77:4::11", port: 65535), network: MobileNetwork(mcc: "001", mnc: "001"))
        try await store.setWakeUp(other, of: device, connection: connection.number)
        try await store.disconnect(device, connection: connection.number)
        let application = try #require(try await store.application(news.appToken)).number
        try await store.post("one", to: news.appToken)
        _ = try await store.requestWakeUps(of: application, now: 0)
        #expect(try await store.takeWakeUps(now: 0).due.map(\.target) == [other])
        let again = try await store.connect(device, to: worker, wakeUp: other)
        try await store.setWakeUp(nil, of: device, connection: again.number)
        #expect(try await store.disconnect(device, connection: again.number) == false)
        #expect(try await store.requestWakeUps(of: application, now: 0) == 0)
    }

    @Test("The devices of a worker that has died are woken for what they have missed", arguments: StoreEngine.allCases)
    func workerGone(engine: StoreEngine) async throws {
        let subject = try engine.make()
        defer { subject.close() }
        let store = subject.store
        let connection = try await store.connect(device, to: worker, wakeUp: target)
        try await store.register(news, for: device)
        let elsewhere = DeviceID()
        _ = try await store.connect(elsewhere, to: WorkerName(), wakeUp: target)
        try await store.register(news, for: elsewhere)
        try await store.post("one", to: news.appToken)
        #expect(try await store.disconnectAll(of: worker, now: 7) == 1)
        #expect(try await store.takeWakeUps(now: 7).due.map(\.device) == [device])
        #expect(try await store.disconnectAll(of: worker, now: 7) == 0)
        #expect(try await store.disconnect(device, connection: connection.number) == true, "it still has something to get")
    }
}
