import CLinux
import DispatcherCore
import Glibc

/// IP packets of one side on their way into one `sendmmsg`: message headers, addresses and room for rebuilt packet headers, all
/// allocated once. Payloads are not copied; they must stay where they are until `flush`.
struct SendBatch: ~Copyable {
    /// Packets in one call.
    static let capacity = 256
    /// Errno values that are told apart.
    static let errorCodes = 160

    private let socket: Int32
    private let messages: UnsafeMutablePointer<clinux_mmsghdr>
    private let parts: UnsafeMutablePointer<iovec>
    private let addresses: UnsafeMutablePointer<sockaddr_in>
    private let headers: UnsafeMutableRawPointer
    private let errors: UnsafeMutablePointer<UInt64>
    private var count = 0
    private var packets: UInt64 = 0
    private var calls: UInt64 = 0

    /// - Parameters:
    ///   - socket: a raw IPv4 socket with the header included; closed at the end.
    ///   - isAddressed: false for a connected socket, as tests have.
    init(socket: Int32, isAddressed: Bool = true) {
        self.socket = socket
        messages = .allocate(capacity: Self.capacity)
        parts = .allocate(capacity: 2 * Self.capacity)
        addresses = .allocate(capacity: Self.capacity)
        headers = .allocate(byteCount: Self.capacity * SegmentSplitter.largestHeader, alignment: 8)
        errors = .allocate(capacity: Self.errorCodes)
        errors.initialize(repeating: 0, count: Self.errorCodes)
        parts.initialize(repeating: iovec(), count: 2 * Self.capacity)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        addresses.initialize(repeating: address, count: Self.capacity)
        messages.initialize(repeating: clinux_mmsghdr(), count: Self.capacity)
        for index in 0..<Self.capacity {
            if isAddressed {
                messages[index].msg_hdr.msg_name = UnsafeMutableRawPointer(addresses + index)
                messages[index].msg_hdr.msg_namelen = socklen_t(MemoryLayout<sockaddr_in>.size)
            }
            messages[index].msg_hdr.msg_iov = parts + 2 * index
        }
    }

    deinit {
        close(socket)
        messages.deallocate()
        parts.deallocate()
        addresses.deallocate()
        headers.deallocate()
        errors.deallocate()
    }

    /// A packet that fits the wire.
    mutating func append(_ packet: UnsafeMutableRawBufferPointer, to destination: IPAddress) {
        if count == Self.capacity { flush() }
        parts[2 * count] = iovec(iov_base: packet.baseAddress, iov_len: packet.count)
        finish(parts: 1, destination)
    }

    /// A TCP segment that is larger than the wire takes: each piece is a rebuilt header and a slice of the payload where it lies.
    mutating func append(_ packet: UnsafeMutableRawBufferPointer, to destination: IPAddress, splitAt segmentSize: Int) {
        let splitter = SegmentSplitter(packet: UnsafeRawBufferPointer(packet), segmentSize: segmentSize)
        for piece in 0..<splitter.count {
            if count == Self.capacity { flush() }
            let header = headers + count * SegmentSplitter.largestHeader
            let (length, payload) = splitter.writeHeader(of: piece, into: header)
            parts[2 * count] = iovec(iov_base: header, iov_len: length)
            parts[2 * count + 1] = iovec(iov_base: packet.baseAddress! + payload.lowerBound, iov_len: payload.count)
            finish(parts: 2, destination)
        }
    }

    private mutating func finish(parts: Int, _ destination: IPAddress) {
        messages[count].msg_hdr.msg_iovlen = parts
        addresses[count].sin_addr.s_addr = destination.v4.bigEndian
        count += 1
    }

    /// Hands everything to the kernel. A full device or buffer is waited for once, for at most a millisecond; what is then still not
    /// taken is counted and lost, as on a full link.
    mutating func flush() {
        var sent = 0
        var mayRetry = true
        while sent < count {
            let taken = clinux_sendmmsg(socket, messages + sent, UInt32(count - sent), Int32(MSG_DONTWAIT))
            calls += 1
            if taken > 0 {
                sent += Int(taken)
                packets += UInt64(taken)
                continue
            }
            let reason = errno
            if reason == EINTR { continue }
            if (reason == ENOBUFS || reason == EAGAIN) && mayRetry {
                mayRetry = false
                waitForRoom()
                continue
            }
            errors[min(Int(reason), Self.errorCodes - 1)] += 1
            sent += 1
        }
        count = 0
    }

    private func waitForRoom() {
        var descriptor = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
        _ = clinux_ppoll(&descriptor, 1, 1_000_000)
    }

    mutating func refuse(_ reason: Int32) { errors[min(Int(reason), Self.errorCodes - 1)] += 1 }

    var statistics: TransmitStatistics {
        var result = TransmitStatistics()
        result.packets = packets
        result.calls = calls
        for code in 0..<Self.errorCodes where errors[code] > 0 { result.errors.append((Int32(code), errors[code])) }
        return result
    }
}
