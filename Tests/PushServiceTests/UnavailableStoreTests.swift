import Lab
import Logging
import NIOCore
import NIOPosix
import PushProtocol
import PushStore
import Synchronization
import Testing

@testable import PushService

/// A store whose every answer is an error, until it is told to work.
private final class UnreliableStore: MessageStore {
    private let store: SQLiteStore
    private let error = Mutex<StoreError?>(nil)
    private let pendingReads = Atomic<Int>(0)
    /// How often it was asked for pending messages.
    var reads: Int { pendingReads.load(ordering: .relaxed) }

    init(_ store: SQLiteStore) {
        self.store = store
    }

    /// What every operation fails with; nil: they work.
    func fail(with error: StoreError?) {
        self.error.withLock { $0 = error }
    }

    private func pass<Value>(_ then: Completion<Value>, _ body: () -> Void) {
        if let error = error.withLock({ $0 }) { then(.failure(error)) } else { body() }
    }

    var identity: UInt32 { store.identity }
    var now: Int64 { store.now }
    func connect(
        _ device: DeviceID, to worker: WorkerName, wakeUp: WakeUpTarget?, then: @escaping Completion<DeviceConnection>
    ) { pass(then) { store.connect(device, to: worker, wakeUp: wakeUp, then: then) } }
    func setWakeUp(_ target: WakeUpTarget?, of device: DeviceID, connection: Int64, then: @escaping Completion<Void>) {
        pass(then) { store.setWakeUp(target, of: device, connection: connection, then: then) }
    }
    func disconnect(
        _ device: DeviceID, connection: Int64, sentThrough: Int64, pauses: WakeUpPauses, now: Int64, then: @escaping Completion<Bool>
    ) { store.disconnect(device, connection: connection, sentThrough: sentThrough, pauses: pauses, now: now, then: then) }
    func disconnectAll(of worker: WorkerName, now: Int64, then: @escaping Completion<Int>) {
        pass(then) { store.disconnectAll(of: worker, now: now, then: then) }
    }
    func requestWakeUps(of application: Int64, now: Int64, then: @escaping Completion<Int>) {
        pass(then) { store.requestWakeUps(of: application, now: now, then: then) }
    }
    func takeWakeUps(limit: Int, pauses: WakeUpPauses, now: Int64, then: @escaping Completion<WakeUps>) {
        pass(then) { store.takeWakeUps(limit: limit, pauses: pauses, now: now, then: then) }
    }
    func noteAwake(_ device: DeviceID, then: @escaping Completion<Bool>) { pass(then) { store.noteAwake(device, then: then) } }
    func forget(_ device: DeviceID, then: @escaping Completion<Void>) { pass(then) { store.forget(device, then: then) } }
    func register(
        _ application: ApplicationPair, for device: DeviceID, limit: Int, then: @escaping Completion<RegistrationOutcome>
    ) { pass(then) { store.register(application, for: device, limit: limit, then: then) } }
    func unregister(_ application: ApplicationPair, for device: DeviceID, then: @escaping Completion<Bool>) {
        pass(then) { store.unregister(application, for: device, then: then) }
    }
    func applications(of device: DeviceID, then: @escaping Completion<[AppToken]>) {
        pass(then) { store.applications(of: device, then: then) }
    }
    func application(_ token: AppToken, then: @escaping Completion<Application?>) { pass(then) { store.application(token, then: then) } }
    func accept(_ message: NewMessage, then: @escaping Completion<Acceptance?>) { pass(then) { store.accept(message, then: then) } }
    func acknowledge(_ acknowledgements: [Acknowledgement], then: @escaping Completion<Int>) {
        pass(then) { store.acknowledge(acknowledgements, then: then) }
    }
    func pending(_ query: PendingQuery, then: @escaping Completion<[StoredMessage]>) {
        pendingReads.add(1, ordering: .relaxed)
        pass(then) { store.pending(query, then: then) }
    }
    func recipients(of application: Int64, then: @escaping Completion<Recipients>) {
        pass(then) { store.recipients(of: application, then: then) }
    }
    func arrivals(for worker: WorkerName, after: Int64, then: @escaping Completion<Arrivals>) {
        pass(then) { store.arrivals(for: worker, after: after, then: then) }
    }
    func removeExpired(now: Int64, then: @escaping Completion<[ExpiredMessage]>) {
        pass(then) { store.removeExpired(now: now, then: then) }
    }
    func noteConnected(_ devices: [DeviceID], then: @escaping Completion<Void>) { pass(then) { store.noteConnected(devices, then: then) } }
    func removeUnseen(since: Int64, then: @escaping Completion<Int>) { pass(then) { store.removeUnseen(since: since, then: then) } }
    func close() { store.close() }
}

