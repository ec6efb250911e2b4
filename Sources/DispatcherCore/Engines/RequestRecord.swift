/// What became of one request, of one tunnel, or of one connection in mode l4/3: a fixed-size record for the log and the histograms. Times are those of HAProxy's HTTP
/// log (its configuration manual, 8.4): nil where the phase was not reached.
public struct RequestRecord: Sendable {
    public enum Kind: UInt8, Sendable { case request, tunnelOpened, tunnelClosed, connection }

    /// Bytes of the request line that are kept.
    public static let lineCapacity = 160

    public var kind = Kind.request
    public var service = 0
    /// nil: no route was taken.
    public var pool: Int?
    /// nil: no server was reached.
    public var server: Endpoint?
    public var client = Endpoint(address: IPAddress(v4: 0), port: 0)
    /// When the first byte of the request came.
    public var started = Instant.distantPast
    /// TR: to the end of the head.
    public var receive: Interval?
    /// Tw: until a slot was taken.
    public var queue: Interval?
    /// Tc: to open the connection; zero when it was open.
    public var connect: Interval?
    /// Tr: from the last byte of the request sent to the end of the response head.
    public var response: Interval?
    /// Ta: in all, until the client had acknowledged the end.
    public var total = Interval.zero
    /// 0: none was sent.
    public var status: UInt16 = 0
    /// Bytes of the response that the client acknowledged; of a tunnel: from server to client.
    public var bytesToClient: UInt64 = 0
    public var bytesFromClient: UInt64 = 0
    /// The two letters of HAProxy's termination state (its manual, 8.5): who ended it and in which phase; "--" = well.
    public var cause: Termination.Cause = .normal
    public var phase: Termination.Phase = .normal
    /// How often it was repeated on another connection.
    public var retries = 0
    /// Counts at the end: of front-end connections in all and of this service, of requests at the pool and at the server.
    public var connections = 0
    public var serviceConnections = 0
    public var poolActive = 0
    public var serverActive = 0
    /// Requests that were before it in the queue.
    public var queuePosition = 0
    /// The request line as received, cut at `lineCapacity`.
    public var line = InlineArray<160, UInt8>(repeating: 0)
    public var lineLength = 0

    public init() {}
}

/// HAProxy's termination codes as far as the dispatcher has them.
public enum Termination {
    public enum Cause: UInt8, Sendable {
        case normal = 0x2D  // -
        case client = 0x43  // C: the client reset or left
        case server = 0x53  // S: the server reset, refused or broke the protocol
        case proxy = 0x50  // P: the dispatcher refused it
        case resource = 0x52  // R: a limit of the dispatcher
        case clientTimeout = 0x63  // c
        case serverTimeout = 0x73  // s
        case local = 0x4C  // L: answered by the dispatcher itself
        case down = 0x4B  // K: ended by an operator or at the stop
    }
    public enum Phase: UInt8, Sendable {
        case normal = 0x2D  // -
        case request = 0x52  // R
        case queue = 0x51  // Q
        case connect = 0x43  // C
        case headers = 0x48  // H: waiting for the response head
        case data = 0x44  // D
        case last = 0x4C  // L: the last bytes to the client
        case tunnel = 0x54  // T
    }
}
