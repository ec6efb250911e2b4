import DispatcherCore

/// No address may have two meanings.
extension ConfigurationDecoder {
    mutating func checkAddresses(
        services: [ConfigurationSection], pools: [ConfigurationSection], clientSide: ConfigurationSection, serverSide: ConfigurationSection
    ) {
        var seen: [Endpoint: Int] = [:]
        for section in services {
            let isOwned = section.flag("owned-by-kernel")
            for item in section.each("listen") {
                guard case .endpoint(let endpoint) = item.value else { continue }
                if let first = seen[endpoint] {
                    problems.report(item.line, "services[].listen: \(endpoint) is listened at already, in line \(first)")
                }
                seen[endpoint] = seen[endpoint] ?? item.line
                checkOwner(of: endpoint.address, isOwned, item.line)
                if endpoint.address == result.sourceAddress { checkShared(endpoint, isOwned, item.line, serverSide) }
            }
        }
        let ours = Set(seen.keys.map(\.address))
        for (path, side) in [("client-side", clientSide), ("server-side", serverSide)] {
            guard let gateway = IPAddress(side.text("gateway")), ours.contains(gateway) || gateway == result.sourceAddress else { continue }
            problems.report(side.line(of: "gateway"), "\(path).gateway: \(gateway) is an address of the dispatcher itself")
        }
        for pool in pools {
            for server in pool.sections("servers") {
                guard let endpoint = server.endpoint("address"),
                    let fault = fault(of: endpoint, listened: seen[endpoint] != nil, isOurs: ours.contains(endpoint.address))
                else { continue }
                problems.report(server.line(of: "address"), "pools[].servers[].address: \(fault)")
            }
        }
    }

    /// An address is the kernel's for all of its services or for none.
    private func checkOwner(of address: IPAddress, _ isOwned: Bool, _ line: Int) {
        // Said where the service stands that does not know.
        guard !isOwned, let other = result.services.first(where: { $0.isOwnedByKernel && $0.listen.contains { $0.address == address } })
        else { return }
        problems.report(
            line, "services[].listen: the service \(other.name) says that the kernel owns \(address); say owned-by-kernel: true")
    }

    /// A service at the source address: only on a host with a single address, where the ports tell what is whose.
    private func checkShared(_ endpoint: Endpoint, _ isOwned: Bool, _ line: Int, _ serverSide: ConfigurationSection) {
        guard isOwned, result.sourceIsKernels else {
            return problems.report(
                line,
                "services[].listen: \(endpoint.address) is also a source address, in line \(serverSide.line(of: "source-addresses")); they must differ, unless the kernel owns the address and both say so (owned-by-kernel, kernel-addresses)"
            )
        }
        if isOwnPort(endpoint.port) {
            problems.report(
                line,
                "services[].listen: \(endpoint) is also a source address, whose ports \(result.ports.first) to \(result.ports.last) are taken; move first-port or last-port"
            )
        }
    }

    private func isOwnPort(_ port: UInt16) -> Bool { result.ports.first <= Int(port) && Int(port) <= result.ports.last }

    /// What is wrong with a server at an address of the dispatcher. Servers on its own host are reached over the loopback device.
    private func fault(of server: Endpoint, listened: Bool, isOurs: Bool) -> String? {
        guard isOurs || server.address == result.sourceAddress else { return nil }
        let isKernels =
            server.address == result.sourceAddress
            ? result.sourceIsKernels
            : result.services.contains { $0.isOwnedByKernel && $0.listen.contains { $0.address == server.address } }
        guard isKernels, !listened else { return "\(server.address) is an address of the dispatcher itself" }
        guard result.serverSide.interface == Configuration.loopback else {
            return
                "\(server.address) is an address of this host, whose servers are reached over \(Configuration.loopback); say server-side.interface: \(Configuration.loopback)"
        }
        guard server.address != result.sourceAddress || !isOwnPort(server.port) else {
            return
                "\(server) is also a source address, whose ports \(result.ports.first) to \(result.ports.last) are taken; move first-port or last-port"
        }
        return nil
    }
}
