/// What the owner of an engine can tell it while it runs.
public enum EngineCommand: Sendable {
    // A pool is an index into `EngineConfiguration.pools`. What concerns a pool or server that there is not does nothing.

    /// A server's number of permissible connections; clamped to its bounds.
    case setLimit(pool: Int, server: Endpoint, limit: Int)
    /// Whether a server takes new requests.
    case order(pool: Int, server: Endpoint, ServerOrder)
    /// A server's part of the requests; at least 1.
    case setWeight(pool: Int, server: Endpoint, weight: Int)
    /// The band of the metric that is held; ignored where none is, or where it is no band (`LimitController.setBand`).
    case setBand(pool: Int, server: Endpoint, low: Double?, high: Double?)
    /// What the checks of the leading shard have found.
    case setHealth(pool: Int, server: Endpoint, isHealthy: Bool)
    /// Refuse new connections, finish the requests that are there, close idle connections.
    case stop
    /// Reset every connection that is left.
    case abort
}
