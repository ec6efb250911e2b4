import Glibc
import NIOCore
import NIOPosix
import PushStore

/// Sends the packets of NS-WakeUp: one datagram, or a TCP connection that says the same and ends.
final class WakeUpSender: Sendable {
    /// A TCP connection that is not refused locally within this time counts as sent: its SYN is what wakes the device.
    private static let localFailure = TimeAmount.milliseconds(100)
    /// How long a TCP connection may take to open.
    private static let connectTimeout = TimeAmount.seconds(3)

    private let eventLoops: MultiThreadedEventLoopGroup
    /// Datagram sockets, one for each version of IP; -1: this host has not got it. An event loop's channel would not do: it ends with the
    /// first address that the kernel refuses.
    private let v4: CInt
    private let v6: CInt

    private init(eventLoops: MultiThreadedEventLoopGroup, v4: CInt, v6: CInt) {
        self.eventLoops = eventLoops
        self.v4 = v4
        self.v6 = v6
    }

    deinit {
        for descriptor in [v4, v6] where descriptor >= 0 { Glibc.close(descriptor) }
    }

    /// Opens the sockets for datagrams.
    static func open(eventLoops: MultiThreadedEventLoopGroup) throws -> WakeUpSender {
        let kind = CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        let (v4, v6) = (socket(AF_INET, kind, 0), socket(AF_INET6, kind, 0))
        guard v4 >= 0 || v6 >= 0 else { throw WorkerError("cannot open a socket for wake-up datagrams: \(SystemError.text(errno))") }
        return WakeUpSender(eventLoops: eventLoops, v4: v4, v6: v6)
    }

    /// Sends the packet; `then` gets nil when it is on its way, else why it is not.
    func send(_ order: WakeUpOrder, then: @escaping @Sendable (String?) -> Void) {
        do {
            let address = try SocketAddress(ipAddress: order.address.text, port: Int(order.port))
            switch order.packet {
            case .udp: sendDatagram(order, to: address, then)
            case .tcp: connect(order, to: address, then)
            }
        } catch {
            then("\(error)")
        }
    }

    private func sendDatagram(_ order: WakeUpOrder, to address: SocketAddress, _ then: (String?) -> Void) {
        let descriptor = order.address.isIPv4 ? v4 : v6
        guard descriptor >= 0 else { return then("this host has no IPv\(order.address.isIPv4 ? 4 : 6)") }
        let count = address.withSockAddr { pointer, length in
            order.text.withUnsafeReadableBytes { sendto(descriptor, $0.baseAddress, $0.count, 0, pointer, socklen_t(length)) }
        }
        then(count >= 0 ? nil : SystemError.text(errno))
    }

    private func connect(_ order: WakeUpOrder, to address: SocketAddress, _ then: @escaping @Sendable (String?) -> Void) {
        let connection = ClientBootstrap(group: eventLoops).connectTimeout(Self.connectTimeout).connect(to: address)
        connection.whenSuccess { channel in
            channel.writeAndFlush(order.text).whenComplete { _ in channel.close(promise: nil) }
        }
        let outcome = connection.eventLoop.makePromise(of: String?.self)
        let timer = connection.eventLoop.scheduleTask(in: Self.localFailure) { outcome.succeed(nil) }
        connection.whenComplete { result in
            timer.cancel()
            // Whoever refuses has got a packet.
            if case .failure(let error) = result, !Self.isRefusal(error) {
                outcome.succeed(Self.words(error))
            } else {
                outcome.succeed(nil)
            }
        }
        outcome.futureResult.whenSuccess(then)
    }

    private static func isRefusal(_ error: any Error) -> Bool {
        (error as? IOError)?.errnoCode == ECONNREFUSED
            || (error as? NIOConnectionError)?.connectionErrors.contains { isRefusal($0.error) } == true
    }

    private static func words(_ error: any Error) -> String {
        (error as? IOError)?.description ?? "\(error)"
    }
}

extension IPAddress {
    /// The literal form.
    var text: String {
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        if isIPv4 {
            var address = in_addr(s_addr: UInt32(truncatingIfNeeded: low).bigEndian)
            inet_ntop(AF_INET, &address, &buffer, socklen_t(buffer.count))
        } else {
            var address = in6_addr()
            withUnsafeMutableBytes(of: &address) { bytes in
                bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
                bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            inet_ntop(AF_INET6, &address, &buffer, socklen_t(buffer.count))
        }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
