import CLinux
public import DispatcherCore
import Glibc

/// Sends IP packets through raw sockets with the header included, one socket a side, each bound to its side's interface so that equal
/// subnets on both sides are kept apart. The kernel finds the next hop (tcp.md, "Transmit").
public struct RawTransmitter: PacketSink, ~Copyable {
    /// Bytes that wait in the kernel at most, a side.
    static let sendBuffer: Int32 = 8 << 20

    private var client: SendBatch
    private var server: SendBatch

    /// - Throws: `CaptureError`; `notPermitted` without CAP_NET_RAW, `noSuchInterface`.
    public init(clientInterface: String, serverInterface: String) throws(CaptureError) {
        let clientSocket = try Self.open(clientInterface)
        let serverSocket: Int32
        do throws(CaptureError) {
            serverSocket = try Self.open(serverInterface)
        } catch {
            close(clientSocket)
            throw error
        }
        self.init(clientSocket: clientSocket, serverSocket: serverSocket)
    }

    /// - Parameter areAddressed: false for connected sockets, as tests have.
    init(clientSocket: Int32, serverSocket: Int32, areAddressed: Bool = true) {
        client = SendBatch(socket: clientSocket, isAddressed: areAddressed)
        server = SendBatch(socket: serverSocket, isAddressed: areAddressed)
    }

    private static func open(_ interface: String) throws(CaptureError) -> Int32 {
        let socket = clinux_raw_socket(interface)
        guard socket >= 0 else {
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
            case .client: Self.append(packet, bytes, to: &client)
            case .server: Self.append(packet, bytes, to: &server)
            }
        }
        client.flush()
        server.flush()
    }

    private static func append(_ packet: Egress.Packet, _ bytes: UnsafeMutableRawBufferPointer, to batch: inout SendBatch) {
        guard packet.destination.isIPv4 else { return batch.refuse(EAFNOSUPPORT) }
        // The Internet header is 20 bytes, the TCP header's length stands in its own 13th byte.
        if packet.segmentSize > 0, packet.length > packet.segmentSize + 40,
            packet.length > packet.segmentSize + 20 + Int(bytes[32] >> 4) * 4
        {
            batch.append(bytes, to: packet.destination, splitAt: packet.segmentSize)
        } else {
            batch.append(bytes, to: packet.destination)
        }
    }

    public func statistics(of side: Side) -> TransmitStatistics {
        switch side {
        case .client: client.statistics
        case .server: server.statistics
        }
    }
}
