import CLinux
public import DispatcherCore
import Glibc

/// Sends IP packets through raw sockets with the header included, one socket a side and family, each bound to its side's interface so
/// that equal subnets on both sides are kept apart. The kernel finds the next hop (tcp.md, "Transmit").
public struct RawTransmitter: PacketSink, ~Copyable {
    public static var gathersPayloads: Bool { true }

    /// Bytes that wait in the kernel at most, a side.
    static let sendBuffer: Int32 = 8 << 20

    /// The packets of one side.
    private struct Batches: ~Copyable {
        var v4: SendBatch
        var v6: SendBatch

        mutating func append(_ packet: Egress.Packet, _ bytes: UnsafeMutableRawBufferPointer) {
            if packet.destination.isIPv4 { v4.append(packet, bytes) } else { v6.append(packet, bytes) }
        }

        mutating func flush() {
            v4.flush()
            v6.flush()
        }

        var statistics: TransmitStatistics {
            var sum = v4.statistics
            let other = v6.statistics
            sum.packets += other.packets
            sum.calls += other.calls
            for error in other.errors {
                if let index = sum.errors.firstIndex(where: { $0.code == error.code }) {
                    sum.errors[index].count += error.count
                } else {
                    sum.errors.append(error)
                }
            }
            return sum
        }
    }

    private var client: Batches
    private var server: Batches

    /// - Throws: `CaptureError`; `notPermitted` without CAP_NET_RAW, `noSuchInterface`.
    public init(clientInterface: String, serverInterface: String) throws(CaptureError) {
        let clientBatches = try Self.batches(clientInterface)
        let serverBatches = try Self.batches(serverInterface)
        client = clientBatches
        server = serverBatches
    }

    /// - Parameter areAddressed: false for connected sockets, as tests have.
    init(clientSocket: Int32, serverSocket: Int32, areAddressed: Bool = true) {
        client = Batches(
            v4: SendBatch(socket: clientSocket, isAddressed: areAddressed),
            v6: SendBatch(socket: dup(clientSocket), isIPv4: false, isAddressed: areAddressed))
        server = Batches(
            v4: SendBatch(socket: serverSocket, isAddressed: areAddressed),
            v6: SendBatch(socket: dup(serverSocket), isIPv4: false, isAddressed: areAddressed))
    }

    private static func batches(_ interface: String) throws(CaptureError) -> Batches {
        let isLoopback = try NetworkInterface(named: interface).isLoopback
        let v4 = SendBatch(socket: try open(AF_INET, interface, isBound: true))
        // For IPv6 an address of this host that another interface has is not reached by way of a loopback device that one is bound to,
        // though its packets go there.
        let v6 = SendBatch(socket: try open(AF_INET6, interface, isBound: !isLoopback), isIPv4: false)
        return Batches(v4: v4, v6: v6)
    }

    /// - Returns: -1 when the kernel does not have the family.
    private static func open(_ family: Int32, _ interface: String, isBound: Bool) throws(CaptureError) -> Int32 {
        let socket = clinux_raw_socket(family, isBound ? interface : nil)
        guard socket >= 0 else {
            if errno == EAFNOSUPPORT, family == AF_INET6 { return -1 }
            switch errno {
            case EPERM, EACCES:
                throw CaptureError(.notPermitted, "sending on \(interface) needs CAP_NET_RAW; start as root or grant that capability")
            case ENODEV: throw CaptureError(.noSuchInterface, "the interface \(interface) does not exist")
            default: throw CaptureError(.failed, "cannot open a raw socket on \(interface): \(String(cString: strerror(errno)))")
            }
        }
        // Without CAP_NET_ADMIN the system's own size stays.
        _ = clinux_force_send_buffer(socket, sendBuffer)
        return socket
    }

    public mutating func send(_ egress: borrowing Egress, at now: Instant) {
        for index in 0..<egress.count {
            let packet = egress[index]
            let bytes = egress.bytes(of: packet)
            switch packet.side {
            case .client: client.append(packet, bytes)
            case .server: server.append(packet, bytes)
            }
        }
        client.flush()
        server.flush()
    }

    public func statistics(of side: Side) -> TransmitStatistics {
        switch side {
        case .client: client.statistics
        case .server: server.statistics
        }
    }
}
