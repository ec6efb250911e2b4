import DispatcherCore
import FuzzSupport

@testable import DispatcherService

/// Configuration files: any text is accepted or refused with lines that exist, and what is accepted an engine can start with.
enum ConfigurationFuzz {
    static let target = FuzzTarget(
        name: "configuration",
        words: [
            "\n", "\n  ", "- ", ": ", "{ ", " }", "[", "]", "name: ", "pool: ", "services:\n", "pools:\n", "limits: ", "limit: ",
            "connections: ",
            "servers: ", "first-port: ", "last-port: ", "layers: ", "connections-per-server: ", "queue: ", "capacity: ", "initial: ",
            "maximum: ", "tunnels: ", "control: fixed", "head: ", "body: ", "routes: ", "path-prefix: /", "listen: ", "10.77.1.100:80",
            "1KiB",
            "64MiB", "10s", "1h", "0", "-1", "9223372036854775807", "99999999999", "\"", "&a", "*a", "!!", "|", "#", "~", "%",
        ]
    ) { run($0) }

    /// What an accepted file may ask for and still be tried here: an engine allocates its tables at the start.
    private static let mostConnections = 1 << 20

    static func run(_ bytes: [UInt8]) -> [String] {
        let text = String(decoding: bytes, as: UTF8.self)
        do throws(ConfigurationError) {
            let configuration = try Configuration(yaml: text, file: "c.yaml")
            return start(configuration)
        } catch {
            let lines = text.utf8.count { $0 == 10 || $0 == 13 } + 2
            if error.problems.isEmpty { return ["refused, and nothing said"] }
            return error.problems.filter { !(1...lines).contains($0.line) || $0.description.isEmpty }.map { "of \(lines) lines: \($0)" }
        }
    }

    private static func start(_ configuration: Configuration) -> [String] {
        guard !configuration.services.isEmpty, !configuration.pools.isEmpty else { return ["accepted without services or pools"] }
        let connections = configuration.services.reduce(0) { $0 &+ $1.limits.connections }
        guard (0...mostConnections).contains(connections) else { return [] }
        var engine = EngineConfiguration()
        engine.sourceAddresses = configuration.sourceAddresses
        engine.ports = configuration.ports
        engine.tcp = configuration.tcp
        engine.services = configuration.services
        engine.pools = configuration.pools
        var dispatcher = L73Dispatcher(configuration: engine, seed: 1)
        var egress = Egress(packets: 4_096, bytes: 1 << 20)
        var now = Instant(nanoseconds: 1_000_000_000)
        for _ in 0..<4 where dispatcher.nextDeadline <= now {
            dispatcher.advance(to: now, into: &egress)
            egress.removeAll()
            now = now + .milliseconds(10)
        }
        return dispatcher.snapshot(at: now).pools.count == configuration.pools.count ? [] : ["an engine without its pools"]
    }
}
