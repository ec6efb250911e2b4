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

    @Test func namesTheSideOfAnInterfaceThatDoesNotExist() throws {
        let configuration = try TestConfigurations.read(TestConfigurations.least.replacingOccurrences(of: "fe0", with: "sluice-none"))
        let error = #expect(throws: ServiceError.self) { _ = try HostCheck.read(configuration) }
        #expect(error?.description == "client-side.interface: the interface sluice-none does not exist")
    }
}
