import CLinux
import DispatcherCore
import Glibc

/// Reads the kernel's routing table by netlink (RFC 3549 3.1.1), and hears of its changes.
enum RouteReader {
    /// The routes of the main table that leave by an interface; other tables, and rules that choose among them, are not heeded.
    /// - Parameter index: of the interface.
    /// - Throws: `CaptureError` (`failed`) with the kernel's reason.
    static func read(interface index: Int32) throws(CaptureError) -> [Route] {
        // One more than is kept, so that a table which is too long is noticed.
        let capacity = RouteTable.capacity + 1
        let found = UnsafeMutablePointer<clinux_route>.allocate(capacity: capacity)
        defer { found.deallocate() }
        for _ in 0..<3 {
            let count = clinux_routes(AF_INET, index, found, Int32(capacity))
            if count >= 0 { return (0..<min(Int(count), capacity)).map { route(found[$0]) } }
            if errno != EINTR { break }
        }
        throw CaptureError(.failed, "cannot read the kernel's routing table: \(String(cString: strerror(errno)))")
    }

    private static func route(_ found: clinux_route) -> Route {
        Route(
            destination: address(found.destination), length: Int(found.prefix_length) + 96,
            gateway: found.has_gateway != 0 ? address(found.gateway) : nil, metric: found.metric,
            source: found.has_source != 0 ? address(found.source) : nil)
    }

    private typealias Bytes = (
        UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8
    )

    private static func address(_ bytes: Bytes) -> IPAddress {
        IPAddress(v4: [bytes.0, bytes.1, bytes.2, bytes.3].reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
    }
}
