import DispatcherCore

/// Why a configuration cannot take over from the one that runs, by the keys that only a restart changes.
struct ReloadRefusal: Error, Equatable {
    var reasons: [String]

    init(_ reasons: [String]) { self.reasons = reasons }
}

extension Configuration {
    /// Keys that only a restart changes, with their values as they are shown.
    private static let settled: [(key: String, value: @Sendable (Configuration) -> String)] = [
        ("user", { $0.user }),
        ("admin.listen", { "\($0.adminListen)" }),
        ("transmit", { $0.transmit.rawValue }),
        ("shards", { "\($0.shards)" }),
        ("client-side.interface", { $0.clientSide.interface }),
        ("client-side.capture-memory", { "\($0.clientSide.captureMemory)" }),
        ("client-side.gateway", { shown($0.clientSide.gateways) }),
        ("client-side.reply-to", { $0.replyTo.rawValue }),
        ("server-side.interface", { $0.serverSide.interface }),
        ("server-side.capture-memory", { "\($0.serverSide.captureMemory)" }),
        ("server-side.gateway", { shown($0.serverSide.gateways) }),
        ("server-side.source-addresses", { shown($0.sourceAddresses) }),
        ("server-side.kernel-addresses", { "\($0.sourceIsKernels)" }),
        ("server-side.first-port", { "\($0.ports.first)" }),
        ("server-side.last-port", { "\($0.ports.last)" }),
        ("server-side.layers", { "\($0.ports.layers)" }),
        ("server-side.servers", { "\($0.ports.servers)" }),
        ("server-side.connections-per-server", { "\($0.ports.connections)" }),
        ("tcp.acknowledge", { $0.tcp.acknowledge.rawValue }),
        ("tcp.options", { $0.tcp.options.rawValue }),
        ("tcp.initial-window", { $0.tcp.initialWindow.rawValue }),
        ("tcp.time-wait", { shown($0.tcp.timeWait) }),
        ("tcp.server-time-wait", { shown($0.tcp.serverTimeWait) }),
        ("tcp.server-mss", { $0.tcp.serverMSS.map(String.init) ?? "auto" }),
        ("tcp.tail-custody", { "\($0.tcp.tailCustody)" }),
        ("tcp.staging-memory", { "\($0.tcp.stagingMemory)" }),
    ]

    private static func shown(_ addresses: [IPAddress]) -> String {
        addresses.isEmpty ? "auto" : addresses.map(\.description).joined(separator: ", ")
    }

    private static func shown(_ interval: Interval) -> String { "\(interval.milliseconds)ms" }

    /// This one as the successor of one that runs: services in the order in which they were, pools at the places that they had. Pools that
    /// are there no longer are retired: they keep their place and their servers until nothing waits for them.
    /// - Parameter first: the one that the dispatcher was started with: what was set up then bounds what can come later.
    /// - Throws: `ReloadRefusal` with every key that only a restart changes.
    func succeeding(_ running: Configuration, startedWith first: Configuration) throws(ReloadRefusal) -> Configuration {
        var reasons = Self.settled.filter { $0.value(self) != $0.value(running) }.map {
            "\($0.key) (\($0.value(running)) now, \($0.value(self)) in the file)"
        }
        reasons += serviceReasons(running, first) + serverReasons(first)
        let (merged, modeReasons) = mergingPools(of: running)
        reasons += modeReasons
        guard reasons.isEmpty else { throw ReloadRefusal(reasons) }
        var result = merged
        result.services = running.services.compactMap { old in merged.services.first { $0.name == old.name } }
        return result
    }

