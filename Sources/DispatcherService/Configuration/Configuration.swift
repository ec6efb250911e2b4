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
        /// Stands in for the gateways of the routing table; nil = auto.
        public var gateway: IPAddress?
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
    public var clientSide = SideSettings(interface: "", captureMemory: 256 << 20)
    public var serverSide = SideSettings(interface: "", captureMemory: 256 << 20)
    public var transmit = Transmit.auto
    public var replyTo = ReplyTo.sender
    public var sourceAddress = IPAddress(v4: 0)
    public var ports = PortPlan()
    public var tcp = TCPSettings()
    public var services: [ServiceConfiguration] = []
    public var pools: [PoolConfiguration] = []

    public init() {}

    public var sidesShareInterface: Bool { clientSide.interface == serverSide.interface }

    /// The addresses that clients see, each once, in the order of the file.
    public var serviceAddresses: [IPAddress] {
        var seen: [IPAddress] = []
        for endpoint in services.flatMap(\.listen) where !seen.contains(endpoint.address) { seen.append(endpoint.address) }
        return seen
    }

    public var sourceAddresses: [IPAddress] { [sourceAddress] }

    /// What the engine is told.
    public func engineConfiguration(client: NetworkInterface, server: NetworkInterface) -> EngineConfiguration {
        var engine = EngineConfiguration()
        engine.sidesShareInterface = sidesShareInterface
        engine.clientSideMTU = min(client.mtu, 65_535)
        engine.serverSideMTU = min(server.mtu, 65_535)
        engine.sourceAddresses = sourceAddresses
        engine.ports = ports
        engine.tcp = tcp
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
                interface: clientSide.interface, addresses: serviceAddresses, gateway: clientSide.gateway,
                repliesToSender: replyTo == .sender),
            server: .init(interface: serverSide.interface, addresses: sourceAddresses, gateway: serverSide.gateway)
        )
    }

    /// Who answers ARP for what.
    public func responder(client: NetworkInterface, server: NetworkInterface) -> ARPResponder {
        let shared = sidesShareInterface
        return ARPResponder(
            client: .init(
                hardwareAddress: client.hardwareAddress, addresses: shared ? serviceAddresses + sourceAddresses : serviceAddresses),
            server: .init(
                hardwareAddress: server.hardwareAddress, addresses: shared ? serviceAddresses + sourceAddresses : sourceAddresses))
    }
}
