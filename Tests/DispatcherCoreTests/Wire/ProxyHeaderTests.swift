import Testing

@testable import DispatcherCore

@Suite("PROXY protocol, version 2")
struct ProxyHeaderTests {
    private func header(_ client: String, _ service: String) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: ProxyHeader.capacity)
        let length = bytes.withUnsafeMutableBytes {
            ProxyHeader.write(
                client: Endpoint(address: IPAddress(client)!, port: 0x1234), service: Endpoint(address: IPAddress(service)!, port: 80),
                into: $0)
        }
        return Array(bytes[..<length])
    }

    private let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    @Test("IPv4: signature, version and command, family, length, addresses, ports")
    func ipv4() {
        #expect(
            header("10.77.1.11", "10.77.1.100")
                == signature + [0x21, 0x11, 0, 12, 10, 77, 1, 11, 10, 77, 1, 100, 0x12, 0x34, 0, 80])
    }

    @Test("IPv6")
    func ipv6() {
        let client: [UInt8] = [0xFD, 0x77, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x11]
        let service: [UInt8] = [0xFD, 0x77, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
        #expect(header("fd77:1::11", "fd77:1::100") == signature + [0x21, 0x21, 0, 36] + client + service + [0x12, 0x34, 0, 80])
    }
}
