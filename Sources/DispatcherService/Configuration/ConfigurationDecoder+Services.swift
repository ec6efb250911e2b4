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
            var service = ServiceConfiguration(name: name, listen: listen(section), routes: routes(section))
            service.mode = section.choice("mode", ServiceConfiguration.Mode.self)
            service.limits = limits(section.section("limits"))
            service.isOwnedByKernel = section.flag("owned-by-kernel")
            if result.clientSide.interface == Configuration.loopback, !service.isOwnedByKernel {
                problems.report(
                    section.line(of: "listen"),
                    "services[].listen: every address that answers on \(Configuration.loopback) is the kernel's; say owned-by-kernel: true")
            }
            result.services.append(service)
        }
    }

    private func listen(_ section: ConfigurationSection) -> [Endpoint] {
        section.each("listen").compactMap { item in
            guard case .endpoint(let endpoint) = item.value else { return nil }
            requireUnicast(endpoint.address, item.line, "services[].listen", on: result.clientSide)
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
}
