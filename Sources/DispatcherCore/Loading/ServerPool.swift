/// The servers that can answer a class of requests.
struct ServerPool {
    var chooser: ServerChooser
    private(set) var settings: PoolConfiguration
    /// How many places of the queue one client may fill; nil = any number.
    private(set) var clientShare: Int?
    /// Whether new client connections are refused ([0037]); with hysteresis.
    private(set) var refuses = false

    /// Whether its servers are only checked here, for the engine of mode l4/3.
    let isForwarded: Bool

    init(servers: ServerList, settings: PoolConfiguration, isForwarded: Bool = false) {
        self.isForwarded = isForwarded
        chooser = ServerChooser(servers, settings)
        self.settings = settings
        clientShare = settings.queue.clientShare
    }

    /// Another configuration: the list that it has had is freed.
    mutating func change(servers: ServerList, settings: PoolConfiguration) {
        chooser.change(servers, settings)
        self.settings = settings
        clientShare = settings.queue.clientShare
    }

    var servers: ServerList { chooser.servers }

    /// Follows the length of the queue across the two thresholds of [0037].
    mutating func noteQueueLength(_ length: Int) {
        if length > settings.queue.refuseAbove {
            refuses = true
        } else if length < settings.queue.resumeBelow || length == 0 {
            refuses = false
        }
    }
}
