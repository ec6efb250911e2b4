import CLinux
import DispatcherCore
import Glibc

/// Reads the kernel's routing table by netlink (RFC 3549 3.1.1), and hears of its changes.
enum RouteReader {
    /// The routes of the main table that leave by an interface, of both families; other tables, and rules that choose among them, are not heeded.
    /// - Parameter index: of the interface.
    /// - Throws: `CaptureError` (`failed`) with the kernel's reason.
    static func read(interface index: Int32) throws(CaptureError) -> [Route] {
        // A kernel without IPv6 has no such table, and says so.
        try read(AF_INET, index) + ((try? read(AF_INET6, index)) ?? [])
    }

    private static func read(_ family: Int32, _ index: Int32) throws(CaptureError) -> [Route] {
        // One more than is kept, so that a table which is too long is noticed.
        let capacity = RouteTable.capacity + 1
        let found = UnsafeMutablePointer<clinux_route>.allocate(capacity: capacity)
        defer { found.deallocate() }
        for _ in 0..<3 {
            let count = clinux_routes(family, index, found, Int32(capacity))
            if count >= 0 { return (0..<min(Int(count), capacity)).map { route(found[$0], isIPv4: family == AF_INET) } }
            if errno != EINTR { break }
        }
        throw CaptureError(.failed, "cannot read the kernel's routing table: \(String(cString: strerror(errno)))")
    }

    private static func route(_ found: clinux_route, isIPv4: Bool) -> Route {
        Route(
            destination: address(found.destination, isIPv4), length: Int(found.prefix_length) + (isIPv4 ? 96 : 0),
            gateway: found.has_gateway != 0 ? address(found.gateway, isIPv4) : nil, metric: found.metric,
            source: found.has_source != 0 ? address(found.source, isIPv4) : nil)
    }

    private typealias Bytes = (
        UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8
    )

    private static func address(_ bytes: Bytes, _ isIPv4: Bool) -> IPAddress {
        withUnsafeBytes(of: bytes) { bytes in
            func word(_ offset: Int) -> UInt64 { UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
            if isIPv4 { return IPAddress(v4: UInt32(truncatingIfNeeded: word(0) >> 32)) }
            return IPAddress(high: word(0), low: word(8))
        }
    }
}
