import Foundation
import PushProtocol
import PushStore

/// A directory that is removed in the end.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/sluice-store-" + Hex.encode(Randomness.bytes(6))
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// The store's operations as tests want them: they wait for the outcome.
extension MessageStore {
    private func wait<Value: Sendable>(_ start: (@escaping Completion<Value>) -> Void) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            start { continuation.resume(with: $0) }
        }
    }

    func connect(_ device: DeviceID, to worker: WorkerName, wakeUp: WakeUpTarget? = nil) async throws -> DeviceConnection {
        try await wait { connect(device, to: worker, wakeUp: wakeUp, then: $0) }
    }
    func setWakeUp(_ target: WakeUpTarget?, of device: DeviceID, connection: Int64) async throws {
        try await wait { setWakeUp(target, of: device, connection: connection, then: $0) }
    }
    @discardableResult
    func disconnect(_ device: DeviceID, connection: Int64, sentThrough: Int64 = 0, now: Int64 = 0) async throws -> Bool {
        try await wait {
            disconnect(device, connection: connection, sentThrough: sentThrough, pauses: WakeUpPauses(), now: now, then: $0)
        }
    }
    func disconnectAll(of worker: WorkerName, now: Int64) async throws -> Int {
        try await wait { disconnectAll(of: worker, now: now, then: $0) }
    }
    func requestWakeUps(of application: Int64, now: Int64) async throws -> Int {
        try await wait { requestWakeUps(of: application, now: now, then: $0) }
    }
    func takeWakeUps(limit: Int = 100, now: Int64) async throws -> WakeUps {
        try await wait { takeWakeUps(limit: limit, pauses: WakeUpPauses(), now: now, then: $0) }
    }
    func noteAwake(_ device: DeviceID) async throws -> Bool {
        try await wait { noteAwake(device, then: $0) }
    }
    func forget(_ device: DeviceID) async throws {
        try await wait { forget(device, then: $0) }
    }
    @discardableResult
    func register(_ application: ApplicationPair, for device: DeviceID, limit: Int = 10_000) async throws -> RegistrationOutcome {
        try await wait { register(application, for: device, limit: limit, then: $0) }
    }
    func unregister(_ application: ApplicationPair, for device: DeviceID) async throws -> Bool {
        try await wait { unregister(application, for: device, then: $0) }
    }
    func applications(of device: DeviceID) async throws -> [AppToken] {
        try await wait { applications(of: device, then: $0) }
    }
    func application(_ token: AppToken) async throws -> Application? {
        try await wait { application(token, then: $0) }
    }
    func accept(_ message: NewMessage) async throws -> Acceptance? {
        try await wait { accept(message, then: $0) }
    }
    func noteConnected(_ devices: [DeviceID]) async throws {
        try await wait { noteConnected(devices, then: $0) }
    }
    func removeUnseen(since: Int64) async throws -> Int {
        try await wait { removeUnseen(since: since, then: $0) }
    }
    @discardableResult
    func acknowledge(_ acknowledgements: [Acknowledgement]) async throws -> Int {
        try await wait { acknowledge(acknowledgements, then: $0) }
    }
    func pending(_ query: PendingQuery) async throws -> [StoredMessage] {
        try await wait { pending(query, then: $0) }
    }
    func recipients(of application: Int64) async throws -> [Recipient] {
        try await allRecipients(of: application).connected
    }
    func allRecipients(of application: Int64) async throws -> Recipients {
        try await wait { recipients(of: application, then: $0) }
    }
    func arrivals(for worker: WorkerName, after: Int64) async throws -> Arrivals {
        try await wait { arrivals(for: worker, after: after, then: $0) }
    }
    func removeExpired(now: Int64) async throws -> [ExpiredMessage] {
        try await wait { removeExpired(now: now, then: $0) }
    }

    /// The sequence numbers of what is pending for a device.
    func pendingSequences(
        _ device: DeviceID, after: Int64 = 0, transientAfter: Int64? = nil, limit: Int = 1000, now: Int64 = 0
    ) async throws -> [Int64] {
        var query = PendingQuery(device: device, limit: limit, now: now)
        query.after = after
        query.transientAfter = transientAfter
        return try await pending(query).map(\.sequence)
    }

    /// Accepts a message with a text for an AppToken.
    @discardableResult
    func post(_ text: String, to token: AppToken, accepted: Int64 = 0, ttl: Int64 = 3600) async throws -> Int64 {
        guard let application = try await application(token) else { throw StoreError.unavailable("not registered") }
        let message = NewMessage(
            application: application.number, body: NotificationBody(bytes: Array(text.utf8)), accepted: accepted, ttl: ttl)
        guard let accepted = try await accept(message) else { throw StoreError.unavailable("unregistered") }
        return accepted.sequence
    }
}

extension MessageBus {
    /// Starts, whoever may be gone.
    func start(_ receive: @escaping @Sendable (BusNote) -> Void) {
        start(receive, gone: { _ in })
    }
}

extension ApplicationPair {
    /// A pair for tests; the store does not look into keys.
    static func named(_ watoken: String) -> ApplicationPair {
        ApplicationPair(watoken: watoken, pbkbase64: "key")
    }
}
