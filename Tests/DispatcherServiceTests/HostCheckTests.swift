import DispatcherCore
import PacketIO
import Testing

@testable import DispatcherService

struct HostCheckTests {
    private func host(_ change: (inout HostCheck) -> Void = { _ in }) -> HostCheck {
        var host = HostCheck(
            clientInterface: NetworkInterface(name: "fe0", mtu: 1_500, hardwareAddress: HardwareAddress(bits: 1)),
            serverInterface: NetworkInterface(name: "be0", mtu: 1_500, hardwareAddress: HardwareAddress(bits: 2)),
            kernelAddresses: [(IPAddress("10.77.1.1")!, "fe0")], forwards: .init())
        change(&host)
        return host
    }

    private func judge(_ host: HostCheck) throws -> [String] { try host.judge(TestConfigurations.read(TestConfigurations.least)) }

    @Test func aHostThatIsReadyGetsNoWarning() throws { #expect(try judge(host()) == []) }

    @Test func addressesOfTheKernelForbidTheStart() {
        let error = #expect(throws: ServiceError.self) {
            _ = try judge(
                host { $0.kernelAddresses += [(IPAddress("10.77.1.100")!, "fe0"), (IPAddress("10.77.2.200")!, "be0")] })
        }
        #expect(error?.code == .failed)
        let lines = error?.description.split(separator: "\n") ?? []
        #expect(lines.count == 2)
        #expect(lines.first?.hasPrefix("the kernel owns the service address 10.77.1.100 (on fe0)") == true)
        #expect(lines.last?.hasPrefix("the kernel owns the source address 10.77.2.200 (on be0)") == true)
    }

