import DispatcherCore

extension ConfigurationDecoder {
    /// After the sides, whose port plan bounds the limits.
    mutating func decodePools(_ sections: [ConfigurationSection]) {
        var names: [String: Int] = [:]
        var servers = 0
        for section in sections {
            let name = name(section)
            if let first = names[name], !name.isEmpty {
                problems.report(section.line(of: "name"), "pools: the name \(name) is taken already, in line \(first)")
            }
            names[name] = names[name] ?? section.line(of: "name")
            let pool = pool(name, section)
            servers += pool.servers.count
            result.pools.append(pool)
        }
        if servers > result.ports.servers, let first = sections.first {
            problems.report(
                first.line,
                "pools: there are \(servers) servers, but server-side.servers leaves ports for \(result.ports.servers); raise it")
        }
    }

    private func pool(_ name: String, _ section: ConfigurationSection) -> PoolConfiguration {
        let limit = section.section("limit")
        checkControl(limit)
        let usual = poolLimit(limit)
        var seen: [Endpoint: Int] = [:]
        var servers: [ServerConfiguration] = []
        for item in section.sections("servers") {
            guard let endpoint = item.endpoint("address") else { continue }
            let line = item.line(of: "address")
            requireUnicast(endpoint.address, line, "pools[].servers[].address", on: result.serverSide)
            if let first = seen[endpoint] {
                problems.report(line, "pools[].servers[].address: \(endpoint) is in this pool already, in line \(first)")
            }
            seen[endpoint] = seen[endpoint] ?? line
            servers.append(server(endpoint, item, usual))
        }

        var pool = PoolConfiguration(name: name, servers: servers)
        pool.open = section.choice("open", PoolConfiguration.Open.self)
        pool.queue = queue(section.section("queue"))
        pool.tunnels = tunnels(section.section("tunnels"))
        pool.retries = section.number("retries")
        let timeouts = section.section("timeouts")
        pool.connectTimeout = positive(timeouts, "connect")
        pool.responseTimeout = positive(timeouts, "response")
        checkBalance(section)
        return pool
    }

    private func checkBalance(_ section: ConfigurationSection) {
        let text = section.text("balance")
        guard text != "round-robin", !text.isEmpty else { return }
        let line = section.line(of: "balance")
        if ["least-connections", "hash: source", "hash: path"].contains(text) || text.hasPrefix("hash: header ") {
            problems.report(line, "not supported yet: pools[].balance (\(text))")
        } else {
            problems.report(
                line,
                "pools[].balance: \(text) is not one of round-robin, least-connections, \"hash: source\", \"hash: path\", \"hash: header NAME\""
            )
        }
    }

    // MARK: Limits

    private struct Bounds {
        var initial: Int
        var minimum: Int
        var maximum: Int
    }

    /// A default that the other values leave no room for gives way; what is written must fit.
    private func poolLimit(_ section: ConfigurationSection) -> Bounds {
        let maximum = section.has("maximum") ? section.number("maximum") : min(section.number("maximum"), result.ports.connections)
        let minimum = section.has("minimum") ? section.number("minimum") : min(section.number("minimum"), maximum)
        let initial = section.has("initial") ? section.number("initial") : max(minimum, min(section.number("initial"), maximum))
        let bounds = Bounds(initial: initial, minimum: minimum, maximum: maximum)
        check(bounds, section)
        return bounds
    }

    private func server(_ endpoint: Endpoint, _ section: ConfigurationSection, _ usual: Bounds) -> ServerConfiguration {
        var server = ServerConfiguration(endpoint: endpoint)
        server.maximumLimit = section.number("maximum", otherwise: usual.maximum)
        server.minimumLimit = section.number("minimum", otherwise: min(usual.minimum, server.maximumLimit))
        server.initialLimit = section.number(
            "initial", otherwise: max(server.minimumLimit, min(usual.initial, server.maximumLimit)))
        if section.has("initial") || section.has("minimum") || section.has("maximum") {
            check(Bounds(initial: server.initialLimit, minimum: server.minimumLimit, maximum: server.maximumLimit), section)
        }
        return server
    }

    private func check(_ bounds: Bounds, _ section: ConfigurationSection) {
        let path = section.path
        if bounds.minimum > bounds.maximum {
            problems.report(section.line(of: "minimum"), "\(path): minimum \(bounds.minimum) is more than maximum \(bounds.maximum)")
        } else if bounds.initial < bounds.minimum || bounds.initial > bounds.maximum {
            problems.report(
                section.line(of: "initial"),
                "\(path): initial \(bounds.initial) is not between minimum \(bounds.minimum) and maximum \(bounds.maximum)")
        }
        if bounds.maximum > result.ports.connections {
            problems.report(
                section.line(of: "maximum"),
                "\(path): maximum \(bounds.maximum) is more than server-side.connections-per-server (\(result.ports.connections))")
        }
    }

    private func tunnels(_ section: ConfigurationSection) -> Int {
        checkControl(section)
        let ports = result.ports.tunnelPorts
        let maximum = section.has("maximum") ? section.number("maximum") : min(section.number("maximum"), ports)
        let initial = section.has("initial") ? section.number("initial") : min(section.number("initial"), maximum)
        if section.has("initial"), section.has("maximum") || initial <= ports, initial > maximum {
            problems.report(section.line(of: "initial"), "\(section.path): initial \(initial) is more than maximum \(maximum)")
        }
        if result.ports.fits, max(initial, maximum) > ports {
            problems.report(
                section.line(of: initial > ports ? "initial" : "maximum"),
                "\(section.path): \(max(initial, maximum)) tunnels do not fit the \(ports) ports of the tunnel range (server-side: from \(result.ports.firstTunnelPort) to \(result.ports.last))"
            )
        }
        return initial
    }

    // MARK: Queue

    private func queue(_ section: ConfigurationSection) -> QueueConfiguration {
        var queue = QueueConfiguration()
        queue.capacity = section.number("capacity")
        queue.memory = section.number("memory")
        queue.refuseAbove = section.number("refuse-above", otherwise: max(1, queue.capacity / 2))
        queue.resumeBelow = section.number("resume-below", otherwise: max(1, queue.refuseAbove * 4 / 5))
        queue.wait = section.interval("wait")
        queue.perClient = section.number("per-client")
        if queue.perClient == 0, section.has("per-client") {
            problems.report(section.line(of: "per-client"), "\(section.path).per-client: 0% leaves no room; it must be more")
        }
        if queue.refuseAbove > queue.capacity {
            problems.report(
                section.line(of: "refuse-above"),
                "\(section.path): refuse-above \(queue.refuseAbove) is more than capacity \(queue.capacity)")
        }
        if queue.resumeBelow > queue.refuseAbove {
            problems.report(
                section.line(of: "resume-below"),
                "\(section.path): resume-below \(queue.resumeBelow) is more than refuse-above \(queue.refuseAbove)")
        }
        return queue
    }
}