    /// Addresses are answered for, filters and tables are laid out once.
    private func serviceReasons(_ running: Configuration, _ first: Configuration) -> [String] {
        var reasons: [String] = []
        for service in services {
            guard let old = running.services.first(where: { $0.name == service.name }) else {
                reasons.append("services: \(service.name) is new")
                continue
            }
            if service.listen != old.listen { reasons.append("services[].listen of \(service.name)") }
            if service.mode != old.mode {
                reasons.append("services[].mode of \(service.name) (\(old.mode.rawValue) now, \(service.mode.rawValue) in the file)")
            }
            if service.isOwnedByKernel != old.isOwnedByKernel { reasons.append("services[].owned-by-kernel of \(service.name)") }
            let most = first.services.first { $0.name == service.name }?.limits.connections ?? 0
            if service.limits.connections > most {
                reasons.append(
                    "services[].limits.connections of \(service.name) (\(most) at the start, \(service.limits.connections) in the file)")
            }
        }
        for old in running.services where !services.contains(where: { $0.name == old.name }) {
            reasons.append("services: \(old.name) is missing")
        }
        return reasons
    }

    /// Servers that the rules which keep the kernel away, or the filter of the capture, would have to name.
    private func serverReasons(_ first: Configuration) -> [String] {
        var reasons: [String] = []
        if sourceIsKernels {
            for server in serverEndpoints where !first.serverEndpoints.contains(server) {
                reasons.append("pools[].servers: \(server) is new, and with server-side.kernel-addresses nftables must know it")
            }
        }
        for server in keptServers where !first.keptServers.contains(server) {
            reasons.append("pools[].servers: \(server) is new, and with l4.source: keep the capture filter must know it")
        }
        return reasons
    }

    private func mergingPools(of running: Configuration) -> (Configuration, [String]) {
        var result = self
        var reasons: [String] = []
        var merged: [PoolConfiguration] = []
        for (index, old) in running.pools.enumerated() {
            let mode = running.mode(ofPool: index)
            guard let place = pools.firstIndex(where: { $0.name == old.name }) else {
                var retired = old
                retired.retired = mode
                merged.append(retired)
                continue
            }
            let wanted = self.mode(ofPool: place)
            if wanted != mode {
                reasons.append(
                    "pools: \(old.name) is used in mode \(mode.rawValue) now, and in mode \(wanted.rawValue) in the file; give it another name"
                )
            }
            merged.append(pools[place])
        }
        merged += pools.filter { pool in !running.pools.contains { $0.name == pool.name } }
        result.pools = merged
        for service in result.services.indices {
            for route in result.services[service].routes.indices {
                let name = pools[result.services[service].routes[route].pool].name
                result.services[service].routes[route].pool = merged.firstIndex { $0.name == name }!
            }
        }
        return (result, reasons)
    }

    private func mode(ofPool pool: Int) -> ServiceConfiguration.Mode { services.mode(ofPool: pool, in: pools) }

    /// What is otherwise than in another one, in words for the log; servers come and go one by one there.
    func changes(since old: Configuration) -> String {
        let before = old.pools.filter { !$0.isRetired }
        let after = pools.filter { !$0.isRetired }
        let added = after.filter { pool in !before.contains { $0.name == pool.name } }.map(\.name)
        let gone = before.filter { pool in !after.contains { $0.name == pool.name } }.map(\.name)
        let servers = Set(after.flatMap { pool in pool.servers.map { "\(pool.name)/\($0.endpoint)" } })
        let earlier = Set(before.flatMap { pool in pool.servers.map { "\(pool.name)/\($0.endpoint)" } })
        var parts = ["\(after.count) pools with \(servers.count) servers"]
        if !added.isEmpty { parts.append("new pools: \(added.joined(separator: ", "))") }
        if !gone.isEmpty { parts.append("retired pools: \(gone.joined(separator: ", "))") }
        let (come, left) = (servers.subtracting(earlier).sorted(), earlier.subtracting(servers).sorted())
        if !come.isEmpty { parts.append("new servers: \(come.joined(separator: ", "))") }
        if !left.isEmpty { parts.append("removed servers: \(left.joined(separator: ", "))") }
        return parts.joined(separator: "; ")
    }
}
