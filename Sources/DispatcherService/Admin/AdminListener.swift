import DispatcherCore
import Glibc

/// The bound socket of the admin listener: made before privileges are dropped, served afterwards.
struct AdminListener: ~Copyable {
    private var descriptor: Int32

    /// - Throws: `ServiceError` when the address cannot be had.
    init(_ endpoint: Endpoint) throws(ServiceError) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var one: Int32 = 1
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = endpoint.port.bigEndian
        address.sin_addr.s_addr = endpoint.address.v4.bigEndian
        let made = descriptor
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
                return bind(made, pointer, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard descriptor >= 0, status == 0 else {
            // `deinit` closes it: all properties are set.
            let reason = String(cString: strerror(errno))
            throw ServiceError(.failed, "admin.listen: cannot listen at \(endpoint): \(reason)")
        }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Whoever takes the descriptor closes it.
    mutating func take() -> Int32 {
        defer { descriptor = -1 }
        return descriptor
    }
}
