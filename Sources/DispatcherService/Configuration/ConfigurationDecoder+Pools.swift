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
            // A forwarded connection has a port of the tunnel range.
            // Health checks of servers in mode l4/3 are made as for the others.
            if !forwardedPools.contains(name) || pool.health != nil { servers += pool.servers.count }
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
        let most = mostConnections(name)
        let usual = poolLimit(limit, most)
        var seen: [Endpoint: Int] = [:]
        var servers: [ServerConfiguration] = []
        for item in section.sections("servers") {
            guard let endpoint = item.endpoint("address") else { continue }
            let line = item.line(of: "address")
            requireUnicast(endpoint.address, line, "pools[].servers[].address", on: result.serverSide)
            if endpoint.address.isLinkLocal {
                problems.report(
                    line, "pools[].servers[].address: \(endpoint.address) holds on one link only; name an address that is routed")
            }
            if let first = seen[endpoint] {
                problems.report(line, "pools[].servers[].address: \(endpoint) is in this pool already, in line \(first)")
            }
            seen[endpoint] = seen[endpoint] ?? line
            servers.append(server(endpoint, item, usual, most))
        }

        var pool = PoolConfiguration(name: name, servers: servers)
        pool.control = control(limit)
        pool.balance = balance(section)
        pool.ejection = ejection(section)
        pool.slowStart = section.interval("slow-start")
        pool.usesProxyProtocol = section.text("proxy-protocol") == "v2"
        pool.open = section.choice("open", PoolConfiguration.Open.self)
        pool.queue = queue(section.section("queue"), isForwarded: forwardedPools.contains(name))
        pool.l4 = l4(section.section("l4"), isForwarded: forwardedPools.contains(name))
        let tunnels = section.section("tunnels")
        pool.tunnels = self.tunnels(tunnels)
        pool.mostTunnels = tunnels.has("maximum") ? tunnels.number("maximum") : pool.tunnels
        pool.tunnelControl = control(tunnels, isTunnels: true)
        pool.health = health(section)
        for (control, owner) in [(pool.control, limit), (pool.tunnelControl, tunnels)]
        where control.metric == .reported && pool.health?.reportHeader.isEmpty ?? true {
            problems.report(
                owner.line(of: "control"),
                "\(owner.path).control: what a server reports comes with its health answer; name health.report-header")
        }
        if forwardedPools.contains(name) { refuseForForwarding(section, pool) }
        pool.retries = section.number("retries")
        let timeouts = section.section("timeouts")
        pool.connectTimeout = positive(timeouts, "connect")
        pool.responseTimeout = positive(timeouts, "response")
        if !servers.isEmpty, servers.allSatisfy(\.isBackup) {
            problems.report(section.line(of: "servers"), "pools[].servers: all are backup servers; there is nothing that they stand in for")
        }
        return pool
    }

    private func balance(_ section: ConfigurationSection) -> Balance {
        let text = section.text("balance")
        switch text {
        case "round-robin", "": return .roundRobin
        case "least-connections": return .leastConnections
        case "hash: source": return .hashOfSource
        case "hash: path": return .hashOfPath
        default: break
        }
        let prefix = "hash: header "
        if text.hasPrefix(prefix) {
            let name = Array(text.dropFirst(prefix.count).utf8)
            if Self.isToken(name) { return .hashOfHeader(name) }
        }
        problems.report(
            section.line(of: "balance"),
            "pools[].balance: \(text) is not one of round-robin, least-connections, \"hash: source\", \"hash: path\", \"hash: header NAME\""
        )
        return .roundRobin
    }

    /// Off unless the section is there.
    private func health(_ pool: ConfigurationSection) -> HealthConfiguration? {
        guard pool.has("health") else { return nil }
        let section = pool.section("health")
        var health = HealthConfiguration()
        let path = section.optionalText("path")
        if let path {
            health.path = Array(path.utf8)
            let target = path.utf8.allSatisfy { (33...126).contains($0) && $0 != UInt8(ascii: "#") }
            if !path.hasPrefix("/") || !target {
                problems.report(section.line(of: "path"), "\(section.path).path: \(path) is not a path; it begins with / and has no space")
            }
        }
        if section.flag("tcp") == (path != nil) {
            problems.report(section.line, "\(section.path): it needs a path, or tcp: true, and not both")
        }
        health.every = positive(section, "every")
        health.timeout = positive(section, "timeout")
        health.rise = section.number("rise")
        health.fall = section.number("fall")
        health.reportHeader = Array((section.optionalText("report-header") ?? "").utf8)
        if section.has("report-header"), path == nil || !Self.isToken(health.reportHeader) {
            problems.report(
                section.line(of: "report-header"), "\(section.path).report-header: it is the name of a field in the answer to health.path")
        }
        var expected: [UInt16] = []
        for item in section.each("expect") {
            guard case .text(let text) = item.value else { continue }
            guard let status = UInt16(text), (200...599).contains(status) else {
                problems.report(item.line, "\(section.path).expect: \(text) is not a status from 200 to 599")
                continue
            }
            expected.append(status)
        }
        if !expected.isEmpty { health.expect = expected }
        return health
    }

    /// A method or the name of a field (RFC 9110 5.6.2).
    static func isToken(_ bytes: [UInt8]) -> Bool {
        !bytes.isEmpty
            && bytes.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
    }

    /// Off unless the section is there.
    private func ejection(_ pool: ConfigurationSection) -> EjectionConfiguration {
        var ejection = EjectionConfiguration()
        guard pool.has("ejection") else { return ejection }
        let section = pool.section("ejection")
        ejection.failures = section.number("failures")
        ejection.time = positive(section, "time")
        return ejection
    }

    // MARK: Limits

    private struct Bounds {
        var initial: Int
        var minimum: Int
        var maximum: Int
    }

    /// What a server of a pool may ever have, and what says so.
    private typealias Most = (connections: Int, reason: String)

    private func mostConnections(_ pool: String) -> Most {
        let ports = result.ports
        guard forwardedPools.contains(pool) else {
            return (ports.connections, "server-side.connections-per-server (\(ports.connections))")
        }
        return (
            ports.fits ? ports.forwardedPorts : .max,
            "the \(ports.forwardedPorts) ports for mode l4/3 (server-side: from \(ports.firstForwardedPort) to \(ports.last))"
        )
    }

    /// A default that the other values leave no room for gives way; what is written must fit.
    private func poolLimit(_ section: ConfigurationSection, _ most: Most) -> Bounds {
        let maximum = section.has("maximum") ? section.number("maximum") : min(section.number("maximum"), most.connections)
        let minimum = section.has("minimum") ? section.number("minimum") : min(section.number("minimum"), maximum)
        let initial = section.has("initial") ? section.number("initial") : max(minimum, min(section.number("initial"), maximum))
        let bounds = Bounds(initial: initial, minimum: minimum, maximum: maximum)
        check(bounds, section, most)
        return bounds
    }

    private func server(_ endpoint: Endpoint, _ section: ConfigurationSection, _ usual: Bounds, _ most: Most) -> ServerConfiguration {
        var server = ServerConfiguration(endpoint: endpoint)
        server.maximumLimit = section.number("maximum", otherwise: usual.maximum)
        server.minimumLimit = section.number("minimum", otherwise: min(usual.minimum, server.maximumLimit))
        server.initialLimit = section.number(
            "initial", otherwise: max(server.minimumLimit, min(usual.initial, server.maximumLimit)))
        server.weight = section.number("weight")
        server.isBackup = section.flag("backup")
        if section.has("capacity") {
            let capacity = section.number("capacity")
            server.capacity = capacity
            if capacity <= max(1, server.minimumLimit) {
                problems.report(
                    section.line(of: "capacity"),
                    "\(section.path): the limit stays below capacity \(capacity), which leaves no room above minimum \(server.minimumLimit)"
                )
            }
        }
        if section.has("initial") || section.has("minimum") || section.has("maximum") {
            check(Bounds(initial: server.initialLimit, minimum: server.minimumLimit, maximum: server.maximumLimit), section, most)
        }
        return server
    }

    private func check(_ bounds: Bounds, _ section: ConfigurationSection, _ most: Most) {
        let path = section.path
        if bounds.minimum > bounds.maximum {
            problems.report(section.line(of: "minimum"), "\(path): minimum \(bounds.minimum) is more than maximum \(bounds.maximum)")
        } else if bounds.initial < bounds.minimum || bounds.initial > bounds.maximum {
            problems.report(
                section.line(of: "initial"),
                "\(path): initial \(bounds.initial) is not between minimum \(bounds.minimum) and maximum \(bounds.maximum)")
        }
        if bounds.maximum > most.connections {
            problems.report(section.line(of: "maximum"), "\(path): maximum \(bounds.maximum) is more than \(most.reason)")
        }
    }

    private func tunnels(_ section: ConfigurationSection) -> Int {
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

    /// How long a stored SYN waits unless the file says otherwise: a kernel repeats it after 1, 3 and 7 s.
    private static let usualWaitOfSYNs = Interval.seconds(10)

    private func queue(_ section: ConfigurationSection, isForwarded: Bool) -> QueueConfiguration {
        var queue = QueueConfiguration()
        queue.capacity = section.number("capacity")
        queue.memory = section.number("memory")
        queue.refuseAbove = section.number("refuse-above", otherwise: max(1, queue.capacity / 2))
        queue.resumeBelow = section.number("resume-below", otherwise: max(1, queue.refuseAbove * 4 / 5))
        queue.wait = isForwarded && !section.has("wait") ? Self.usualWaitOfSYNs : section.interval("wait")
        queue.refuseWith = section.choice("refuse-with", QueueConfiguration.RefuseWith.self)
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

    // MARK: Mode l4/3

    /// What mode l4/3 cannot have is refused, not passed over: nobody looks into its connections.
    private func refuseForForwarding(_ section: ConfigurationSection, _ pool: PoolConfiguration) {
        switch pool.balance {
        case .roundRobin, .leastConnections, .hashOfSource: break
        case .hashOfPath, .hashOfHeader:
            problems.report(
                section.line(of: "balance"),
                "\(section.path).balance: mode l4/3 sees no requests; it has round-robin, least-connections and \"hash: source\"")
        }
        if pool.usesProxyProtocol {
            problems.report(
                section.line(of: "proxy-protocol"),
                "\(section.path).proxy-protocol: mode l4/3 adds nothing to a connection; with l4: { source: keep } servers see their clients"
            )
        }
        let queue = section.section("queue")
        if pool.queue.refuseWith != .reset {
            problems.report(queue.line(of: "refuse-with"), "\(queue.path).refuse-with: a SYN in mode l4/3 can only be reset")
        }
    }

    private func l4(_ section: ConfigurationSection, isForwarded: Bool) -> L4Settings {
        var l4 = L4Settings()
        l4.cookie = section.flag("cookie")
        l4.source = section.choice("source", L4Settings.Source.self)
        l4.idle = positive(section, "idle")
        if !isForwarded, l4 != L4Settings() {
            problems.report(section.line, "\(section.path): no service in mode l4/3 sends to this pool; leave it out")
        }
        return l4
    }

    /// What mode l4/3 asks of services, pools and servers (docs/configuration.md, "What must fit together").
    func checkModes(services: [ConfigurationSection], pools: [ConfigurationSection]) {
        var requested: Set<String> = []
        for section in services where section.text("mode") != ServiceConfiguration.Mode.l43.rawValue {
            requested.formUnion(section.sections("routes").map { $0.text("pool") })
        }
        for (section, service) in zip(services, result.services) where service.mode == .l43 {
            let routes = section.sections("routes")
            if routes.count > 1 {
                problems.report(
                    routes[1].line, "services[].routes: a service in mode l4/3 has one route: nobody looks into its connections")
            }
            for route in routes {
                if ["path-prefix", "host", "method", "header", "upgrade"].contains(where: route.has) {
                    problems.report(
                        route.line, "services[].routes[]: in mode l4/3 a route has no condition: nobody looks into a connection")
                }
                let name = route.text("pool")
                if requested.contains(name) {
                    problems.report(
                        route.line(of: "pool"),
                        "services[].routes[].pool: services in mode l7/3 send to \(name) as well; a pool serves one mode, name a second one"
                    )
                }
            }
            checkFamilies(section, service)
        }
        checkServersOfOneMode(pools)
        checkPortsOfShards(services)
    }

    /// Every shard needs a port of its own toward the servers of mode l4/3, and the one that checks them another.
    private func checkPortsOfShards(_ sections: [ConfigurationSection]) {
        let ports = result.ports
        guard ports.fits, result.shards > 1, let first = zip(sections, result.services).first(where: { $0.1.mode == .l43 }) else { return }
        let pools = result.pools.filter { forwardedPools.contains($0.name) }
        let rewrites = pools.contains { $0.l4.source == .rewrite }
        let checks = pools.contains { $0.health != nil }
        guard rewrites && ports.forwardedPorts < result.shards || checks && ports.checkPorts < result.shards else { return }
        problems.report(
            first.0.line(of: "mode"),
            "services[].mode: of the \(ports.tunnelPorts) ports from \(ports.firstTunnelPort) to \(ports.last) not each of \(result.shards) shards has one for mode l4/3 and its health checks; lower shards, or leave more ports above the pooled ones"
        )
    }

    /// Where the client's address is kept it is what the server sees: both are of one family.
    private func checkFamilies(_ section: ConfigurationSection, _ service: ServiceConfiguration) {
        guard let route = service.routes.first, result.pools.indices.contains(route.pool), result.pools[route.pool].l4.source == .keep
        else { return }
        let pool = result.pools[route.pool]
        let families = Set(service.listen.map(\.address.isIPv4) + pool.servers.map(\.endpoint.address.isIPv4))
        if families.count > 1 {
            problems.report(
                section.line(of: "listen"),
                "services[].listen: \(pool.name) keeps the client's address (l4.source: keep), so all of its addresses and servers must be of one family"
            )
        }
    }

    /// What a server sends is told apart by its address and port: they are of one mode.
    private func checkServersOfOneMode(_ sections: [ConfigurationSection]) {
        var requested: [Endpoint: String] = [:]
        for pool in result.pools where !forwardedPools.contains(pool.name) {
            for server in pool.servers { requested[server.endpoint] = pool.name }
        }
        for (section, pool) in zip(sections, result.pools) where forwardedPools.contains(pool.name) {
            for item in section.sections("servers") {
                guard let endpoint = item.endpoint("address"), let other = requested[endpoint] else { continue }
                problems.report(
                    item.line(of: "address"),
                    "pools[].servers[].address: \(endpoint) is a server of \(other) too, which is not of mode l4/3; an address and port serves one mode"
                )
            }
        }
    }
}
