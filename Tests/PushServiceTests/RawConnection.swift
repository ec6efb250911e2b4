import Glibc
import Lab

/// A blocking TCP connection to loopback that sends and reads bytes as they are.
final class RawConnection {
    private let descriptor: CInt

    init(port: Int) throws {
        descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var timeout = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let outcome = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard outcome == 0 else { throw LabError("cannot connect to port \(port)") }
    }

    deinit {
        Glibc.close(descriptor)
    }

    func send(_ text: String) {
        send(Array(text.utf8))
    }

    func send(_ bytes: [UInt8]) {
        _ = Glibc.send(descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL))
    }

    /// Sends as much as the socket takes without waiting; returns how many bytes that is.
    func sendSome(_ bytes: [UInt8]) -> Int {
        max(0, Glibc.send(descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL | MSG_DONTWAIT)))
    }

    /// Sends the end of the stream; what comes can still be read.
    func sendEnd() {
        shutdown(descriptor, CInt(SHUT_WR))
    }

    /// Reads until `ending` has come, the end of the stream, or 10 s without anything.
    func read(until ending: String) -> String {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while recv(descriptor, &byte, 1, 0) == 1 {
            bytes.append(byte)
            if bytes.suffix(ending.utf8.count).elementsEqual(ending.utf8) { break }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Reads to the end of the stream.
    func readToEnd() -> String {
        var bytes: [UInt8] = []
        var some = [UInt8](repeating: 0, count: 65_536)
        while case let count = recv(descriptor, &some, some.count, 0), count > 0 { bytes += some[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }
}
