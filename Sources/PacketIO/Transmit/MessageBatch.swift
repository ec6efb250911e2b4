import CLinux
import Glibc

/// Messages of one socket on their way into one `sendmmsg`: allocated once, each of one or two parts. What the parts point to must
/// stay where it is until `flush`.
struct MessageBatch: ~Copyable {
    /// Messages in one call.
    static let capacity = 256
    /// Errno values that are told apart.
    static let errorCodes = 160

    let socket: Int32
    private let messages: UnsafeMutablePointer<clinux_mmsghdr>
    private let parts: UnsafeMutablePointer<iovec>
    private let errors: UnsafeMutablePointer<UInt64>
    /// Messages that wait.
    private(set) var count = 0
    private var packets: UInt64 = 0
    private var calls: UInt64 = 0

    /// - Parameter socket: closed at the end; -1 when nothing is ever sent.
    init(socket: Int32) {
        let messages = UnsafeMutablePointer<clinux_mmsghdr>.allocate(capacity: Self.capacity)
        let parts = UnsafeMutablePointer<iovec>.allocate(capacity: 2 * Self.capacity)
        let errors = UnsafeMutablePointer<UInt64>.allocate(capacity: Self.errorCodes)
        errors.initialize(repeating: 0, count: Self.errorCodes)
        parts.initialize(repeating: iovec(), count: 2 * Self.capacity)
        messages.initialize(repeating: clinux_mmsghdr(), count: Self.capacity)
        for index in 0..<Self.capacity { messages[index].msg_hdr.msg_iov = parts + 2 * index }
        self.socket = socket
        self.messages = messages
        self.parts = parts
        self.errors = errors
    }

    deinit {
        if socket >= 0 { close(socket) }
        messages.deallocate()
        parts.deallocate()
        errors.deallocate()
    }

    var isFull: Bool { count == Self.capacity }

    /// Gives every message at `index` of a batch an address, for good.
    func setAddress(of index: Int, _ address: UnsafeMutableRawPointer, length: Int) {
        messages[index].msg_hdr.msg_name = address
        messages[index].msg_hdr.msg_namelen = socklen_t(length)
    }

    /// A message of one part, or of two where the second has any bytes. There must be room.
    mutating func append(
        _ first: UnsafeMutableRawPointer, _ length: Int, _ second: UnsafeRawBufferPointer = .empty
    ) {
        parts[2 * count] = iovec(iov_base: first, iov_len: length)
        if second.isEmpty {
            messages[count].msg_hdr.msg_iovlen = 1
        } else {
            // The kernel only reads it.
            parts[2 * count + 1] = iovec(iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress), iov_len: second.count)
            messages[count].msg_hdr.msg_iovlen = 2
        }
        count += 1
    }

    /// Hands everything to the kernel. A full device or buffer is waited for once, for at most a millisecond; what is then still not
    /// taken is counted and lost, as on a full link.
    mutating func flush() {
        // Of a socket whose other end is gone an error is enough, no SIGPIPE.
        let flags = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)
        var sent = 0
        var mayRetry = true
        while sent < count {
            let taken = clinux_sendmmsg(socket, messages + sent, UInt32(count - sent), flags)
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
            refuse(reason)
            sent += 1
        }
        count = 0
    }

    private func waitForRoom() {
        var descriptor = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
        _ = clinux_ppoll(&descriptor, 1, 1_000_000)
    }

    /// Counts a packet that cannot be sent.
    mutating func refuse(_ reason: Int32) { errors[min(Int(reason), Self.errorCodes - 1)] += 1 }

    var statistics: TransmitStatistics {
        var result = TransmitStatistics()
        result.packets = packets
        result.calls = calls
        for code in 0..<Self.errorCodes where errors[code] > 0 { result.errors.append((Int32(code), errors[code])) }
        return result
    }
}
