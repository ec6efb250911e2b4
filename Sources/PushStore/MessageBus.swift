public import PushProtocol

/// How the roles of all workers tell each other that something has happened (chapter 4, "Message Queue").
///
/// Notes are hints: what they speak of is in the store, so a lost one costs delay and never a message.
public protocol MessageBus: Sendable {
    /// The name under which other workers reach this one.
    var name: WorkerName { get }
    /// Hands every note for this worker to `receive`, on any thread; it must not block there. Called once.
    ///
    /// - Parameter gone: called when a note was for a worker that does not exist any more.
    func start(_ receive: @escaping @Sendable (BusNote) -> Void, gone: @escaping @Sendable (WorkerName) -> Void)
    /// Sends a note, or loses and counts it. Does not block.
    func send(_ note: BusNote, to address: BusAddress)
    /// How many notes could not be handed over.
    var lostNotes: Int { get }
    /// Stops receiving and sending.
    func close()
}

/// Whom a note is for.
public enum BusAddress: Hashable, Sendable {
    case worker(WorkerName)
    /// One worker with a role: this one if it has it.
    case any(BusRole)
}

/// The roles that notes are for, whoever has them.
public enum BusRole: String, CaseIterable, Sendable {
    /// NS-Monitor.
    case monitor
    /// NS-UA-UDP.
    case uaUDP = "ua-udp"
}

/// What has happened.
public enum BusNote: Hashable, Sendable {
    /// To a monitor: the store has accepted a message for an application (chapter 4: the queue /newMessage).
    case accepted(application: Int64, sequence: Int64)
    /// To the worker that holds their sockets: devices have a new message.
    case arrived(sequence: Int64, devices: [DeviceID])
    /// The same for one device, with the message. `previous` is the greatest sequence number of an earlier message that the store had for
    /// the device, 0: none (`MessageRoute`).
    case message(StoredMessage, device: DeviceID, previous: Int64)
    /// To the worker that held its socket: the device has connected elsewhere, by this connection.
    case replaced(device: DeviceID, connection: Int64)
    /// To NS-UA-UDP: the store has devices that are to be woken.
    case wakeUps
}
