public import PushProtocol

/// The name of a worker process, chosen at random at its start.
public struct WorkerName: Hashable, Sendable, CustomStringConvertible {
    /// 16 hexadecimal digits.
    public let description: String

    /// A fresh name.
    public init() {
        description = Hex.encode(Randomness.bytes(8))
    }

    /// The name `text`; nil unless it is 16 lower-case hexadecimal digits.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count == 16, text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }) else { return nil }
        description = String(text)
    }
}

/// What `connect` reports.
public struct DeviceConnection: Hashable, Sendable {
    /// Grows with each connection of any device; never used again.
    public let number: Int64
    /// The worker that held the socket until now, as far as the store knows.
    public let previousWorker: WorkerName?
    /// The last sequence number that the store had given when the device connected.
    public let sequence: Int64
    /// It had been woken since its last connection.
    public let wasWoken: Bool

    /// What a store reports.
    public init(number: Int64, previousWorker: WorkerName?, sequence: Int64, wasWoken: Bool) {
        self.number = number
        self.previousWorker = previousWorker
        self.sequence = sequence
        self.wasWoken = wasWoken
    }
}

/// What `register` reports.
public enum RegistrationOutcome: Hashable, Sendable {
    case registered
    /// The AppToken belongs to another pair of WAToken and key.
    case appTokenInUse
    /// The device has as many as it may.
    case tooMany
}

/// An application and user, as an application server addresses it.
public struct Application: Hashable, Sendable {
    /// The store's number of it; never used again for another.
    public let number: Int64
    /// The public key's text as it was registered.
    public let pbkbase64: String
}

/// A message to be stored.
public struct NewMessage: Hashable, Sendable {
    /// `Application.number`.
    public let application: Int64
    public let body: NotificationBody
    public let accepted: Int64
    /// Time to live in seconds; 0: for devices connected now only.
    public let ttl: Int64
    /// What a repetition of the message has in common with it; nil: every message is a new one.
    public let replayKey: ReplayKey?
    /// The acceptance is to say where the message goes, if that are few devices.
    public let wantsRoutes: Bool

    /// A message for `application`.
    public init(
        application: Int64, body: NotificationBody, accepted: Int64, ttl: Int64, replayKey: ReplayKey? = nil, wantsRoutes: Bool = false
    ) {
        self.wantsRoutes = wantsRoutes
        self.application = application
        self.body = body
        self.accepted = accepted
        self.ttl = ttl
        self.replayKey = replayKey
    }
}

/// What `accept` reports.
public struct Acceptance: Hashable, Sendable {
    public let sequence: Int64
    /// The message is the repetition of an earlier one, whose sequence number this is.
    public let isReplay: Bool
    /// Where it goes; nil: that is to be asked (`recipients`). Always nil for a repetition.
    public let routes: MessageRoutes?

    /// The message `sequence` is durable.
    public init(sequence: Int64, isReplay: Bool, routes: MessageRoutes? = nil) {
        self.sequence = sequence
        self.isReplay = isReplay
        self.routes = routes
    }
}

/// Where a message goes when it is accepted: to few devices, none of which is to be woken.
public struct MessageRoutes: Hashable, Sendable {
    /// For more devices than this a store does not look.
    public static let limit = 4

    /// When the message's time is over, by the store's clock; milliseconds.
    public let expires: Int64
    /// To the devices that are connected.
    public let connected: [MessageRoute]

    /// What a store reports.
    public init(expires: Int64, connected: [MessageRoute]) {
        self.expires = expires
        self.connected = connected
    }
}

/// Where a message goes for one device.
public struct MessageRoute: Hashable, Sendable {
    public let recipient: Recipient
    /// The greatest sequence number of an earlier message that the store had for any application of the device, pending or not; 0: there
    /// was none; nil: not known. Whoever has sent the device everything up to this may send it the message next.
    public let previous: Int64?

    /// What a store reports.
    public init(recipient: Recipient, previous: Int64?) {
        self.recipient = recipient
        self.previous = previous
    }
}

/// A message as it is delivered.
public struct StoredMessage: Hashable, Sendable {
    public let sequence: Int64
    public let appToken: AppToken
    public let body: NotificationBody
    /// It had a ttl of 0: it is sent once and not acknowledged to the store.
    public let isTransient: Bool
    /// When it was accepted; 0: by a version that did not note it.
    public let accepted: Int64
    /// When its time is over, by the store's clock; milliseconds.
    public let expires: Int64

    /// A message as the store has it, or has just accepted it.
    public init(sequence: Int64, appToken: AppToken, body: NotificationBody, isTransient: Bool, accepted: Int64, expires: Int64) {
        self.sequence = sequence
        self.appToken = appToken
        self.body = body
        self.isTransient = isTransient
        self.accepted = accepted
        self.expires = expires
    }
}

/// A message that was removed because its time was over.
public struct ExpiredMessage: Hashable, Sendable {
    public let sequence: Int64
    /// It had a ttl of 0: who was connected had got it by then.
    public let isTransient: Bool
}

/// How many operations wait for an engine.
public struct StoreQueues: Hashable, Sendable {
    public let writes: Int
    public let reads: Int

    /// So many.
    public init(writes: Int, reads: Int) {
        self.writes = writes
        self.reads = reads
    }
}

/// Which pending messages of a device are wanted.
public struct PendingQuery: Hashable, Sendable {
    public var device: DeviceID
    /// Only messages with a greater sequence number.
    public var after: Int64 = 0
    /// Only messages with this or a smaller one.
    public var through: Int64 = .max
    /// Messages with ttl 0 are wanted when they were accepted after this sequence number; nil: not at all.
    public var transientAfter: Int64?
    public var limit: Int
    /// Messages that have expired by then are not pending.
    public var now: Int64

    /// A query for all pending messages of `device`.
    public init(device: DeviceID, limit: Int, now: Int64) {
        self.device = device
        self.limit = limit
        self.now = now
    }
}

/// A device says that it has got a message.
public struct Acknowledgement: Hashable, Sendable {
    public let device: DeviceID
    public let sequence: Int64

    /// The acknowledgement of message `sequence` by `device`.
    public init(device: DeviceID, sequence: Int64) {
        self.device = device
        self.sequence = sequence
    }
}

/// A connected device that a message goes to.
public struct Recipient: Hashable, Sendable {
    public let device: DeviceID
    public let worker: WorkerName

    /// A device and the worker that holds its socket.
    public init(device: DeviceID, worker: WorkerName) {
        self.device = device
        self.worker = worker
    }
}

/// What `recipients` reports.
public struct Recipients: Hashable, Sendable {
    public let connected: [Recipient]
    /// There are devices without a socket that can be woken, and for which no wake-up is due.
    public let hasSleepers: Bool

    /// What a store reports.
    public init(connected: [Recipient], hasSleepers: Bool) {
        self.connected = connected
        self.hasSleepers = hasSleepers
    }
}

/// What `arrivals` reports.
public struct Arrivals: Hashable, Sendable {
    /// The devices, each with the greatest sequence number of its new messages.
    public let devices: [DeviceID: Int64]
    /// The greatest sequence number that was looked at: where the next look begins.
    public let through: Int64
}
