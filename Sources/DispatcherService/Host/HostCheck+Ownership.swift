import DispatcherCore
import Glibc
import PacketIO

/// Whose addresses are whose (architecture.md, "Addresses").
extension HostCheck {
    /// net.ipv4.ip_local_port_range and net.ipv4.ip_local_reserved_ports.
    struct LocalPorts: Equatable {
        var range: ClosedRange<Int>
        var reserved: [ClosedRange<Int>] = []
    }

    /// The interface on which the kernel owns an address; nil = it does not.
    private func owner(of address: IPAddress) -> String? {
        kernelAddresses.first { $0.address == address }?.interface ?? (address.isLoopback ? Configuration.loopback : nil)
    }

    /// Addresses that the kernel owns although the configuration does not know, and the reverse.
    func ownershipFaults(_ configuration: Configuration) -> [String] {
        let owned = configuration.kernelServiceAddresses
        let ours =
            configuration.serviceAddresses.map { ("service", $0, owned.contains($0), "owned-by-kernel") }
            + configuration.sourceAddresses.map { ("source", $0, configuration.sourceIsKernels, "server-side.kernel-addresses") }
        return ours.compactMap { kind, address, isKernels, key in
            let owner = owner(of: address)
            if let owner, !isKernels {
                return
                    "the kernel owns the \(kind) address \(address) (on \(owner)) and would reset our connections; take it away: ip address del \(address)/LENGTH dev \(owner), or keep the kernel from it: \(key): true"
            }
            if owner == nil, isKernels {
                return
                    "\(key): no interface of this host has the \(kind) address \(address), so nobody would answer for it; ip address add \(address)/LENGTH dev INTERFACE, or leave \(key) out"
            }
            return nil
        }
            + configuration.serverEndpoints.compactMap { server in
                guard !serverInterface.isLoopback, let owner = owner(of: server.address) else { return nil }
                return
                    "pools[].servers[].address: \(server.address) is an address of this host (on \(owner)), whose servers are reached over \(Configuration.loopback); say server-side.interface: \(Configuration.loopback)"
            }
    }

    /// Over a loopback device this host talks to itself, so every address there is the kernel's.
    func loopbackFaults(_ side: String, _ interface: NetworkInterface, _ configuration: Configuration) -> [String] {
        if side == "client-side" {
            return configuration.ownServiceAddresses.map {
                "client-side.interface: \(interface.name) leads to this host itself, whose addresses are the kernel's; the service at \($0) must say owned-by-kernel: true"
            }
        }
        if !configuration.sourceIsKernels {
            return [
                "server-side.interface: \(interface.name) leads to this host itself, whose addresses are the kernel's; say kernel-addresses: true"
            ]
        }
        return configuration.serverEndpoints.compactMap { server in
            owner(of: server.address) == nil
                ? "pools[].servers[].address: \(server.address) is no address of this host, and \(interface.name) (server-side.interface) leads nowhere else"
                : nil
        }
    }

    /// The table's rules go by the interface that the kernel takes a packet in from; the captures by the one that it came to.
    func portFaults(_ configuration: Configuration) -> [String] {
        guard !guardRules(configuration).rules.isEmpty else { return [] }
        return [("client-side", clientInterface), ("server-side", serverInterface)].filter { ports.contains($1.name) }.map {
            "\($0).interface: \($1.name) is a port of a bridge or bond, so the kernel could not be kept from what comes in there; name the bridge or bond"
        }
    }

    /// A connection of this host to one of the servers must not have a port that is taken for ours: its segments would be kept from it.
    func portWarnings(_ configuration: Configuration) -> [String] {
        guard configuration.sourceIsKernels, let localPorts else { return [] }
        let ports = configuration.ports
        let common =
            max(
                ports.first, localPorts.range.lowerBound)...max(
                max(ports.first, localPorts.range.lowerBound), min(ports.last, localPorts.range.upperBound))
        guard ports.first <= localPorts.range.upperBound, localPorts.range.lowerBound <= ports.last,
            !common.allSatisfy({ port in localPorts.reserved.contains { $0.contains(port) } })
        else { return [] }
        return [
            "this host's own connections may get the ports \(common.lowerBound) to \(common.upperBound) (net.ipv4.ip_local_port_range), which the dispatcher uses too: one of them to a back-end server would hear nothing; reserve them: sysctl net.ipv4.ip_local_reserved_ports=\(ports.first)-\(ports.last), or move first-port and last-port"
        ]
    }

    static func readLocalPorts() -> LocalPorts? {
        let range = read("/proc/sys/net/ipv4/ip_local_port_range").split { $0 == " " || $0 == "\t" }.compactMap { Int($0) }
        guard range.count == 2, range[0] <= range[1] else { return nil }
        return LocalPorts(range: range[0]...range[1], reserved: ranges(read("/proc/sys/net/ipv4/ip_local_reserved_ports")))
    }

    /// Reads "8080,9000-9100".
    static func ranges(_ text: String) -> [ClosedRange<Int>] {
        text.split(separator: ",").compactMap { part in
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, first <= last else { return nil }
            return first...last
        }
    }

    private static func read(_ path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        var text = [UInt8](repeating: 0, count: 4_096)
        let count = fread(&text, 1, text.count, file)
        return String(decoding: text[..<count].filter { $0 != 0x0A }, as: UTF8.self)
    }
}
