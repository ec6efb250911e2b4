/// The places of the table of servers: what a server of the configuration gets.
extension L73Dispatcher {
    /// - Parameters:
    ///   - place: within the pool.
    static func load(of place: Int, pool: Int, _ configuration: EngineConfiguration) -> ServerLoad {
        let settings = configuration.pools[pool]
        let server = settings.servers[place]
        guard let source = configuration.sourceAddress(toward: server.endpoint.address) else {
            preconditionFailure("no source address of the family of \(server.endpoint): the configuration was not checked")
        }
        var load = ServerLoad(
            endpoint: server.endpoint, source: source,
            segmentSize: configuration.serverSideMTU - PathMTU.headers(to: server.endpoint.address),
            toldMSS: configuration.toldMSS(pool: pool, server: server.endpoint.address), pool: pool, index: place,
            limit: server.initialLimit, minimum: server.minimumLimit, maximum: ServerLoad.maximum(server, configuration.ports),
            tunnelLimit: settings.tunnels)
        load.setLimit(server.initialLimit)
        load.weight = server.weight
        load.isBackup = server.isBackup
        return load
    }

    static func control(of load: ServerLoad, _ settings: PoolConfiguration) -> LoadControl {
        LoadControl(settings.control, initial: load.limit, minimum: load.minimum, maximum: load.maximum)
    }

    static func tunnelControl(_ settings: PoolConfiguration) -> LimitController {
        LimitController(settings.tunnelControl, initial: settings.tunnels, minimum: 0, maximum: settings.mostTunnels)
    }

    /// Whether a removed server has nothing left: then its place is free.
    func isVacant(_ server: Int) -> Bool {
        let load = servers[server]
        guard load.condition.isRemoved, load.notInUse.count == configuration.ports.connections, load.tunnels == 0 else { return false }
        return !hasOwnConnections(server)
    }

    /// Whether a server is there, or something is left of it.
    func hasServer(_ endpoint: Endpoint) -> Bool {
        for server in 0..<serverCount where servers[server].endpoint == endpoint {
            if !isForwarded(server), !isVacant(server) { return true }
        }
        return false
    }

    /// Whether it has connections outside its slots: tunnels, checks, requests with the header of the PROXY protocol; those that close too.
    private func hasOwnConnections(_ server: Int) -> Bool {
        for place in configuration.ports.slots..<backs.touched {
            let back = backs.pointer(place)
            if back.pointee.state != .closed, Int(back.pointee.server) == server { return true }
        }
        return false
    }

    /// Whether it is here only to be checked: its clients' connections are forwarded by the other engine.
    func isForwarded(_ server: Int) -> Bool { pools[servers[server].pool].isForwarded }

    /// A server's index in the table; nil = there is none such.
    func server(_ endpoint: Endpoint, ofPool pool: Int) -> Int? {
        guard pool >= 0, pool < poolCount else { return nil }
        return pools[pool].servers.first { servers[$0].endpoint == endpoint }
    }
}
