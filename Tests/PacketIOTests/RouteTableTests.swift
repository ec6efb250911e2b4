import CLinux
import DispatcherCore
import Glibc
import Testing

@testable import PacketIO

struct RouteTableTests {
    private func route(
        _ destination: String, _ length: Int, via gateway: String? = nil, metric: UInt32 = 0, source: String? = nil
    ) -> Route {
        let address = IPAddress(destination)!
        return Route(
            destination: address, length: length + (address.isIPv4 ? 96 : 0), gateway: gateway.map { IPAddress($0)! }, metric: metric,
            source: source.map { IPAddress($0)! })
    }

    private func table(_ routes: [Route], gateways: [String] = []) -> RouteTable {
        var table = RouteTable(gateways: gateways.map { IPAddress($0)! })
        table.replace(with: routes)
        return table
    }

    private func hop(_ table: borrowing RouteTable, _ destination: String) -> String? {
        table.nextHop(to: IPAddress(destination)!)?.description
    }

    private var usual: [Route] {
        [
            route("0.0.0.0", 0, via: "10.77.1.1"), route("10.77.1.0", 24, source: "10.77.1.9"),
            route("10.77.3.0", 24, via: "10.77.1.254"), route("10.77.3.128", 25, via: "10.77.1.253"),
        ]
    }

    @Test func theLongestPrefixWins() {
        let table = table(usual)
        #expect(hop(table, "10.77.1.11") == "10.77.1.11")
        #expect(hop(table, "10.77.3.11") == "10.77.1.254")
        #expect(hop(table, "10.77.3.200") == "10.77.1.253")
        #expect(hop(table, "192.0.2.1") == "10.77.1.1")
    }

    @Test func ofEqualPrefixesTheLeastMetricWins() {
        let table = table([
            route("0.0.0.0", 0, via: "10.0.0.3", metric: 300), route("0.0.0.0", 0, via: "10.0.0.1", metric: 100),
            route("0.0.0.0", 0, via: "10.0.0.2", metric: 200),
        ])
        #expect(hop(table, "192.0.2.1") == "10.0.0.1")
    }

    @Test func withoutRouteThereIsNoNextHop() {
        let table = table([route("10.77.1.0", 24)])
        #expect(hop(table, "10.77.2.1") == nil)
    }

    @Test func aGatewayOfTheConfigurationStandsInForTheTables() {
        let table = table(usual, gateways: ["10.77.1.77"])
        #expect(hop(table, "10.77.3.11") == "10.77.1.77")
        #expect(hop(table, "192.0.2.1") == "10.77.1.77")
        #expect(hop(table, "10.77.1.11") == "10.77.1.11")
        let empty = self.table([], gateways: ["10.77.1.77"])
        #expect(hop(empty, "192.0.2.1") == "10.77.1.77")
    }

    @Test func familiesAreKeptApart() {
        let table = table([route("0.0.0.0", 0, via: "10.0.0.1"), route("::", 0, via: "fe80::1"), route("fd77:1::", 64)])
        #expect(hop(table, "10.1.1.1") == "10.0.0.1")
        #expect(hop(table, "fd77:1::11") == "fd77:1::11")
        #expect(hop(table, "fd77:2::11") == "fe80::1")
    }

    @Test func theDefaultRouteOfOneFamilyIsNoneOfTheOther() {
        #expect(hop(table([route("::", 0, via: "fe80::1")]), "10.1.1.1") == nil)
        #expect(hop(table([route("0.0.0.0", 0, via: "10.0.0.1")]), "fd77:2::11") == nil)
    }

    @Test func aGatewayStandsInForThoseOfItsFamily() {
        let routes = usual + [route("::", 0, via: "fe80::1"), route("fd77:1::", 64)]
        let both = table(routes, gateways: ["10.77.1.77", "fe80::77"])
        #expect(hop(both, "192.0.2.1") == "10.77.1.77" && hop(both, "fd77:3::11") == "fe80::77")
        let one = table(routes, gateways: ["fe80::77"])
        #expect(hop(one, "192.0.2.1") == "10.77.1.1" && hop(one, "fd77:3::11") == "fe80::77" && hop(one, "fd77:1::11") == "fd77:1::11")
    }

    @Test func aNeighbourOfIPv6IsNeverAskedFromTheKernelsAddress() {
        let table = table([route("fe80::", 64), route("fd77:1::", 64, source: "fd77:1::1")])
        let own = ["10.77.1.100", "fd77:9::100"].map { IPAddress($0)! }
        for neighbour in ["fd77:1::11", "fe80::1", "fd77:5::1"] {
            #expect(table.source(toward: IPAddress(neighbour)!, among: own) == own[1])
        }
    }

    @Test func hostsAndLengthsAcrossTheMiddleAreMatched() {
        let table = table([route("10.0.0.5", 32, via: "10.0.0.1"), route("2001:db8:0:1::", 63), route("2001:db8::8000:0:0:0", 65)])
        #expect(hop(table, "10.0.0.5") == "10.0.0.1")
        #expect(hop(table, "10.0.0.4") == nil)
        #expect(hop(table, "2001:db8:0:1::1") == "2001:db8:0:1::1")
        #expect(hop(table, "2001:db8:0:2::1") == nil)
    }

    @Test func aNeighbourIsAskedFromAnAddressOfItsOwnSubnet() {
        let table = table(usual)
        let own = ["10.99.0.1", "10.77.1.100", "fd77:1::100"].map { IPAddress($0)! }
        #expect(table.source(toward: IPAddress("10.77.1.254")!, among: own)?.description == "10.77.1.100")
        // None of ours is there: as the kernel would.
        #expect(table.source(toward: IPAddress("10.77.1.254")!, among: [own[0]])?.description == "10.77.1.9")
        #expect(table.source(toward: IPAddress("192.0.2.1")!, among: own)?.description == "10.99.0.1")
        #expect(table.source(toward: IPAddress("fd77:1::1")!, among: own)?.description == "fd77:1::100")
    }

    @Test func whatIsTooMuchIsLeftOutAndCounted() {
        let table = table((0...RouteTable.capacity).map { route("0.0.0.0", 0, via: "10.0.0.1", metric: UInt32($0)) })
        #expect(table.count == RouteTable.capacity && table.leftOut == 1)
    }

    @Test func theKernelsTableCanBeRead() throws {
        // Whatever this host has: the loopback device has no route of the main table.
        #expect(
            try RouteReader.read(interface: NetworkInterface(named: "lo").index).allSatisfy {
                $0.destination.isIPv4 == ($0.length >= 96) || $0.length > 96
            })
        let socket = clinux_route_socket()
        #expect(socket >= 0)
        #expect(clinux_routes_changed(socket) == 0)
        close(socket)
    }
}
