import Glibc

/// A Unix datagram socket in a directory, named by a file there.
///
/// Addresses go through `/proc/self/fd`, so that the directory's path may be longer than the 107 bytes that a socket address holds.
final class DatagramSocket: Sendable {
    private let directory: CInt
    private let descriptor: CInt

    /// Binds a socket to `file` in the directory at `path`.
    init(path: String, file: String) throws {
        directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw StoreError.unavailable("cannot open the bus directory \(path): \(SystemError.text(errno))") }
        descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        // From here on all properties are set, so `deinit` closes what is open when the initializer throws.
        guard descriptor >= 0 else { throw StoreError.unavailable("cannot make a bus socket: \(SystemError.text(errno))") }
        let outcome = Self.withAddress(directory, file) { bind(descriptor, $0, $1) }
        guard outcome == 0 else { throw StoreError.unavailable("cannot bind the bus socket \(path)/\(file): \(SystemError.text(errno))") }
    }

    deinit {
        if descriptor >= 0 { Glibc.close(descriptor) }
        Glibc.close(directory)
    }

    /// What became of a datagram.
    enum Sent {
        case done
        /// The receiver's queue is full.
        case later
        /// Nobody listens there.
        case nobody
    }

    /// Sends `datagram` to the socket `file` of the same directory, without waiting.
    func send(_ datagram: [UInt8], to file: String) -> Sent {
        let count = Self.withAddress(directory, file) { address, length in
            sendto(descriptor, datagram, datagram.count, CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL), address, length)
        }
        if count >= 0 { return .done }
        return [EAGAIN, ENOBUFS, EINTR].contains(errno) ? .later : .nobody
    }

    /// Waits for a datagram; nil when the socket is broken.
    func receive(into buffer: inout [UInt8]) -> ArraySlice<UInt8>? {
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count >= 0 { return buffer[..<count] }
            guard errno == EINTR else { return nil }
        }
    }

    /// Removes the file of a socket in the same directory.
    func remove(_ file: String) {
        unlinkat(directory, file, 0)
    }

    private static func withAddress<Value>(
        _ directory: CInt, _ file: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
    ) -> Value {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array("/proc/self/fd/\(directory)/\(file)".utf8)
        precondition(path.count < MemoryLayout.size(ofValue: address.sun_path), "bus socket names are short")
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }
}
