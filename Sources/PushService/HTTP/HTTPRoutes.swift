import NIOCore
import NIOHTTP1

/// What one front serves. Called on the connection's event loop.
protocol HTTPRoutes: Sendable {
    /// What is to be done with a request whose head has come.
    func route(_ request: HTTPRequestHead, path: String, client: IPAddress?) -> HTTPRoute
}

/// What is to be done with a request.
enum HTTPRoute {
    /// It is answered when its body, which nobody reads, has come.
    case answer(HTTPAnswer)
    /// The connection becomes a WebSocket.
    case webSocket(WebSocketHandshake)
    /// Its body is read, up to the limit of notifications, and handed over; the answer may be given on any thread.
    case read(handle: (ByteBuffer, _ answer: @escaping @Sendable (HTTPAnswer) -> Void) -> Void)
}

/// The parts of a request's target.
enum HTTPTarget {
    /// The path without query; of the absolute form (RFC 9112, section 3.2.2) without scheme and authority.
    static func path(of target: String) -> String {
        var path = target[...]
        if target.utf8.first != UInt8(ascii: "/"), let scheme = target.firstRange(of: "://") {
            let rest = path[scheme.upperBound...]
            path = rest.firstIndex(of: "/").map { rest[$0...] } ?? "/"
        }
        let end = path.utf8.firstIndex { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }
        return String(path[..<(end ?? path.endIndex)])
    }
}

/// What both fronts serve alike: `/status` and OPTIONS.
enum CommonRoutes {
    /// The answer when the request is for a common route.
    static func route(_ request: HTTPRequestHead, path: String, context: WorkerContext) -> HTTPRoute? {
        if request.method == .OPTIONS { return .answer(options(path)) }
        guard path == "/status" else { return nil }
        guard request.method == .GET || request.method == .HEAD else { return .answer(.notFound) }
        return .answer(status(context))
    }

    private static func status(_ context: WorkerContext) -> HTTPAnswer {
        let hundredths = Int((context.load.delay * 100).rounded())
        let fraction = hundredths % 100
        let load = [("X-Load", "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)")]
        return switch context.phase {
        case .starting: .text("Starting", status: .serviceUnavailable, fields: load)
        case .running: .text("OK", fields: load)
        case .draining: .text("Draining", status: .serviceUnavailable, fields: load)
        }
    }

    private static func options(_ path: String) -> HTTPAnswer {
        switch path {
        case "/": .options("GET, OPTIONS")
        case "/token": .options("GET, POST, OPTIONS")
        case "/status": .options("GET, OPTIONS")
        case _ where path.hasPrefix("/notify/"): .options("POST, OPTIONS")
        default: .notFound
        }
    }
}
