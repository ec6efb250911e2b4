import PushProtocol
import Testing

@testable import PushStore

@Suite("Push: wake-ups in the SQLite store")
struct WakeUpStoreTests {
    private let directory: TemporaryDirectory
    private let store: SQLiteStore
    private let worker = WorkerName()
    private let device = DeviceID()
    private let news = ApplicationPair.named("news")
    private let target = WakeUpTarget(
        interface: DeviceInterface(ip: "10.77.4.11", port: 5000), network: MobileNetwork(mcc: "214", mnc: "07"))

    init() throws {
        directory = try TemporaryDirectory()
        store = try SQLiteStore(directory: directory.path)
    }

    /// The device has registered the application and sleeps; returns the application's number.
    private func asleep(_ device: DeviceID? = nil) async throws -> Int64 {
        let device = device ?? self.device
        let connection = try await store.connect(device, to: worker, wakeUp: target)
        try await store.register(news, for: device)
        try await store.disconnect(device, connection: connection.number)
        return try #require(try await store.application(news.appToken)).number
    }

    @Test("The limit holds, and several takers share what is due", .timeLimit(.minutes(1)))
    func shared() async throws {
        var application: Int64 = 0
        let devices = (0..<50).map { _ in DeviceID() }
        for device in devices { application = try await asleep(device) }
        try await store.post("one", to: news.appToken)
        #expect(try await store.requestWakeUps(of: application, now: 0) == 50)
        let second = try SQLiteStore(directory: directory.path)
        var woken: [DeviceID] = []
        while woken.count < 50 {
            async let one = store.takeWakeUps(limit: 7, now: 0)
            async let two = second.takeWakeUps(limit: 7, now: 0)
            let (first, other) = (try await one, try await two)
            #expect(first.due.count <= 7 && other.due.count <= 7)
            woken += (first.due + other.due).map(\.device)
        }
        #expect(woken.count == 50 && Set(woken) == Set(devices))
        second.close()
    }

    @Test("What is due survives the process")
    func restart() async throws {
        let application = try await asleep()
        try await store.post("one", to: news.appToken)
        _ = try await store.requestWakeUps(of: application, now: 0)
        _ = try await store.takeWakeUps(now: 0)
        store.close()
        let again = try SQLiteStore(directory: directory.path)
        #expect(try await again.takeWakeUps(now: 30_000).due == [WakeUp(device: device, target: target, attempt: 2)])
        again.close()
    }
}
