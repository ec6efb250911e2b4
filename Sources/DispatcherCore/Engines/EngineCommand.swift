/// What the owner of an engine can tell it while it runs.
public enum EngineCommand: Sendable {
    /// A server's number of permissible connections; clamped to its bounds.
    case setLimit(pool: Int, server: Int, limit: Int)
    /// Refuse new connections, finish the requests that are there, close idle connections.
    case stop
    /// Reset every connection that is left.
    case abort
}