@Suite("Push: a store that cannot be used")
struct UnavailableStoreTests {
    /// A worker on a store that can be made to fail, and the in-process bus.
    private func withWorker(_ body: (WorkerHarness, UnreliableStore) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        let store = UnreliableStore(try SQLiteStore(directory: directory.path))
        var configuration = WorkerConfiguration(dataDirectory: directory.path, publicURL: WorkerHarness.publicURL)
        configuration.userAgentPort = 0
        configuration.applicationServerPort = 0
        configuration.drain = .milliseconds(0)
        configuration.eventLoops = 1
        configuration.reread = .milliseconds(200)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let bus = InProcessBus(hub: InProcessBus.Hub(), roles: [.monitor, .uaUDP])
        let worker = try await PushWorker.start(configuration, logger: logger, store: store, bus: bus, tokenKeys: TokenKeys())
        do {
            try await body(WorkerHarness(directory: directory, worker: worker), store)
        } catch {
            await worker.stop()
            throw error
        }
        await worker.stop()
    }

    @Test(
        "Posts: 503 with Retry-After, whatever the reason, and accepted again afterwards",
        arguments: [StoreError.full, .unavailable("disk full")])
    func posts(error: StoreError) async throws {
        try await withWorker { harness, store in
            let (device, _) = try await harness.device()
            let url = try await device.registerApplication("w")
            let sender = try await harness.sender(url)
            // The first time the application is not yet known to this worker, the second time it is.
            for message in ["one", "two"] {
                store.fail(with: error)
                let answer = try await sender.send(message, id: "i")
                #expect(answer.status == 503)
                #expect(answer.headers.first(name: "Retry-After") == "1")
                #expect(try JSONValue(parsing: answer.body) == ["status": "ERROR", "reason": "Try again later"])
                store.fail(with: nil)
                #expect(try await sender.send(message, id: "i").status == 200)
                #expect(try await device.notification().message == message)
            }
            #expect(harness.worker.counters[.notifiesUnavailable] == 2)
        }
    }

