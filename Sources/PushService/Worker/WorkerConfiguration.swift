public import NIOCore
public import PushProtocol
public import PushStore

/// What a worker process does (chapter 4, "Types of servers").
public enum WorkerRole: String, CaseIterable, Sendable {
    /// NS-UA-WS: the front end for devices.
    case uaWS = "ua-ws"
    /// NS-AS: the front end for application servers.
    case applicationServers = "as"
    /// NS-Monitor: finds the devices of new messages and routes each to the worker that holds the socket.
    case monitor
    /// NS-UA-UDP: has sleeping devices woken by the NS-WakeUp of their operator.
    case uaUDP = "ua-udp"
    /// NS-WakeUp: inside an operator's network; takes orders by HTTP and sends a packet to a device.
    case wakeUp = "wakeup"
}

/// How a worker is set up. The defaults are those of `docs/push-protocol.md`; what is only a variable here is varied by tests.
public struct WorkerConfiguration: Sendable {
    /// The directory that the workers of one machine share; made when it is missing.
    public var dataDirectory: String
    /// A literal address.
    public var listenAddress = "127.0.0.1"
    /// The port of the front for devices; 0: any.
    public var userAgentPort = 8080
    /// The port of the front for application servers; 0: any.
    public var applicationServerPort = 8081
    /// TLS for every path of both fronts; nil: none.
    public var tls: TLSFiles?
    /// How long a TLS handshake may take.
    public var tlsHandshake: TimeAmount = .seconds(10)
    /// The listener for the operator: metrics; nil: none.
    public var admin: AdminAddress?
    /// What public URLs begin with, without a slash at the end.
    public var publicURL: String
    /// All but `wakeUp`.
    public var roles: Set<WorkerRole> = [.uaWS, .applicationServers, .monitor, .uaUDP]
    /// The port of NS-WakeUp; 0: any.
    public var wakeUpPort = 8090
    /// Where NS-WakeUp may send to.
    public var wakeUpNetworks: [IPNetwork] = []
    /// NS-WakeUp may also send to addresses of this host (loopback), if they are in its networks.
    public var wakesLoopback = false
    /// The operators whose devices can be woken.
    public var operators = OperatorTable()

    /// The file with the keys of the UATokens; nil: `token-keys` in the data directory.
    public var tokenKeysFile: String?
    /// The file that says what happens to each message; nil: none.
    public var messageLog: String?
    /// UATokens older than this are refused, in milliseconds; nil: never.
    public var tokenLifetime: Int64?
    /// Of `GET /token`, for each client address; nil: none.
    public var tokenRate: RateLimit? = RateLimit(rate: 10, burst: 20)
    /// Of `POST /notify/..`, for each client address; nil: none.
    public var notifyRate: RateLimit?
    /// Peers whose X-Forwarded-For is believed.
    public var trustedProxies: [IPNetwork] = []

    /// Idle sockets are pinged after this time; nil: never.
    public var ping: TimeAmount? = .seconds(240)
    /// How long a pinged socket may stay silent.
    public var pingGrace: TimeAmount = .seconds(30)
    /// An idle HTTP connection is closed after this time.
    public var idleConnection: TimeAmount = .seconds(120)

    /// The sizes of RSA modulus that are taken, in bits.
    public var permittedKeyBits = RSAPublicKey.permittedBits
    public var limits = NotifyLimits()
    /// The longest message of a device, in bytes, in however many frames.
    public var deviceMessageLimit = 8192
    /// The most unacknowledged messages that are on their way to one device.
    public var inFlightLimit = 32
    /// The most applications that one device may have registered.
    public var applicationLimit = 10_000
    /// The most messages of one answer to getAllMessages.
    public var allMessagesLimit = 1000

    /// After this time an unacknowledged message is sent again, then at doubling intervals.
    public var redelivery: TimeAmount = .seconds(60)
    /// How often the store is read for messages whose notes were lost.
    public var reread: TimeAmount = .seconds(5)
    /// How long an acknowledgement waits to be written at most.
    public var acknowledgementDelay: TimeAmount = .milliseconds(50)
    /// The whole database is checked before the worker serves.
    public var checksStore = false
    /// A message with an id and a signature that came before, within the ttl of the first, is taken for the first.
    public var replayProtection = false
    /// Devices that were not connected for so many days are forgotten; nil: never.
    public var deviceRetention: Int? = 180
    /// How often connected devices are noted as such.
    public var connectedNote: TimeAmount = .hours(6)
    /// A device that can be woken loses its socket when so long nothing has passed.
    public var sleepAfter: TimeAmount = .seconds(10)
    /// When a wake-up that brought no device is repeated.
    public var wakeUpPauses = WakeUpPauses()
    /// How often the store is asked for wake-ups whose notes were lost.
    public var wakeUpReread: TimeAmount = .seconds(5)
    /// How long an NS-WakeUp may take to answer.
    public var wakeUpTimeout: TimeAmount = .seconds(5)
    /// How many calls of NS-WakeUps may be under way.
    public var wakeUpCalls = 64
    /// How often expired messages are removed.
    public var expiry: TimeAmount = .seconds(10)
    /// How long a draining worker still listens, so that whoever asks for its status learns that it drains.
    public var drain: TimeAmount = .seconds(2)
    /// How many WebSockets a second a draining worker closes; nil: all at once.
    public var drainRate: Double? = 1000
    /// How long a draining worker waits for requests that have come and are not answered.
    public var drainRequests: TimeAmount = .seconds(5)
    /// How many event loops; nil: one for each processor that the process may use.
    public var eventLoops: Int?

    /// The defaults, with what has none.
    public init(dataDirectory: String, publicURL: String) {
        self.dataDirectory = dataDirectory
        self.publicURL = publicURL
    }

    /// The roles that notes are for.
    var busRoles: Set<BusRole> { Set(BusRole.allCases.filter { role in roles.contains { $0.rawValue == role.rawValue } }) }
    /// The file with the keys of the UATokens.
    var tokenKeysPath: String { tokenKeysFile ?? "\(dataDirectory)/token-keys" }

    /// The public URL of an application.
    func url(of token: AppToken) -> String {
        "\(publicURL)/notify/\(token)"
    }
}

/// Where the listener for the operator is.
public struct AdminAddress: Hashable, Sendable {
    /// A literal address.
    public var address: String
    /// 0: any.
    public var port: Int

    /// `address` and `port`.
    public init(address: String, port: Int) {
        self.address = address
        self.port = port
    }
}

/// The worker cannot start: the text says what failed, on what, why, and what to do.
public struct WorkerError: Error, Sendable, CustomStringConvertible {
    public let description: String
    /// The system refused for lack of permission.
    public let isPermission: Bool

    init(_ description: String, isPermission: Bool = false) {
        self.description = description
        self.isPermission = isPermission
    }
}
