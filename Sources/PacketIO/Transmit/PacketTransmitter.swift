import CLinux
public import DispatcherCore
import Glibc

/// Sends packets as Ethernet frames through packet sockets, one a side, each frame behind a virtio header: segments of up to 64 KiB
/// cross in one piece, and the kernel or the device finishes checksums and segments (tcp.md, "Transmit"). Next hops are found here:
/// what answers a client goes to the hardware address that its frame came from, everything else by the kernel's routing table and our
/// own ARP and neighbour discovery.
public struct PacketTransmitter: PacketSink, ~Copyable {
    /// What is said of one side.
    public struct Link: Sendable {
        public var interface: String
        /// Our own addresses there: what neighbours are asked from.
        public var addresses: [IPAddress]
        /// Stand in for the gateways of the routing table, one a family.
        public var gateways: [IPAddress]
        /// Whether a packet for which the engine names a neighbour goes there.
        public var repliesToSender: Bool

        public init(interface: String, addresses: [IPAddress], gateways: [IPAddress] = [], repliesToSender: Bool = true) {
            self.interface = interface
            self.addresses = addresses
            self.gateways = gateways
            self.repliesToSender = repliesToSender
        }
    }

    /// Between two readings of the routing table, however fast it changes.
    static let rest = Interval.milliseconds(200)
    /// Between two looks at the devices: the kernel tells of every change but one, that of the largest frame that they segment.
    static let watch = Interval.seconds(10)

    public static var finishesChecksums: Bool { true }
    public static var gathersPayloads: Bool { true }

    private var client: FrameSide
    private var server: FrameSide
    private let clientInterface: String
    private let serverInterface: String
    /// Of a shared interface everything comes in on the client side.
    private let isShared: Bool
    private let changes: Int32
    /// When routes and devices are to be read again.
    private var readAt = Instant.distantFuture
    private var mayReadAt = Instant.distantPast
    private var watchAt: Instant

    /// - Parameters:
    ///   - client, server: may name one interface.
    ///   - key: of this process, for the neighbour tables.
    /// - Throws: `CaptureError`; `notPermitted` without CAP_NET_RAW, `noSuchInterface`, `failed`.
    public init(client: Link, server: Link, key: SipKey) throws(CaptureError) {
        var clientSide = try Self.open(client, key)
        var serverSide = try Self.open(server, key)
        // Opened before the first reading: what changes after that is heard of.
        let changes = clinux_route_socket()
        guard changes >= 0 else {
            throw CaptureError(.failed, "cannot hear of changes of the routing table: \(String(cString: strerror(errno)))")
        }
        do throws(CaptureError) {
            try clientSide.readDevice(client.interface)
            try clientSide.readRoutes(client.interface)
            try serverSide.readDevice(server.interface)
            try serverSide.readRoutes(server.interface)
        } catch {
            close(changes)
            throw error
        }
        self.client = clientSide
        self.server = serverSide
        clientInterface = client.interface
        serverInterface = server.interface
        isShared = client.interface == server.interface
        self.changes = changes
        watchAt = .distantPast
    }

    /// Over other sockets, with next hops that nobody reads again, as tests have.
    init(client: consuming FrameSide, server: consuming FrameSide, isShared: Bool = false) {
        self.client = client
        self.server = server
        clientInterface = ""
        serverInterface = ""
        self.isShared = isShared
        changes = -1
        watchAt = .distantFuture
    }

    deinit { if changes >= 0 { close(changes) } }

    private static func open(_ link: Link, _ key: SipKey) throws(CaptureError) -> FrameSide {
        let interface = try NetworkInterface(named: link.interface)
        let socket = clinux_packet_socket(interface.index)
        guard socket >= 0 else {
            if errno == EPERM || errno == EACCES {
                throw CaptureError(.notPermitted, "sending on \(link.interface) needs CAP_NET_RAW; start as root or grant that capability")
            }
            throw CaptureError(.failed, "cannot open a packet socket on \(link.interface): \(String(cString: strerror(errno)))")
        }
        // Without CAP_NET_ADMIN the system's own size stays.
        _ = clinux_force_send_buffer(socket, RawTransmitter.sendBuffer)
        let nextHops = NextHops(
            ownAddresses: link.addresses, hardwareAddress: interface.hardwareAddress, gateways: link.gateways, key: key)
        return FrameSide(socket: socket, nextHops: nextHops, repliesToSender: link.repliesToSender)
    }

    public mutating func send(_ egress: borrowing Egress, at now: Instant) {
        for index in 0..<egress.count {
            let packet = egress[index]
            let bytes = egress.bytes(of: packet)
            switch packet.side {
            case .client: client.append(packet, bytes, at: now)
            case .server: server.append(packet, bytes, at: now)
            }
        }
        client.flush()
        server.flush()
    }

    // MARK: Next hops

    public mutating func receive(_ packet: ARPPacket, asksUs: Bool, on side: Side, at now: Instant) {
        if side == .client || isShared { client.receive(packet, asksUs: asksUs, at: now) }
        if side == .server || isShared { server.receive(packet, asksUs: asksUs, at: now) }
    }

    public mutating func receive(_ message: NeighbourMessage, asksUs: Bool, on side: Side, at now: Instant) {
        if side == .client || isShared { client.receive(message, asksUs: asksUs, at: now) }
        if side == .server || isShared { server.receive(message, asksUs: asksUs, at: now) }
    }

    public var descriptor: Int32 { changes }

    public mutating func readNotices(at now: Instant) {
        guard clinux_routes_changed(changes) != 0 else { return }
        readAt = max(now, mayReadAt)
        advance(to: now)
    }

    public var nextDeadline: Instant {
        min(readAt, watchAt, client.nextHops.neighbours.nextDeadline, server.nextHops.neighbours.nextDeadline)
    }

    public mutating func advance(to now: Instant) {
        // An interface that is gone for now is met by the capture, which says so; until then the old state serves.
        if readAt <= now {
            readAt = .distantFuture
            mayReadAt = now + Self.rest
            watchAt = now
            try? client.readRoutes(clientInterface)
            try? server.readRoutes(serverInterface)
        }
        if watchAt <= now {
            watchAt = now + Self.watch
            try? client.readDevice(clientInterface)
            try? server.readDevice(serverInterface)
        }
        client.advance(to: now)
        server.advance(to: now)
    }

    public func statistics(of side: Side) -> TransmitStatistics {
        switch side {
        case .client: client.statistics
        case .server: server.statistics
        }
    }
}