    @Test("Commands: 503, the socket stays open, and they work afterwards")
    func commands() async throws {
        try await withWorker { harness, store in
            let token = try await harness.token()
            let device = try await harness.connect()
            let pair = #""data":{"watoken":"w","pbkbase64":"\#(TestKeys.one.pbkbase64)"}"#
            let commands = [
                ("registerUA", #""data":{"uatoken":"\#(token)"}"#), ("registerWA", pair), ("getRegisteredWA", #""x":1"#),
                ("unregisterWA", pair),
                ("getAllMessages", #""data":{"uatoken":"\#(token)"}"#), ("unregisterUA", #""x":1"#),
            ]
            for (name, rest) in commands {
                let text = #"{"messageType":"\#(name)",\#(rest)}"#
                store.fail(with: .unavailable("disk full"))
                let refused = try await device.ask(text)
                #expect(
                    JSONValue.object(refused)
                        == ["messageType": .text(name), "status": "ERROR", "statusCode": 503, "reason": "Try again later"])
                store.fail(with: nil)
                #expect(try await device.ask(text)["statusCode"]?.integer == 200)
            }
            try await device.expectClose(1000)
        }
    }

    @Test("A connection that could not be registered does not take the place of the one before")
    func notReplaced() async throws {
        try await withWorker { harness, store in
            let (device, token) = try await harness.device()
            let url = try await device.registerApplication("w")
            store.fail(with: .full)
            let second = try await harness.connect()
            #expect(try await second.ask(#"{"messageType":"registerUA","data":{"uatoken":"\#(token)"}}"#)["statusCode"]?.integer == 503)
            store.fail(with: nil)
            try await harness.push("still here", to: url)
            #expect(try await device.notification().message == "still here")
        }
    }

    @Test("A message is delivered when reading works again")
    func deliveryLater() async throws {
        try await withWorker { harness, store in
            let (device, token) = try await harness.device()
            let url = try await device.registerApplication("w")
            await device.close()
            try await harness.push("kept", to: url)
            let back = try await harness.connect()
            back.socket.send(#"{"messageType":"registerUA","data":{"uatoken":"\#(token)"}}"#)
            guard case .answer? = try await back.next() else {
                Issue.record("it is registered")
                return
            }
            #expect(try await back.notification().message == "kept")
            store.fail(with: .unavailable("disk full"))
            try await Task.sleep(for: .milliseconds(300))
            try await back.expectQuiet()
            store.fail(with: nil)
            try await harness.push("more", to: url)
            #expect(try await back.notification().message == "more")
            #expect(harness.worker.counters[.storeReadsFailed] > 0)
        }
    }

    @Test("What comes with its note is sent without reading the store, unless something may lie before it")
    func messageInNote() async throws {
        try await withWorker { harness, store in
            let (device, token) = try await harness.device()
            let url = try await device.registerApplication("w")
            let other = try await device.registerApplication("x")
            let reads = store.reads
            for index in 0..<5 {
                let identifier = try await harness.push("\(index)", to: index % 2 == 0 ? url : other, ttl: index == 4 ? 0 : nil)
                let notification = try await device.notification()
                #expect(notification.message == "\(index)" && notification.messageID == identifier)
                if index > 2 { device.acknowledge(identifier) }
            }
            #expect(store.reads == reads)
            // One without a note lies between.
            let application = try #require(try await application(of: url, store))
            let body = NotificationBody(bytes: Array(#""id":"i","message":"silent","timestamp":1,"priority":1"#.utf8))
            let silent = NewMessage(application: application.number, body: body, accepted: store.now, ttl: 60)
            _ = try await withCheckedThrowingContinuation { continuation in store.accept(silent) { continuation.resume(with: $0) } }
            try await harness.push("loud", to: other)
            #expect(try await device.notification().message == "silent")
            #expect(try await device.notification().message == "loud")
            // What a device has unregistered does not come by a late note.
            let pair: JSONValue = ["watoken": "x", "pbkbase64": .text(TestKeys.one.pbkbase64)]
            device.send(["messageType": "unregisterWA", "data": pair])
            guard case .answer? = try await device.next() else { throw LabError("no answer") }
            let before = store.reads
            try await harness.push("read", to: url)
            #expect(try await device.notification().message == "read")
            #expect(store.reads > before)
            #expect(try await harness.pending(token) == 4)
        }
    }

    private func application(of url: String, _ store: UnreliableStore) async throws -> Application? {
        let token = try #require(AppToken(url.suffix(64)))
        return try await withCheckedThrowingContinuation { continuation in store.application(token) { continuation.resume(with: $0) } }
    }

    @Test("Acknowledgements that could not be written are written when the store works again, and nothing is lost")
    func acknowledgementsKept() async throws {
        try await withWorker { harness, store in
            let (device, token) = try await harness.device()
            let url = try await device.registerApplication("w")
            for index in 0..<5 { try await harness.push("\(index)", to: url) }
            var identifiers: [String] = []
            for _ in 0..<5 { identifiers.append(try await device.notification().messageID) }
            store.fail(with: .unavailable("disk full"))
            for identifier in identifiers { device.acknowledge(identifier) }
            try await device.expectQuiet()
            try await eventually { harness.worker.counters[.acknowledgementsPostponed] >= 5 }
            store.fail(with: nil)
            try await eventually { harness.worker.counters[.acknowledged] == 5 }
            #expect(harness.worker.counters[.acknowledgementsLost] == 0)
            #expect(try await harness.pending(token) == 0)
        }
    }

    @Test("A device that leaves while the store fails is not kept waiting, and its acknowledgements are still written")
    func leavesMeanwhile() async throws {
        try await withWorker { harness, store in
            let (device, token) = try await harness.device()
            let url = try await device.registerApplication("w")
            try await harness.push("one", to: url)
            let identifier = try await device.notification().messageID
            store.fail(with: .unavailable("disk full"))
            device.acknowledge(identifier)
            let start = ContinuousClock.now
            await device.close()
            #expect(ContinuousClock.now - start < .seconds(3))
            store.fail(with: nil)
            try await eventually { harness.worker.counters[.acknowledged] == 1 }
            #expect(try await harness.pending(token) == 0)
        }
    }

    @Test("What cannot be written until the worker stops is counted as lost")
    func lostAtTheEnd() async throws {
        let counters = WorkerCounters()
        let directory = try TemporaryDirectory()
        let store = UnreliableStore(try SQLiteStore(directory: directory.path))
        store.fail(with: .unavailable("disk full"))
        let batcher = AcknowledgementBatcher(
            store: store, counters: counters, trouble: StoreTrouble(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }),
            messageLog: nil, delay: .milliseconds(10), limit: 1000, eventLoop: MultiThreadedEventLoopGroup.singleton.next())
        for sequence in 0..<Int64(1010) { batcher.add(Acknowledgement(device: DeviceID(), sequence: sequence)) }
        try await eventually { counters[.acknowledgementsLost] == 10 }
        await withCheckedContinuation { continuation in batcher.finish { continuation.resume() } }
        #expect(counters[.acknowledgementsLost] == 1010)
        store.close()
    }
}
