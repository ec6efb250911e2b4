import NIOCore
import NIOHTTP1
import PushProtocol

/// The front for devices (NS-UA-WS, chapter 4): tokens by HTTP, everything else by WebSocket.
struct UserAgentRoutes: HTTPRoutes {
    let context: WorkerContext

    func route(_ request: HTTPRequestHead, path: String, client: IPAddress?) -> HTTPRoute {
        if let common = CommonRoutes.route(request, path: path, context: context) { return common }
        switch (path, request.method) {
        case ("/token", .GET), ("/token", .POST): return .answer(token(client))
        case ("/token", _): return .answer(.error(.methodNotAllowed, "No valid HTTP method", fields: [("Allow", "GET, POST, OPTIONS")]))
        case ("/", .GET): return webSocket(request)
        default: return .answer(.notFound)
        }
    }

    private func token(_ client: IPAddress?) -> HTTPAnswer {
        if let client, let seconds = context.tokenLimiter?.refuses(client) {
            context.counters.add(.tokensRefusedRate)
            return .error(.tooManyRequests, "Try again later", fields: [("Retry-After", "\(seconds)")])
        }
        context.counters.add(.tokensIssued)
        return .text(UAToken(device: DeviceID(), issued: context.now).sealed(with: context.tokenKeys))
    }

    private func webSocket(_ request: HTTPRequestHead) -> HTTPRoute {
        switch WebSocketHandshake.read(request) {
        case .refused(let answer): return .answer(answer)
        case .accepted(let handshake):
            guard context.phase == .running else {
                return .answer(.error(.serviceUnavailable, "Try again later", fields: [("Retry-After", "1")]))
            }
            return .webSocket(handshake)
        }
    }
}
