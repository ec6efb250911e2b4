/// What the coordinator of a benchmark tells one of its processes: a line of JSON on standard input. The end of the input is the end.
public enum PartCommand: Hashable, Sendable, Codable {
    /// Connect and register devices; answered by `connected`.
    case connect(PartDevices)
    /// Register a shared application for some of them; answered by `shared`.
    case share(PartShare)
    /// Open connections that requests will be sent on; answered by `connected`.
    case open(PartConnections)
    /// A load of messages; answered by `loaded`.
    case load(PartLoad)
    /// Say what is left of all loads; answered by `totals`.
    case total
}

/// The devices of one process.
public struct PartDevices: Hashable, Sendable, Codable {
    public var server: String
    /// The front for application servers.
    public var posts: String
    public var devices: Int
    /// Applications that these devices share evenly.
    public var applications: Int
    public var sources: [String]
    /// Devices that begin to connect each second; 0: as fast as it goes.
    public var rate: Double
    /// How often a device that could not connect tries again.
    public var retries: Int
    /// The length of a message's text, in bytes.
    public var size: Int
}

/// An application that the first `devices` devices of a process register.
public struct PartShare: Hashable, Sendable, Codable {
    public var watoken: String
    public var pbkbase64: String
    public var devices: Int
}

/// The connections of one process that sends requests.
public struct PartConnections: Hashable, Sendable, Codable {
    public var url: String
    public var connections: Int
    public var sources: [String]
}

/// One process's share of a load.
public struct PartLoad: Hashable, Sendable, Codable {
    /// Of the load, another each time.
    public var number: Int
    /// When the first message or request is due: nanoseconds of the system's monotonic clock, which all processes of a machine share.
    public var start: UInt64
    public var rate: Double
    public var seconds: Double
    public var warmUp: Double
    /// Connections of application servers.
    public var connections: Int
    /// How long the last deliveries are waited for, in seconds.
    public var patience: Int64
    /// Whether all messages are for the shared application. Then all processes have the same plan, and one of them posts.
    public var isShared: Bool
    public var posts: Bool
}

/// What a process of a benchmark tells its coordinator: a line of JSON on standard output.
public enum PartEvent: Hashable, Sendable, Codable {
    /// Once a second.
    case progress(PartProgress)
    case connected(PartConnected)
    case shared
    case loaded(LoadCounts)
    case totals(SwarmTotals)
    /// What was asked for cannot be done.
    case failed(String)

    /// Whether it is the answer to a command.
    var isAnswer: Bool {
        if case .progress = self { return false }
        return true
    }
}

/// How far a process is with what it was told last.
public struct PartProgress: Hashable, Sendable, Codable {
    /// Devices or connections that stand, and devices that have registered the shared application.
    public var connected = 0
    public var shared = 0
    /// Of the load: messages that were due, were answered, and were delivered.
    public var due = 0
    public var answered = 0
    public var delivered = 0

    public init() {}

    static func + (one: PartProgress, other: PartProgress) -> PartProgress {
        var sum = one
        sum.connected += other.connected
        sum.shared += other.shared
        sum.due += other.due
        sum.answered += other.answered
        sum.delivered += other.delivered
        return sum
    }
}

/// All devices or connections of a process stand.
public struct PartConnected: Hashable, Sendable, Codable {
    /// From the first connection to the last registration.
    public var seconds: Double
    /// Tries that failed and were repeated, and why the first did.
    public var retries = 0
    public var firstRetry: String?
    /// The public key of the messages that this process posts.
    public var pbkbase64 = ""
}
