import Foundation

/// What somebody asks of the admin listener.
enum AdminRequest: Equatable {
    case metrics, status, health
    case setLimit(pool: Int, server: Int, limit: Int)
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
        guard let pool = configuration.pools.firstIndex(where: { $0.name == name }) else {
            return .refused(.error(404, "there is no pool named \(name)"))
        }
        guard let index = configuration.pools[pool].servers.firstIndex(where: { $0.endpoint.description == server }) else {
            return .refused(.error(404, "there is no server \(server) in the pool \(name)"))
        }
        guard let object = try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any] else {
            return .refused(.error(400, "the body is not a JSON object, such as {\"limit\": 8}"))
        }
        for key in object.keys.sorted() where key != "limit" {
            guard ["state", "weight", "band"].contains(key) else { return .refused(.error(400, "unknown key: \(key)")) }
            return .refused(.error(501, "not supported yet: \(key)"))
        }
        guard let value = object["limit"] else { return .refused(.error(400, "the key limit is missing")) }
        guard let number = value as? NSNumber, isWhole(number), (0...65_535).contains(number.intValue) else {
            return .refused(.error(400, "limit must be a whole number from 0 to 65535"))
        }
        return .setLimit(pool: pool, server: index, limit: number.intValue)
    }

    /// true and false are numbers to Foundation; they are none to us.
    private static func isWhole(_ number: NSNumber) -> Bool {
        let type = UInt8(bitPattern: number.objCType.pointee)
        return type != UInt8(ascii: "c") && type != UInt8(ascii: "B") && number.doubleValue == Double(number.intValue)
    }
}
