/// The servers that can answer a class of requests: chooses among the idle ones, in turn ([0048]).
struct ServerPool {
    /// Indices of its servers in the engine's table: a contiguous range.
    let servers: Range<Int>
    let settings: PoolConfiguration
    /// How many places of the queue one client may fill; nil = any number.
    let clientShare: Int?
    /// The server after the one chosen last.
    private var turn = 0
    /// Whether new client connections are refused ([0037]); with hysteresis.
    private(set) var refuses = false

    init(servers: Range<Int>, settings: PoolConfiguration) {
        self.servers = servers
        self.settings = settings
        clientShare = settings.queue.clientShare
    }

    /// The next idle server in turn.
    /// - Parameters:
    ///   - excluding: a server that just failed this request; taken only when no other is idle.
    ///   - streams: only one that may take a request whose body is streamed.
    /// - Returns: its index in the engine's table; nil when none is idle.
    mutating func nextIdleServer(_ table: UnsafeMutablePointer<ServerLoad>, excluding: Int? = nil, streams: Bool = false) -> Int? {
        let count = servers.count
        var fallback: Int?
        for step in 0..<count {
            let place = (turn + step) % count
            let server = servers.lowerBound + place
            guard table[server].isIdle, !streams || table[server].mayStream else { continue }
            if server == excluding {
                fallback = server
                continue
            }
            turn = (place + 1) % count
            return server
        }
        return fallback
    }

    /// The next server in turn that may take an upgrade: room under both of its limits.
    mutating func nextServerForUpgrade(_ table: UnsafeMutablePointer<ServerLoad>, excluding: Int? = nil) -> Int? {
        let count = servers.count
        var fallback: Int?
        for step in 0..<count {
            let place = (turn + step) % count
            let server = servers.lowerBound + place
            guard table[server].mayTakeRequest, table[server].tunnels < table[server].tunnelLimit else { continue }
            if server == excluding {
                fallback = server
                continue
            }
            turn = (place + 1) % count
            return server
        }
        return fallback
    }

    /// Follows the length of the queue across the two thresholds of [0037].
    mutating func noteQueueLength(_ length: Int) {
        if length > settings.queue.refuseAbove {
            refuses = true
        } else if length < settings.queue.resumeBelow || length == 0 {
            refuses = false
        }
    }
}
