public import PushProtocol

/// Where devices, applications and messages are kept: what the roles share (chapter 4, "NO-SQL Database").
///
/// Rules for every engine: `accept` reports success only after the message is durable; a message's body is stored once however many
/// devices it goes to; expiry and pending messages survive a restart; a process killed at any instant loses no accepted message.
///
/// Every operation ends by calling its completion once, on any thread, and must not be blocked there. Times are milliseconds of the
/// store's time, `now`. Sequence numbers grow in the order in which the store accepted, over all processes.
public protocol MessageStore: Sendable {
    typealias Completion<Value> = @Sendable (Result<Value, StoreError>) -> Void

    /// The random number that tells this store from every other: the first part of its message identifiers.
    var identity: UInt32 { get }
    /// The store's time: milliseconds since 1970 UTC, as far as the machine knew when it booted. It runs evenly and never goes back,
    /// whatever is done to the machine's clock, and is the same for all processes: what expires by it has lived as long as it should.
    var now: Int64 { get }

    /// Notes that `worker` holds the device's socket from now on, and where it waits for wake-ups when it has none; nil: nowhere. No wake-up
    /// is due any more.
    func connect(_ device: DeviceID, to worker: WorkerName, wakeUp: WakeUpTarget?, then: @escaping Completion<DeviceConnection>)
    /// Changes where a device waits for wake-ups, unless a newer connection has taken the place of `connection`.
    func setWakeUp(_ target: WakeUpTarget?, of device: DeviceID, connection: Int64, then: @escaping Completion<Void>)
    /// Notes that the connection is gone, unless a newer one has taken its place. A device that can be woken is, when it has pending
    /// messages: at once for one after `sentThrough`, which it was never sent; else after a pause. Reports whether it is at once.
    ///
    /// While the store fails it tries again by itself, and reports when it is done.
    func disconnect(
        _ device: DeviceID, connection: Int64, sentThrough: Int64, pauses: WakeUpPauses, now: Int64, then: @escaping Completion<Bool>)
    /// Notes that these devices are connected still, so that `removeUnseen` leaves them alone; to be called once a day.
    func noteConnected(_ devices: [DeviceID], then: @escaping Completion<Void>)
    /// The same as `disconnect` for all devices of a worker that does not exist any more; reports how many there were.
    func disconnectAll(of worker: WorkerName, now: Int64, then: @escaping Completion<Int>)
    /// Removes the device with its registrations and pending messages.
    func forget(_ device: DeviceID, then: @escaping Completion<Void>)

    /// Registers `application` for `device`, which gets the messages accepted from now on. Registered already: no change. A device has at most
    /// `limit` of them.
    func register(_ application: ApplicationPair, for device: DeviceID, limit: Int, then: @escaping Completion<RegistrationOutcome>)
    /// Removes a registration with the device's pending messages of it; false: there was none.
    func unregister(_ application: ApplicationPair, for device: DeviceID, then: @escaping Completion<Bool>)
    /// What the device has registered.
    func applications(of device: DeviceID, then: @escaping Completion<[AppToken]>)
    /// The application that an AppToken names, while a device has it registered.
    func application(_ token: AppToken, then: @escaping Completion<Application?>)

    /// Stores a message and reports its sequence number when it is durable; nil: no device has the application registered any more.
    ///
    /// A message with a replay key that the application had in one accepted before, within the ttl of that, is not stored again: its
    /// number is reported.
    func accept(_ message: NewMessage, then: @escaping Completion<Acceptance?>)
    /// Removes the devices' copies. Reports how many of the acknowledgements were for no pending message.
    func acknowledge(_ acknowledgements: [Acknowledgement], then: @escaping Completion<Int>)
    /// The device's pending messages that `query` selects, oldest first.
    func pending(_ query: PendingQuery, then: @escaping Completion<[StoredMessage]>)
    /// The devices that have the application registered: those that are connected anywhere, and whether others are to be woken.
    func recipients(of application: Int64, then: @escaping Completion<Recipients>)
    /// Which devices of `worker` have got messages after sequence number `after`.
    func arrivals(for worker: WorkerName, after: Int64, then: @escaping Completion<Arrivals>)

    /// Makes wake-ups due for the devices of an application that have no socket and can be woken, and for which none is due yet; reports
    /// how many.
    func requestWakeUps(of application: Int64, now: Int64, then: @escaping Completion<Int>)
    /// Takes at most `limit` of the wake-ups that are due, the oldest first. Each becomes due again after the next of `pauses`. Devices
    /// without a pending message are left asleep. Of several callers each wake-up goes to one.
    func takeWakeUps(limit: Int, pauses: WakeUpPauses, now: Int64, then: @escaping Completion<WakeUps>)
    /// The device has come, without a connection: no wake-up is due any more. Reports whether it had been woken.
    func noteAwake(_ device: DeviceID, then: @escaping Completion<Bool>)

    /// Removes messages that expired until `now`, a bounded number at once; reports which.
    func removeExpired(now: Int64, then: @escaping Completion<[ExpiredMessage]>)
    /// Removes devices that were connected last on a day before that of `since`, as `forget` does, a bounded number at once; reports how
    /// many.
    func removeUnseen(since: Int64, then: @escaping Completion<Int>)

    /// How many operations wait.
    var waiting: StoreQueues { get }
    /// Ends what was begun, then lets go of the store. Later operations fail. Blocks the caller.
    func close()
}

extension MessageStore {
    /// An engine in which nothing waits.
    public var waiting: StoreQueues { StoreQueues(writes: 0, reads: 0) }
}

/// Why an operation failed.
public enum StoreError: Error, Hashable, Sendable {
    /// More operations wait than the store takes.
    case full
    /// The store cannot be used now; the text says why, for a person.
    case unavailable(String)
    /// The store has been closed.
    case closed
}
