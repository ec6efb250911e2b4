/// The places of the table of servers: what a server of the configuration gets.
extension L73Dispatcher {
    /// - Parameters:
    ///   - place: within the pool.
    ///   - shared: what all shards have of it.
    static func load(
        of place: Int, pool: Int, _ configuration: EngineConfiguration, shared: UnsafeMutablePointer<SharedServer>
    ) -> ServerLoad {
        let settings = configuration.pools[pool]
        let server = settings.servers[place]
        guard let source = configuration.sourceAddress(toward: server.endpoint.address) else {
            preconditionFailure("no source address of the family of \(server.endpoint): the configuration was not checked")
        }
        var load = ServerLoad(
            shared: shared, endpoint: server.endpoint, source: source,
            segmentSize: configuration.serverSideMTU - PathMTU.headers(to: server.endpoint.address),
            toldMSS: configuration.toldMSS(pool: pool, server: server.endpoint.address), pool: pool, index: place,
            minimum: server.minimumLimit, maximum: ServerLoad.maximum(server, configuration.ports))
        load.weight = server.weight
        load.isBackup = server.isBackup
        return load
    }

    /// What it begins with in common with other shards.
    static func fresh(_ server: ServerConfiguration, _ settings: PoolConfiguration, _ ports: PortPlan) -> SharedServer {
        let maximum = ServerLoad.maximum(server, ports)
        let limit = min(max(server.initialLimit, server.minimumLimit), maximum)
        return SharedServer(
            limit: limit, tunnels: settings.tunnels,
            control: LoadControl(settings.control, initial: limit, minimum: server.minimumLimit, maximum: maximum))
    }

    /// The slots of a server that are this shard's, to its not-in-use queue.
    static func addSlots(_ server: Int, to load: inout ServerLoad, _ configuration: EngineConfiguration, _ links: inout SlotLinks) {
        let ports = configuration.ports
        for connection in 0..<ports.connections {
            let slot = server * ports.connections + connection
            guard configuration.shard.has(port: ports.first + slot) else { continue }
            links.append(slot, to: &load.notInUse)
            load.slots += 1
        }
    }

    static func tunnelControl(_ settings: PoolConfiguration) -> LimitController {
        LimitController(settings.tunnelControl, initial: settings.tunnels, minimum: 0, maximum: settings.mostTunnels)
    }

    /// Whether a removed server has nothing left: then its place is free.
    func isVacant(_ server: Int) -> Bool {
        let load = servers[server]
        guard load.condition.isRemoved, load.notInUse.count == load.slots, load.tunnels == 0 else { return false }
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
