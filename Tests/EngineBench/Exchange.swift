import DispatcherCore

/// What the clients and servers of a case say to each other.
struct Exchange {
    enum Kind { case request, tunnel }

    var kind = Kind.request
    var mode = DispatchMode.l73
    /// Whether each request has a connection of its own.
    var closes = false
    /// Bytes of a response's body.
    var body = 12
    /// The most payload of a server's segment: one of the link, or what a card has merged.
    var segment = 1_460
    /// Bytes of a message in a tunnel, each way.
    var message = 48

    /// Whether there are routes with conditions, of which the last is the one that is taken.
    var routed = false

    /// Clients that talk at the same time.
    var concurrency = 64
    /// Connections that are held open; only `concurrency` of them talk at a time. 0 = no more than talk.
    var held = 0
    /// Places for connections that the service is configured to have.
    var limit = 100_000
    /// Requests that a server may have at a time; nil = 64 at first, and then by its measured performance.
    var fixedLimit: Int?

    static let windowScale: UInt8 = 7

    var request: [UInt8] {
        var text = "GET /messages?since=1234 HTTP/1.1\r\nHost: push.example.org\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n"
        if closes { text += "Connection: close\r\n" }
        if kind == .tunnel {
            text += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            text += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        }
        return Array((text + "\r\n").utf8)
    }

    var response: [UInt8] {
        if kind == .tunnel {
            return Array(
                ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n").utf8)
        }
        var text = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 30 Nov 2026 08:00:00 GMT\r\nContent-Type: text/plain\r\n"
        text +=
            "Content-Length: \(body)\r\nLast-Modified: Sun, 29 Nov 2026 08:00:00 GMT\r\nETag: \"6927-\(body)\"\r\nAccept-Ranges: bytes\r\n"
        return Array((text + "\r\n").utf8) + [UInt8](repeating: 0x78, count: body)
    }

    /// A server has as many tunnels as it has ports for.
    var servers: Int { kind == .tunnel ? max(2, (held + 59_999) / 60_000) : 2 }

    static let service = Endpoint(address: .init(v4: 0x0A4D_0164), port: 80)
    static let ours = IPAddress(v4: 0x0A4D_02C8)
    static let firstServer: UInt32 = 0x0A4D_0300
    static let firstClient: UInt32 = 0x6440_0000

    private static let routes: [RouteConfiguration] = {
        var routes = ["/images/", "/videos/", "/status"].map { RouteConfiguration(pathPrefix: Array($0.utf8), pool: 0) }
        for host in ["www.example.org", "files.example.org"] {
            routes.append(RouteConfiguration(pool: 0))
            routes[routes.count - 1].host = Array(host.utf8)
        }
        routes.append(RouteConfiguration(pool: 0))
        routes[5].methods = [Array("PUT".utf8), Array("POST".utf8)]
        routes.append(RouteConfiguration(pool: 0))
        (routes[6].headerName, routes[6].headerValue) = (Array("x-version".utf8), Array("2".utf8))
        return routes + [RouteConfiguration(pathPrefix: Array("/messages".utf8), pool: 0)]
    }()

    var configuration: EngineConfiguration {
        var result = EngineConfiguration()
        result.sourceAddresses = [Self.ours]
        // A million tunnels need nearly every port of many servers.
        if kind == .tunnel || mode == .l43 {
            result.ports = PortPlan(first: 1_024, last: 65_535, layers: 2, servers: max(16, servers), connections: 8)
        }
        var service = ServiceConfiguration(name: "web", listen: [Self.service], routes: [RouteConfiguration(pool: 0)])
        if routed { service.routes = Self.routes }
        service.mode = mode
        service.limits.connections = limit
        // Nothing but what is measured: hours may pass on the clock of a run.
        service.limits.idle = .seconds(86_400)
        service.limits.tunnelIdle = .seconds(86_400)
        result.services = [service]
        var pool = PoolConfiguration(
            name: "pool",
            servers: (0..<servers).map {
                var server = ServerConfiguration(endpoint: Endpoint(address: IPAddress(v4: Self.firstServer + UInt32($0)), port: 8_080))
                if let fixedLimit { (server.initialLimit, server.minimumLimit, server.maximumLimit) = (fixedLimit, fixedLimit, fixedLimit) }
                if mode == .l43 {
                    (server.initialLimit, server.maximumLimit) = (64_000, 64_000)
                } else if fixedLimit == nil {
                    server.initialLimit = 64
                }
                return server
            })
        (pool.tunnels, pool.mostTunnels) = (63_000, 63_000)
        pool.l4.idle = .seconds(86_400)
        result.pools = [pool]
        return result
    }
}
