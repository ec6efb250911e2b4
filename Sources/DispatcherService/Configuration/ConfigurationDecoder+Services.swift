import DispatcherCore

extension ConfigurationDecoder {
    /// After the pools, whose names the routes refer to.
    mutating func decodeServices(_ sections: [ConfigurationSection]) {
        var names: [String: Int] = [:]
        for section in sections {
            let name = name(section)
            if let first = names[name], !name.isEmpty {
                problems.report(section.line(of: "name"), "services: the name \(name) is taken already, in line \(first)")
            }
            names[name] = names[name] ?? section.line(of: "name")
            // The mode is checked by the table of keys; only l7/3 is built.
            _ = section.text("mode")
            var service = ServiceConfiguration(name: name, listen: listen(section), routes: routes(section))
            service.limits = limits(section.section("limits"))
            result.services.append(service)
        }
    }

    private func listen(_ section: ConfigurationSection) -> [Endpoint] {
        section.each("listen").compactMap { item in
            guard case .endpoint(let endpoint) = item.value else { return nil }
            requireUnicast(endpoint.address, item.line, "services[].listen")
            if endpoint.address.isLinkLocal {
                problems.report(
                    item.line, "services[].listen: \(endpoint.address) holds on one link only; name an address that clients can reach")
            }
            return endpoint
        }
    }

    private func routes(_ service: ConfigurationSection) -> [RouteConfiguration] {
        service.sections("routes").map { route in
            let prefix = route.optionalText("path-prefix") ?? ""
            if route.has("path-prefix") && !prefix.hasPrefix("/") {
                problems.report(route.line(of: "path-prefix"), "services[].routes[].path-prefix: \(prefix) does not begin with /")
            }
            let name = route.text("pool")
            let pool = result.pools.firstIndex { $0.name == name }
            if pool == nil && !name.isEmpty {
                problems.report(route.line(of: "pool"), "services[].routes[].pool: there is no pool named \(name)")
            }
            var result = RouteConfiguration(pathPrefix: Array(prefix.utf8), pool: pool ?? 0)
            result.upgradesToWebSocket = route.optionalText("upgrade") == "websocket"
            return result
        }
    }

    private func limits(_ section: ConfigurationSection) -> ServiceLimits {
        var limits = ServiceLimits()
        limits.head = section.number("head")
        limits.fields = section.number("fields")
        limits.responseHead = section.number("response-head")
        limits.body = section.number("body")
        limits.bodyBuffer = section.number("body-buffer")
        limits.headTime = positive(section, "head-time")
        limits.bodyRate = section.number("body-rate")
        limits.sendIdle = positive(section, "send-idle")
        limits.idle = positive(section, "idle")
        limits.tunnelIdle = positive(section, "tunnel-idle")
        limits.connections = section.number("connections")
        limits.perClientConnections = section.number("per-client-connections")
        limits.perClientNewConnections = section.number("per-client-new-connections")
        limits.perClientRequests = section.number("per-client-requests")
        if limits.perClientConnections > limits.connections {
            problems.report(
                section.line(of: "per-client-connections"),
                "\(section.path): per-client-connections \(limits.perClientConnections) is more than connections \(limits.connections)")
        }
        return limits
    }

    /// No address may have two meanings.
    mutating func checkAddresses(
        services: [ConfigurationSection], pools: [ConfigurationSection], clientSide: ConfigurationSection, serverSide: ConfigurationSection
    ) {
        var seen: [Endpoint: Int] = [:]
        for section in services {
            for item in section.each("listen") {
                guard case .endpoint(let endpoint) = item.value else { continue }
                if let first = seen[endpoint] {
                    problems.report(item.line, "services[].listen: \(endpoint) is listened at already, in line \(first)")
                }
                seen[endpoint] = seen[endpoint] ?? item.line
                if result.sourceAddresses.contains(endpoint.address) {
                    problems.report(
                        item.line,
                        "services[].listen: \(endpoint.address) is also a source address, in line \(serverSide.line(of: "source-addresses")); they must differ"
                    )
                }
            }
        }
        let ours = Set(seen.keys.map(\.address))
        for (path, side) in [("client-side", clientSide), ("server-side", serverSide)] {
            for item in side.each("gateway") {
                guard case .text(let text) = item.value, let gateway = IPAddress(text),
                    ours.contains(gateway) || result.sourceAddresses.contains(gateway)
                else { continue }
                problems.report(item.line, "\(path).gateway: \(gateway) is an address of the dispatcher itself")
            }
        }
        for pool in pools {
            for server in pool.sections("servers") {
                guard let endpoint = server.endpoint("address") else { continue }
                let line = server.line(of: "address")
                if ours.contains(endpoint.address) || result.sourceAddresses.contains(endpoint.address) {
                    problems.report(line, "pools[].servers[].address: \(endpoint.address) is an address of the dispatcher itself")
                } else if !result.sourceAddresses.isEmpty,
                    !result.sourceAddresses.contains(where: { $0.isIPv4 == endpoint.address.isIPv4 })
                {
                    problems.report(
                        line,
                        "pools[].servers[].address: \(endpoint.address) is of \(Self.family(endpoint.address)), but server-side.source-addresses, in line \(serverSide.line(of: "source-addresses")), has no address of that family"
                    )
                }
            }
        }
    }
}
