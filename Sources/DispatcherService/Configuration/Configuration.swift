import CLinux
public import DispatcherCore
public import PacketIO

/// A configuration file, checked: everything that the service is told before it starts (docs/configuration.md).
public struct Configuration: Sendable {
    /// Where a line for each request goes.
    public enum AccessLog: Equatable, Sendable {
        case none, stdout
        case file(String)
    }

    /// What is said of one side.
    public struct SideSettings: Equatable, Sendable {
        public var interface: String
        /// Bytes of the capture's ring.
        public var captureMemory: Int
        /// Stand in for the gateways of the routing table, at most one a family; empty = auto.
        public var gateways: [IPAddress] = []
    }

    /// How packets leave.
    public enum Transmit: String, Sendable {
        /// As frames where the devices of both sides have neighbours, else as raw packets.
        case auto
        /// Through raw sockets; the kernel finds the next hop.
        case raw
        /// As frames through packet sockets; next hops are found here.
        case packet
    }

    /// Where what answers a client goes.
    public enum ReplyTo: String, Sendable {
        /// To the hardware address that its last frame came from.
        case sender
        /// By the routing table.
        case route
    }

    public var user = "nobody"
    public var logLevel = "info"
    public var accessLog = AccessLog.none
    public var adminListen = Endpoint(address: IPAddress(v4: 0x7F00_0001), port: 9_900)
    public var drain = Interval.seconds(10)
    public var tunnelsPerSecond = 1_000
    public var clientSide = SideSettings(interface: "", captureMemory: 256 << 20)
    public var serverSide = SideSettings(interface: "", captureMemory: 256 << 20)
    public var transmit = Transmit.auto
    public var replyTo = ReplyTo.sender
    /// At most one a family.
    public var sourceAddresses: [IPAddress] = []
    /// Whether the kernel owns the source addresses as well.
    public var sourceIsKernels = false
    public var ports = PortPlan()
    /// Packet threads.
    public var shards = 1
    public var tcp = TCPSettings()
    public var services: [ServiceConfiguration] = []
    public var pools: [PoolConfiguration] = []

    public init() {}

    /// Processors that this process may use.
    static var cores: Int { Int(max(1, clinux_usable_processors())) }

    public var sidesShareInterface: Bool { clientSide.interface == serverSide.interface }

    /// The addresses that clients see, each once, in the order of the file.
    public var serviceAddresses: [IPAddress] {
        var seen: [IPAddress] = []
        for endpoint in services.flatMap(\.listen) where !seen.contains(endpoint.address) { seen.append(endpoint.address) }
        return seen
    }

    /// The service addresses that the kernel owns as well.
    public var kernelServiceAddresses: [IPAddress] {
        let owned = Set(services.filter(\.isOwnedByKernel).flatMap(\.listen).map(\.address))
        return serviceAddresses.filter(owned.contains)
    }

    /// The addresses that no kernel answers for: we do.
    public var ownServiceAddresses: [IPAddress] {
        let owned = kernelServiceAddresses
        return serviceAddresses.filter { !owned.contains($0) }
    }

    public var serverEndpoints: [Endpoint] { pools.flatMap(\.servers).map(\.endpoint) }

    /// The servers that see their clients' own addresses: what they send goes to those (`l4.source: keep`). Each once, in the order of the file.
    public var keptServers: [Endpoint] {
        var found: [Endpoint] = []
        for service in services where service.mode == .l43 {
            for route in service.routes where pools.indices.contains(route.pool) && pools[route.pool].l4.source == .keep {
                for server in pools[route.pool].servers where !found.contains(server.endpoint) { found.append(server.endpoint) }
            }
        }
        return found
    }

    public var ownSourceAddresses: [IPAddress] { sourceIsKernels ? [] : sourceAddresses }

    /// The name of the device over which a host talks to itself.
    static let loopback = "lo"

    /// What the engine is told.
    public func engineConfiguration(client: NetworkInterface, server: NetworkInterface) -> EngineConfiguration {
        var engine = EngineConfiguration()
        engine.sidesShareInterface = sidesShareInterface
        engine.clientSideMTU = min(client.mtu, Capture.largestPacket)
        engine.serverSideMTU = min(server.mtu, Capture.largestPacket)
        engine.clientSideIsLoopback = client.isLoopback
        engine.serverSideIsLoopback = server.isLoopback
        engine.sourceAddresses = sourceAddresses
        engine.sourceIsKernels = sourceIsKernels
        engine.ports = ports
        engine.tcp = tcp
        engine.drain = drain
        engine.tunnelsPerSecond = tunnelsPerSecond
        engine.bodyMemory = tcp.stagingMemory / 4
        engine.services = services
        engine.pools = pools
        return engine
    }

    /// Whether packets leave as frames.
    public func sendsFrames(client: NetworkInterface, server: NetworkInterface) -> Bool {
        switch transmit {
        case .auto: client.hasNeighbours && server.hasNeighbours
        case .raw: false
        case .packet: true
        }
    }

    /// What the packet transmitter is told of each side.
    public var links: (client: PacketTransmitter.Link, server: PacketTransmitter.Link) {
        (
            client: .init(
                interface: clientSide.interface, addresses: serviceAddresses, gateways: clientSide.gateways,
                repliesToSender: replyTo == .sender),
            server: .init(interface: serverSide.interface, addresses: sourceAddresses, gateways: serverSide.gateways)
        )
    }

    /// Who answers ARP and neighbour solicitations for what; the kernel does for its own addresses.
    public func responder(client: NetworkInterface, server: NetworkInterface) -> ARPResponder {
        let both = ownServiceAddresses + ownSourceAddresses
        let shared = sidesShareInterface
        return ARPResponder(
            client: .init(hardwareAddress: client.hardwareAddress, addresses: shared ? both : ownServiceAddresses),
            server: .init(hardwareAddress: server.hardwareAddress, addresses: shared ? both : ownSourceAddresses))
    }
}
