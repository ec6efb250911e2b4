import DispatcherCore
import Foundation

/// What somebody asks of the admin listener.
enum AdminRequest: Equatable {
    case metrics, status, health
    /// The configuration file is to be loaded again.
    case reload
    /// What is to change at a server.
    case change(pool: Int, server: Endpoint, ServerChange)
    /// An answer that needs no figures.
    case refused(AdminResponse)

    /// - Parameters:
    ///   - method: in capitals.
    ///   - target: the request target; a query is passed over.
    init(method: String, target: String, body: [UInt8], configuration: Configuration) {
        let path = String(target.prefix { $0 != "?" })
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map {
            $0.removingPercentEncoding ?? String($0)
        }
        switch path {
        case "/metrics": self = Self.getting(method, .metrics)
        case "/status.json": self = Self.getting(method, .status)
        case "/healthz": self = Self.getting(method, .health)
        case "/reload": self = method == "POST" ? .reload : .refused(.notAllowed("POST"))
        default:
            guard parts.count == 4, parts[0] == "pools", parts[2] == "servers" else {
                self = .refused(.text(404, "there is nothing here; try /metrics, /status.json, /healthz\n"))
                return
            }
            self = Self.changing(method, pool: parts[1], server: parts[3], body: body, configuration)
        }
    }

    private static func getting(_ method: String, _ request: AdminRequest) -> AdminRequest {
        method == "GET" || method == "HEAD" ? request : .refused(.notAllowed("GET"))
    }

    private static func changing(_ method: String, pool name: String, server: String, body: [UInt8], _ configuration: Configuration)
        -> AdminRequest
    {
        guard method == "POST" else { return .refused(.notAllowed("POST")) }
        guard let pool = configuration.pools.firstIndex(where: { $0.name == name && !$0.isRetired }) else {
            return .refused(.error(404, "there is no pool named \(name)"))
        }
        guard let endpoint = configuration.pools[pool].servers.first(where: { $0.endpoint.description == server })?.endpoint else {
            return .refused(.error(404, "there is no server \(server) in the pool \(name)"))
        }
        guard let object = try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any] else {
            return .refused(.error(400, "the body is not a JSON object, such as {\"limit\": 8}"))
        }
        let change: ServerChange
        do throws(ServerChange.Fault) {
            change = try ServerChange(object, controlledBy: configuration.pools[pool].control)
        } catch {
            return .refused(.error(400, error.reason))
        }
        return .change(pool: pool, server: endpoint, change)
    }
}
