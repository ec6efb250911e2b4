/// Something that an operator should know of, as it happens: for the log. Requests have records of their own.
public struct EngineEvent: Sendable {
    public enum What: Sendable {
        /// A server's number of permissible connections moved.
        case limit(from: Int, to: Int, reason: LimitReason)
        /// The number of tunnels that it may have moved.
        case tunnelLimit(from: Int, to: Int, reason: LimitReason)
        /// A server's state changed.
        case state(from: ServerState, to: ServerState, cause: ServerStateCause)
    }

    public var at: Instant
    /// Index into `EngineConfiguration.pools`.
    public var pool: Int
    public var server: Endpoint
    public var what: What

    public init(at: Instant, pool: Int, server: Endpoint, what: What) {
        self.at = at
        self.pool = pool
        self.server = server
        self.what = what
    }
}
