/// How the dispatcher's ports toward the servers are laid out ([0059], with the start number that its equation leaves out):
/// `port = first + layer * stride + server * connections + connection`, where `stride` is `servers * connections`, rounded up to a multiple
/// of the shards. A slot is (server, connection); its layers give it a fresh port when the last one may not be used yet. The ports above
/// are the tunnel range.
public struct PortPlan: Equatable, Sendable {
    public var first = 10_000
    public var last = 65_535
    public var layers = 5
    public var servers = 16
    public var connections = 256
    /// Shards that divide the ports among them: a port belongs to shard `port mod shards`, a slot in all its layers to the same one.
    public var shards = 1

    public init() {}

    public init(first: Int, last: Int, layers: Int, servers: Int, connections: Int) {
        self.first = first
        self.last = last
        self.layers = layers
        self.servers = servers
        self.connections = connections
    }

    /// Slots in all: servers times connections.
    public var slots: Int { servers * connections }
    /// The first port above the pooled ones.
    public var firstTunnelPort: Int { first + layers * stride }
    /// From a layer to the next: the slots, and what makes them a multiple of the shards.
    var stride: Int { (slots + shards - 1) / shards * shards }
    /// Ports of the tunnel range; each may be in use to every server at once.
    public var tunnelPorts: Int { max(0, last - firstTunnelPort + 1) }
    /// The first ports of the tunnel range: from there servers in mode l4/3 are checked. Their clients' connections have the others.
    public var checkPorts: Int { min(64, tunnelPorts / 8) }
    public var firstForwardedPort: Int { firstTunnelPort + checkPorts }
    public var forwardedPorts: Int { tunnelPorts - checkPorts }
    /// Whether the pooled ports lie between `first` and `last`.
    public var fits: Bool {
        first >= 1 && last <= 65_535 && layers >= 1 && servers >= 1 && connections >= 1 && firstTunnelPort - 1 <= last
    }

    /// The port of a slot in a layer. Each index is from 0 to one less than its maximum.
    public func port(layer: Int, server: Int, connection: Int) -> UInt16 {
        UInt16(first + layer * stride + server * connections + connection)
    }

    /// The layer and slot that a port belongs to (slot = server * connections + connection); nil for other ports, the tunnel range among them.
    public func slot(of port: UInt16) -> (layer: Int, slot: Int)? {
        let offset = Int(port) - first
        guard offset >= 0, offset < layers * stride, offset % stride < slots else { return nil }
        return (offset / stride, offset % stride)
    }
}
