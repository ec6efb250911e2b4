import DispatcherCore

/// A route through one interface. Both families are one: IPv4 is held in its mapped form, as `IPAddress` has it.
struct Route: Equatable, Sendable {
    var destination: IPAddress
    /// Bits of the destination that must agree: 0 to 128; an IPv4 length plus 96.
    var length: Int
    /// nil: the destination is on the link.
    var gateway: IPAddress?
    /// Among routes of equal length the least wins.
    var metric: UInt32 = 0
    /// What the kernel would send from.
    var source: IPAddress?

    func covers(_ address: IPAddress) -> Bool {
        // The default route of IPv6 would cover every mapped address as well.
        guard address.isIPv4 == destination.isIPv4 else { return false }
        let high = min(length, 64)
        let low = length - high
        // A shift by 64 gives zero: no bit must agree.
        return (address.high ^ destination.high) >> UInt64(64 - high) == 0 && (address.low ^ destination.low) >> UInt64(64 - low) == 0
    }
}

/// The routes of one interface, the longest prefix first (RFC 1812 5.2.4.3). Looked up for each packet, replaced as a whole.
struct RouteTable: ~Copyable {
    /// Routes that are kept; what a table has beyond is left out and counted.
    static let capacity = 1_024

    private let routes: UnsafeMutablePointer<Route>
    private(set) var count = 0
    /// Routes that were left out of the last table.
    private(set) var leftOut = 0
    private let gatewayV4: IPAddress?
    private let gatewayV6: IPAddress?

    /// - Parameter gateways: of the configuration, at most one a family: stands in for every gateway of the table, and for a default
    ///   route. Without one: the table's own.
    init(gateways: [IPAddress] = []) {
        routes = .allocate(capacity: Self.capacity)
        gatewayV4 = gateways.first { $0.isIPv4 }
        gatewayV6 = gateways.first { !$0.isIPv4 }
    }

    deinit { routes.deallocate() }

    mutating func replace(with table: [Route]) {
        let sorted = table.sorted { ($1.length, $0.metric) < ($0.length, $1.metric) }
        count = min(sorted.count, Self.capacity)
        leftOut = sorted.count - count
        for index in 0..<count { routes[index] = sorted[index] }
    }

    private func best(_ destination: IPAddress) -> UnsafeMutablePointer<Route>? {
        for index in 0..<count where routes[index].covers(destination) { return routes + index }
        return nil
    }

    /// The neighbour that a packet to `destination` goes to; nil = there is no route.
    func nextHop(to destination: IPAddress) -> IPAddress? {
        let gateway = destination.isIPv4 ? gatewayV4 : gatewayV6
        guard let route = best(destination) else { return gateway }
        guard let own = route.pointee.gateway else { return destination }
        return gateway ?? own
    }

    /// The address among `own` that a neighbour is asked from: one of the neighbour's own subnet if there is one, because some hosts
    /// answer no other; else the one that the kernel would take, else the first. For IPv6 never the kernel's: the answer goes to that
    /// address, where nobody of ours listens (an ARP reply is seen whoever it names).
    func source(toward neighbour: IPAddress, among own: [IPAddress]) -> IPAddress? {
        let ours = own.filter { $0.isIPv4 == neighbour.isIPv4 }
        guard let route = best(neighbour), route.pointee.gateway == nil else { return ours.first }
        return ours.first { route.pointee.covers($0) } ?? (neighbour.isIPv4 ? route.pointee.source : nil) ?? ours.first
    }
}
