import NIOHTTP1

/// Every path of both fronts, as far as the worker has their roles: what one public address needs.
struct PublicRoutes: HTTPRoutes {
    let context: WorkerContext

    func route(_ request: HTTPRequestHead, path: String, client: IPAddress?) -> HTTPRoute {
        if let common = CommonRoutes.route(request, path: path, context: context) { return common }
        let roles = context.configuration.roles
        if path == "/notify" || path.hasPrefix("/notify/") {
            guard roles.contains(.applicationServers) else { return .answer(.notFound) }
            return ApplicationServerRoutes(context: context).route(request, path: path, client: client)
        }
        guard roles.contains(.uaWS) else { return .answer(.notFound) }
        return UserAgentRoutes(context: context).route(request, path: path, client: client)
    }
}
