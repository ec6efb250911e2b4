import DispatcherCore
import PacketIO
import Testing

@testable import DispatcherService

struct HostCheckTests {
    private func host(_ change: (inout HostCheck) -> Void = { _ in }) -> HostCheck {
        var host = HostCheck(
            clientInterface: NetworkInterface(name: "fe0", mtu: 1_500, hardwareAddress: HardwareAddress(bits: 1)),
            serverInterface: NetworkInterface(name: "be0", mtu: 1_500, hardwareAddress: HardwareAddress(bits: 2)),
            kernelAddresses: [(IPAddress("10.77.1.1")!, "fe0")], forwards: false)
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

    @Test func forwardingIsWarnedOf() throws {
        let warnings = try judge(host { $0.forwards = true })
        #expect(warnings.count == 1 && warnings[0].contains("ip_forward"))
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

    @Test func forwardingOfIPv6IsWarnedOfWhereItMatters() throws {
        let forwarding = host { $0.forwardsIPv6 = true }
        #expect(try judge(forwarding) == [])
        let warnings = try forwarding.judge(TestConfigurations.read(Self.both))
        #expect(warnings.count == 1 && warnings[0].contains("net.ipv6.conf.all.forwarding"))
    }

    @Test func theKernelsAddressesOfBothFamiliesAreRead() throws {
        let configuration = try TestConfigurations.read(
            TestConfigurations.least.replacingOccurrences(of: "fe0", with: "lo").replacingOccurrences(of: "be0", with: "lo"))
        let found = try HostCheck.read(configuration).kernelAddresses
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