    @Test func interfacesMustBeUpAndEthernet() {
        let error = #expect(throws: ServiceError.self) {
            _ = try judge(
                host {
                    $0.clientInterface.isUp = false
                    $0.serverInterface.isEthernet = false
                })
        }
        #expect(error?.description.contains("client-side.interface: fe0 is down; ip link set fe0 up") == true)
        #expect(error?.description.contains("server-side.interface: be0 is not an Ethernet device") == true)
    }

    @Test func framesNeedNeighbours() {
        let error = #expect(throws: ServiceError.self) {
            _ = try host { $0.serverInterface.hasNeighbours = false }.judge(
                TestConfigurations.read("transmit: packet\n" + TestConfigurations.least))
        }
        #expect(
            error?.description
                == "transmit: packet needs devices whose hosts answer ARP; be0 (server-side.interface) is none: say transmit: raw or auto")
    }

    @Test func aGatewayNeedsFrames() throws {
        let yaml = TestConfigurations.least.replacingOccurrences(of: "  interface: fe0", with: "  interface: fe0\n  gateway: 10.77.1.254")
        #expect(try host().judge(TestConfigurations.read(yaml)) == [])
        let error = #expect(throws: ServiceError.self) {
            _ = try host { $0.serverInterface.hasNeighbours = false }.judge(TestConfigurations.read(yaml))
        }
        #expect(error?.description.hasPrefix("client-side.gateway: hosts on fe0 or be0 do not answer ARP") == true)
    }

    // MARK: Addresses of the kernel

    /// Client side at 10.77.1.1, which the kernel has; servers asked from the same address.
    private static let single = TestConfigurations.least
        .replacingOccurrences(of: "listen: 10.77.1.100:80", with: "listen: 10.77.1.1:80\n    owned-by-kernel: true")
        .replacingOccurrences(of: "[10.77.2.200]", with: "[10.77.1.1]\n  kernel-addresses: true")

    private func refusal(_ yaml: String, _ change: (inout HostCheck) -> Void = { _ in }) -> String {
        let error = #expect(throws: ServiceError.self) { _ = try host(change).judge(TestConfigurations.read(yaml)) }
        return error?.description ?? ""
    }

    @Test func anAddressOfTheKernelServesWhenThatIsSaid() throws {
        #expect(try host().judge(TestConfigurations.read(Self.single)) == [])
    }

    @Test func anAddressThatIsSaidToBeTheKernelsMustBe() {
        let said = refusal(Self.single) { $0.kernelAddresses = [] }
        #expect(said.hasPrefix("owned-by-kernel: no interface of this host has the service address 10.77.1.1"))
        #expect(said.contains("server-side.kernel-addresses: no interface of this host has the source address 10.77.1.1"))
    }

    @Test func serversOnThisHostAreReachedOverLoopback() throws {
        let local = TestConfigurations.least.replacingOccurrences(of: "10.77.2.12:8080", with: "10.77.1.1:8080")
        #expect(refusal(local).contains("10.77.1.1 is an address of this host (on fe0), whose servers are reached over lo"))
        let lo = Self.single.replacingOccurrences(of: "interface: be0", with: "interface: lo")
            .replacingOccurrences(of: "10.77.2.11:8080", with: "127.0.0.1:8080")
        let loopback: (inout HostCheck) -> Void = {
            ($0.serverInterface.name, $0.serverInterface.hasNeighbours, $0.serverInterface.isLoopback) = ("lo", false, true)
        }
        #expect(refusal(lo, loopback).hasPrefix("pools[].servers[].address: 10.77.2.12 is no address of this host"))
        #expect(
            try host(loopback).judge(TestConfigurations.read(lo.replacingOccurrences(of: "10.77.2.12:8080", with: "127.0.0.1:9999"))) == [])
    }

    @Test func portsOfABridgeAreNoGoodWhereTheKernelMustBeKeptAway() throws {
        #expect(refusal(Self.single) { $0.ports = ["fe0"] }.hasPrefix("client-side.interface: fe0 is a port of a bridge or bond"))
        #expect(try judge(host { $0.ports = ["fe0"] }) == [], "it never answers for our own addresses")
    }

    @Test func portsThatTheKernelGivesAwayAreWarnedOf() throws {
        let configuration = try TestConfigurations.read(Self.single)
        let warnings = try host { $0.localPorts = .init(range: 32_768...60_999) }.judge(configuration)
        #expect(warnings.count == 1 && warnings[0].contains("the ports 32768 to 60999"))
        #expect(try host { $0.localPorts = .init(range: 32_768...60_999, reserved: [10_000...65_535]) }.judge(configuration) == [])
        #expect(try host { $0.localPorts = .init(range: 5_000...9_999) }.judge(configuration) == [])
        #expect(HostCheck.ranges("80,9000-9100\n").first == 80...80)
    }

    private static let both = TestConfigurations.least.replacingOccurrences(
        of: "10.77.1.100:80", with: "[\"10.77.1.100:80\", \"[fd77:1::100]:80\"]"
    ).replacingOccurrences(of: "[10.77.2.200]", with: "[10.77.2.200, \"fd77:2::200\"]")

    @Test func addressesOfIPv6MustNotBeTheKernelsEither() {
        let error = #expect(throws: ServiceError.self) {
            _ = try host { $0.kernelAddresses += [(IPAddress("fd77:1::100")!, "fe0")] }.judge(TestConfigurations.read(Self.both))
        }
        #expect(error?.description.hasPrefix("the kernel owns the service address fd77:1::100 (on fe0)") == true)
    }

    @Test func aLinkThatIsTooNarrowForIPv6IsRefusedOnlyWithIPv6() throws {
        let narrow = host { $0.serverInterface.mtu = 1_279 }
        #expect(try judge(narrow) == [])
        let error = #expect(throws: ServiceError.self) { _ = try narrow.judge(TestConfigurations.read(Self.both)) }
        #expect(error?.description.hasPrefix("server-side.interface: be0 has an MTU of 1279, but IPv6 needs 1280") == true)
    }

    @Test func theKernelsAddressesOfBothFamiliesAreRead() {
        let found = HostCheck.readAddresses()
        #expect(found.contains { $0.address == IPAddress("127.0.0.1") && $0.interface == "lo" })
        // A host may have no IPv6; what it has must be sound.
        #expect(found.allSatisfy { $0.address.isIPv4 || $0.address == IPAddress("::1") || $0.address.isUnicastSource })
    }

    @Test func namesTheSideOfAnInterfaceThatDoesNotExist() throws {
        let configuration = try TestConfigurations.read(TestConfigurations.least.replacingOccurrences(of: "fe0", with: "sluice-none"))
        let error = #expect(throws: ServiceError.self) { _ = try HostCheck.read(configuration) }
        #expect(error?.description == "client-side.interface: the interface sluice-none does not exist")
    }
}
