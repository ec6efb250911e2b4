import DispatcherCore
import Glibc
import PacketIO

/// What must hold on the host before the dispatcher may take over addresses (architecture.md, "Addresses").
struct HostCheck {
    var clientInterface: NetworkInterface
    var serverInterface: NetworkInterface
    /// Addresses that the kernel owns, with the interface that has them.
    var kernelAddresses: [(address: IPAddress, interface: String)]
    var forwards: Forwarding
    /// The ports that the kernel gives to connections of this host by itself; nil = it does not say.
    var localPorts: LocalPorts?
    /// Interfaces that are ports of a bridge or bond: the kernel takes their packets in under its name.
    var ports: [String] = []

    /// Whether the kernel passes packets of a family on.
    struct Forwarding: Equatable {
        var v4 = false
        var v6 = false
    }

    /// The least that a link of IPv6 must take, bytes (RFC 8200 section 5).
    static let leastMTUOfIPv6 = 1_280

    /// - Throws: `ServiceError` when an interface does not exist.
    static func read(_ configuration: Configuration) throws(ServiceError) -> HostCheck {
        HostCheck(
            clientInterface: try interface(configuration.clientSide.interface, "client-side"),
            serverInterface: try interface(configuration.serverSide.interface, "server-side"), kernelAddresses: readAddresses(),
            forwards: Forwarding(v4: isOne("net/ipv4/ip_forward"), v6: isOne("net/ipv6/conf/all/forwarding")),
            localPorts: readLocalPorts(),
            ports: [configuration.clientSide.interface, configuration.serverSide.interface].filter(isPort))
    }

    private static func interface(_ name: String, _ side: String) throws(ServiceError) -> NetworkInterface {
        do throws(CaptureError) {
            return try NetworkInterface(named: name)
        } catch {
            throw ServiceError(.failed, "\(side).interface: \(error)")
        }
    }

    /// What the kernel must be kept from; no rules: nothing.
    func guardRules(_ configuration: Configuration) -> GuardRules { GuardRules(configuration, forwards: forwards) }

    /// - Returns: warnings.
    /// - Throws: `ServiceError` with everything that forbids the start.
    func judge(_ configuration: Configuration) throws(ServiceError) -> [String] {
        var faults: [String] = []
        for (side, interface) in [("client-side", clientInterface), ("server-side", serverInterface)] {
            if !interface.isUp { faults.append("\(side).interface: \(interface.name) is down; ip link set \(interface.name) up") }
            if interface.isLoopback { faults += loopbackFaults(side, interface, configuration) }
            if !interface.isEthernet {
                faults.append(
                    "\(side).interface: \(interface.name) is not an Ethernet device; name an Ethernet, veth, bridge or VLAN interface")
            }
        }
        faults += transmitFaults(configuration)
        faults += ownershipFaults(configuration) + portFaults(configuration) + mtuFaults(configuration)
        guard faults.isEmpty else { throw ServiceError(.failed, faults.joined(separator: "\n")) }
        return portWarnings(configuration)
    }

    /// Links that are too narrow for IPv6, where there is an address of it.
    private func mtuFaults(_ configuration: Configuration) -> [String] {
        let sides = [
            ("client-side", clientInterface, configuration.serviceAddresses),
            ("server-side", serverInterface, configuration.sourceAddresses),
        ]
        return sides.filter { $0.1.mtu < Self.leastMTUOfIPv6 && $0.2.contains { !$0.isIPv4 } }.map { side, interface, _ in
            "\(side).interface: \(interface.name) has an MTU of \(interface.mtu), but IPv6 needs \(Self.leastMTUOfIPv6) (RFC 8200 section 5); ip link set \(interface.name) mtu 1500, or leave IPv6 out"
        }
    }

    /// What frames cannot be sent on, and what only they can do.
    private func transmitFaults(_ configuration: Configuration) -> [String] {
        let sides = [
            ("client-side", clientInterface, configuration.clientSide), ("server-side", serverInterface, configuration.serverSide),
        ]
        if configuration.transmit == .packet {
            return sides.filter { $0.1.isEthernet && !$0.1.hasNeighbours }.map { side, interface, _ in
                "transmit: packet needs devices whose hosts answer ARP; \(interface.name) (\(side).interface) is none: say transmit: raw or auto"
            }
        }
        guard !configuration.sendsFrames(client: clientInterface, server: serverInterface) else { return [] }
        return sides.filter { !$0.2.gateways.isEmpty }.map { side, _, _ in
            "\(side).gateway: hosts on \(clientInterface.name) or \(serverInterface.name) do not answer ARP, so the kernel finds the next hops; leave the gateway out"
        }
    }

    static func readAddresses() -> [(address: IPAddress, interface: String)] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var found: [(address: IPAddress, interface: String)] = []
        var next = list
        while let entry = next {
            if let address = entry.pointee.ifa_addr.flatMap(readAddress) {
                found.append((address, String(cString: entry.pointee.ifa_name)))
            }
            next = entry.pointee.ifa_next
        }
        return found
    }

    private static func readAddress(_ address: UnsafeMutablePointer<sockaddr>) -> IPAddress? {
        let bytes = UnsafeRawPointer(address)
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            let offset = MemoryLayout<sockaddr_in>.offset(of: \.sin_addr)!
            return IPAddress(v4: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
        case AF_INET6:
            let offset = MemoryLayout<sockaddr_in6>.offset(of: \.sin6_addr)!
            return IPAddress(
                high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)))
        default: return nil
        }
    }

    private static func isPort(_ interface: String) -> Bool {
        ["brport", "bonding_slave"].contains { access("/sys/class/net/\(interface)/\($0)", F_OK) == 0 }
    }

    private static func isOne(_ setting: String) -> Bool {
        guard let file = fopen("/proc/sys/\(setting)", "r") else { return false }
        defer { fclose(file) }
        return fgetc(file) == 0x31
    }
}
