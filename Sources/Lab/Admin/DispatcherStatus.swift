/// `/status.json` of a dispatcher, as far as its tools need it.
public struct DispatcherStatus: Decodable, Sendable {
    public struct Service: Decodable, Sendable {
        public var name: String
        public var listen: [String]
        public var frontConnections: Int
        public var tunnels: Int
        /// By status.
        public var requests: [String: UInt64]
        public var pools: [Pool]
    }

    public struct Pool: Decodable, Sendable {
        public var name: String
        public var queueLength: Int
        public var queueHigh: Int
        public var queueOldestSeconds: Double
        public var servers: [Server]
    }

    public struct Server: Decodable, Sendable {
        public var address: String
        public var state: String
        public var up: Bool
        public var backup: Bool
        public var weight: Int
        public var limit: Int
        public var active: Int
        public var idle: Int
        public var tunnels: Int
        public var tunnelLimit: Int
        public var requests: UInt64
        public var failures: UInt64
        public var control: Control
    }

    public struct Control: Decodable, Sendable {
        public var state: String
        public var reason: String
        public var saturated: Bool?
        public var elasticity: Double?
        public var held: String?
        public var low: Double?
        public var high: Double?
        public var metrics: [String: Double]
    }

    public var version: String
    public var stopping: Bool
    public var services: [Service]
    public var otherPools: [Pool]
    /// By reason.
    public var refused: [String: UInt64]
}
