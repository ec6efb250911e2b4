public import PushProtocol

/// Where a device without a socket can be woken: its interface, and the network whose operator's NS-WakeUp reaches it.
public struct WakeUpTarget: Hashable, Sendable {
    public let interface: DeviceInterface
    public let network: MobileNetwork

    /// The device's interface in its network.
    public init(interface: DeviceInterface, network: MobileNetwork) {
        self.interface = interface
        self.network = network
    }
}

/// How long a wake-up that brought no device waits until it is repeated, each time, in milliseconds; after the last the next message begins
/// anew.
public struct WakeUpPauses: Hashable, Sendable {
    /// Longer ones first are allowed; an empty list repeats nothing.
    public var milliseconds: [Int64]

    /// 30, 60 and 120 s.
    public init(milliseconds: [Int64] = [30_000, 60_000, 120_000]) {
        self.milliseconds = milliseconds
    }

    /// When what was done for the `attempt`th time (from 1) at `now` is due again; nil: it is not.
    func due(after attempt: Int, at now: Int64) -> Int64? {
        attempt >= 1 && attempt <= milliseconds.count ? now + milliseconds[attempt - 1] : nil
    }
}

/// A device that is to be woken now.
public struct WakeUp: Hashable, Sendable {
    public let device: DeviceID
    public let target: WakeUpTarget
    /// From 1.
    public let attempt: Int

    /// The `attempt`th wake-up of `device`.
    public init(device: DeviceID, target: WakeUpTarget, attempt: Int) {
        self.device = device
        self.target = target
        self.attempt = attempt
    }
}

/// What `takeWakeUps` reports.
public struct WakeUps: Hashable, Sendable {
    public let due: [WakeUp]
    /// How many devices were left asleep: what they were to be woken for has expired, or was acknowledged.
    public let needless: Int
    /// When the next one is due, in milliseconds since 1970 UTC; nil: none is.
    public let next: Int64?

    /// What a store reports.
    public init(due: [WakeUp], needless: Int, next: Int64?) {
        self.due = due
        self.needless = needless
        self.next = next
    }
}
