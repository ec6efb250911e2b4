public import PushProtocol

/// What a worker has whose roles need no store: every operation fails.
public struct NoStore: MessageStore {
    public let identity: UInt32 = 0
    public let now: Int64 = 0

    /// No store.
    public init() {}

    public func connect(
        _ device: DeviceID, to worker: WorkerName, wakeUp: WakeUpTarget?, then: @escaping Completion<DeviceConnection>
    ) { then(.failure(.closed)) }
    public func setWakeUp(_ target: WakeUpTarget?, of device: DeviceID, connection: Int64, then: @escaping Completion<Void>) {
        then(.failure(.closed))
    }
    public func disconnect(
        _ device: DeviceID, connection: Int64, sentThrough: Int64, pauses: WakeUpPauses, now: Int64, then: @escaping Completion<Bool>
    ) { then(.failure(.closed)) }
    public func disconnectAll(of worker: WorkerName, now: Int64, then: @escaping Completion<Int>) { then(.failure(.closed)) }
    public func noteConnected(_ devices: [DeviceID], then: @escaping Completion<Void>) { then(.failure(.closed)) }
    public func removeUnseen(since: Int64, then: @escaping Completion<Int>) { then(.failure(.closed)) }
    public func forget(_ device: DeviceID, then: @escaping Completion<Void>) { then(.failure(.closed)) }
    public func register(
        _ application: ApplicationPair, for device: DeviceID, limit: Int, then: @escaping Completion<RegistrationOutcome>
    ) { then(.failure(.closed)) }
    public func unregister(_ application: ApplicationPair, for device: DeviceID, then: @escaping Completion<Bool>) {
        then(.failure(.closed))
    }
    public func applications(of device: DeviceID, then: @escaping Completion<[AppToken]>) { then(.failure(.closed)) }
    public func application(_ token: AppToken, then: @escaping Completion<Application?>) { then(.failure(.closed)) }
    public func accept(_ message: NewMessage, then: @escaping Completion<Acceptance?>) { then(.failure(.closed)) }
    public func acknowledge(_ acknowledgements: [Acknowledgement], then: @escaping Completion<Int>) { then(.failure(.closed)) }
    public func pending(_ query: PendingQuery, then: @escaping Completion<[StoredMessage]>) { then(.failure(.closed)) }
    public func recipients(of application: Int64, then: @escaping Completion<Recipients>) { then(.failure(.closed)) }
    public func arrivals(for worker: WorkerName, after: Int64, then: @escaping Completion<Arrivals>) { then(.failure(.closed)) }
    public func requestWakeUps(of application: Int64, now: Int64, then: @escaping Completion<Int>) { then(.failure(.closed)) }
    public func takeWakeUps(limit: Int, pauses: WakeUpPauses, now: Int64, then: @escaping Completion<WakeUps>) {
        then(.failure(.closed))
    }
    public func noteAwake(_ device: DeviceID, then: @escaping Completion<Bool>) { then(.failure(.closed)) }
    public func removeExpired(now: Int64, then: @escaping Completion<[ExpiredMessage]>) { then(.failure(.closed)) }
    public var waiting: StoreQueues { StoreQueues(writes: 0, reads: 0) }
    public func close() {}
}
