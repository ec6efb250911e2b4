@testable import DispatcherCore

/// A small engine in the simulated network, quick to make and quick to give up, for inputs that mean harm.
struct FuzzWorld {
    let world: World

    static let upgrade =
        "GET /x/4 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2x1aWNlIGxhYiB0ZXN0cw==\r\n\r\n"

    /// - Parameter retries: how often a request may be repeated.
    init(retries: Int = 1, families: Families = .v4, configure: (inout EngineConfiguration) -> Void = { _ in }) {
        let servers = families.servers == .both ? 2 : 1
        world = World(seed: 1, servers: 0, rawServers: servers, families: families) { configuration in
            configuration.ports = PortPlan(first: 10_000, last: 10_040, layers: 2, servers: servers, connections: 4)
            configuration.recordCapacity = 64
            configuration.requestMemory = 4 << 20
            configuration.tcp.timeWait = .seconds(5)
            configuration.services[0].limits.connections = 16
            configuration.services[0].limits.headTime = .seconds(2)
            configuration.services[0].limits.sendIdle = .seconds(5)
            configuration.services[0].limits.idle = .seconds(5)
            configuration.services[0].limits.tunnelIdle = .seconds(10)
            configuration.pools[0].tunnels = 4
            configuration.pools[0].retries = retries
            configuration.pools[0].responseTimeout = .seconds(3)
            configuration.pools[0].queue.capacity = 32
            configuration.pools[0].queue.memory = 1 << 20
            for server in 0..<servers {
                configuration.pools[0].servers[server].initialLimit = 2
                configuration.pools[0].servers[server].maximumLimit = 4
            }
            configure(&configuration)
        }
        world.simulation.eventLimit = 400_000
        world.dispatcher.knowsEveryone = false
    }

    var server: TestHost { world.host("raw-server1") }

    /// Lets everything come to rest; what was wrong until then.
    func faults() -> [String] {
        world.simulation.run(for: .seconds(2_000))
        world.dispatcher.drainRecords()
        let snapshot = world.dispatcher.snapshot
        world.dispatcher.checker.checkAccounts(snapshot.counters)
        world.dispatcher.checker.checkQuiescence(snapshot)
        return world.simulation.violations
    }
}
