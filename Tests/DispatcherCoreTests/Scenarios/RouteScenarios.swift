import DispatcherCore
import Testing

@Suite("Routes: which pool a request goes to")
struct RouteScenarios {
    /// Four pools of one server each.
    private func world(_ routes: [RouteConfiguration]) -> World {
        World(servers: 4) { configuration in
            let servers = configuration.pools[0].servers
            configuration.pools = servers.enumerated().map { PoolConfiguration(name: "pool\($0)", servers: [$1]) }
            configuration.services[0].routes = routes
        }
    }

    /// A request as it is written, `#` for its id, and the pool that it must go to; nil = no route.
    private func check(_ routes: [RouteConfiguration], _ cases: [(String, Int?)], sourceLocation: SourceLocation = #_sourceLocation) {
        let world = world(routes)
        for (text, pool) in cases {
            let exchange = world.exchange()
            exchange.request.raw = [UInt8](text: text.split(separator: "#").joined(separator: "\(exchange.id)"))
            let served = world.served
            world.client([exchange]) { if pool == nil { $0.ownAnswers = [exchange.id: 503] } }
            world.simulation.run(for: .milliseconds(50))
            let got = (0..<4).filter { world.served[$0] > served[$0] }
            #expect(got == (pool.map { [$0] } ?? []), "\(text)", sourceLocation: sourceLocation)
        }
        #expect(world.refused(.noRoute) == cases.count { $0.1 == nil }, sourceLocation: sourceLocation)
        world.finish(sourceLocation: sourceLocation)
    }

    private func route(_ pool: Int, _ change: (inout RouteConfiguration) -> Void = { _ in }) -> RouteConfiguration {
        var route = RouteConfiguration(pool: pool)
        change(&route)
        return route
    }

    @Test("by host: whatever the case of letters and the port; of an absolute target its own")
    func host() {
        check(
            [route(1) { $0.host = [UInt8](text: "api.example") }, route(2) { $0.host = [UInt8](text: "[fd00::1]") }, route(0)],
            [
                ("GET /# HTTP/1.1\r\nHost: api.example\r\n\r\n", 1), ("GET /# HTTP/1.1\r\nHost: API.Example:8080\r\n\r\n", 1),
                ("GET /# HTTP/1.1\r\nhost:api.example\r\n\r\n", 1), ("GET /# HTTP/1.1\r\nHost: api.example.org\r\n\r\n", 0),
                ("GET /# HTTP/1.1\r\nHost: www.api.example\r\n\r\n", 0), ("GET http://api.example/# HTTP/1.1\r\nHost: other\r\n\r\n", 1),
                ("GET http://other:80/# HTTP/1.1\r\nHost: api.example\r\n\r\n", 0), ("GET /# HTTP/1.1\r\nHost: [FD00::1]:80\r\n\r\n", 2),
                ("GET /# HTTP/1.1\r\nHost: test\r\nX-Host: api.example\r\n\r\n", 0),
            ])
    }

    @Test("by method: the case of letters matters; POST with a body; HEAD is not GET")
    func method() {
        check(
            [route(1) { $0.methods = [[UInt8](text: "POST"), [UInt8](text: "PUT")] }, route(0) { $0.methods = [[UInt8](text: "GET")] }],
            [
                ("POST /# HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 1),
                ("PUT /# HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 1),
                ("GET /# HTTP/1.1\r\nHost: a\r\n\r\n", 0), ("POS /# HTTP/1.1\r\nHost: a\r\n\r\n", nil),
                ("get /# HTTP/1.1\r\nHost: a\r\n\r\n", nil), ("DELETE /# HTTP/1.1\r\nHost: a\r\n\r\n", nil),
            ])
    }

    @Test("by header: there at all, or with a value")
    func header() {
        check(
            [
                route(1) { ($0.headerName, $0.headerValue) = ([UInt8](text: "X-Mode"), [UInt8](text: "fast")) },
                route(2) { $0.headerName = [UInt8](text: "x-mode") }, route(0),
            ],
            [
                ("GET /# HTTP/1.1\r\nHost: a\r\nX-Mode: fast\r\n\r\n", 1), ("GET /# HTTP/1.1\r\nHost: a\r\nx-MODE:  fast \r\n\r\n", 1),
                ("GET /# HTTP/1.1\r\nHost: a\r\nX-Mode: Fast\r\n\r\n", 2), ("GET /# HTTP/1.1\r\nHost: a\r\nX-Mode: faster\r\n\r\n", 2),
                ("GET /# HTTP/1.1\r\nHost: a\r\nX-Mode:\r\n\r\n", 2), ("GET /# HTTP/1.1\r\nHost: a\r\nX-Modes: fast\r\n\r\n", 0),
                ("GET /x-mode:fast/# HTTP/1.1\r\nHost: a\r\n\r\n", 0),
            ])
    }

    @Test("by path prefix: of the path alone, not of the query")
    func path() {
        check(
            [route(1) { $0.pathPrefix = [UInt8](text: "/img/") }, route(2) { $0.pathPrefix = [UInt8](text: "/img") }, route(0)],
            [
                ("GET /img/# HTTP/1.1\r\nHost: a\r\n\r\n", 1), ("GET /images/# HTTP/1.1\r\nHost: a\r\n\r\n", 0),
                ("GET /imgs/# HTTP/1.1\r\nHost: a\r\n\r\n", 2), ("GET /img?/img/# HTTP/1.1\r\nHost: a\r\n\r\n", 2),
                ("GET /?/img/# HTTP/1.1\r\nHost: a\r\n\r\n", 0), ("GET http://a/img/# HTTP/1.1\r\nHost: a\r\n\r\n", 1),
                ("GET /IMG/# HTTP/1.1\r\nHost: a\r\n\r\n", 0),
            ])
    }

    @Test("all conditions of a route must hold, the first that matches counts, and without one it is 503")
    func several() {
        check(
            [
                route(1) { route in
                    route.host = [UInt8](text: "a")
                    route.methods = [[UInt8](text: "GET")]
                    route.pathPrefix = [UInt8](text: "/p/")
                    route.headerName = [UInt8](text: "X-A")
                }, route(2) { $0.pathPrefix = [UInt8](text: "/p/") }, route(3) { $0.host = [UInt8](text: "b") },
            ],
            [
                ("GET /p/# HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n", 1), ("DELETE /p/# HTTP/1.1\r\nHost: b\r\nX-A: 1\r\n\r\n", 2),
                ("GET /p/# HTTP/1.1\r\nHost: b\r\nX-A: 1\r\n\r\n", 2), ("GET /p/# HTTP/1.1\r\nHost: a\r\n\r\n", 2),
                ("GET /q/# HTTP/1.1\r\nHost: b\r\nX-A: 1\r\n\r\n", 3), ("GET /q/# HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n", nil),
            ])
    }

    @Test("upgrades to a WebSocket have a pool of their own; what only mentions one has not")
    func upgrade() {
        let world = world([route(1) { $0.upgradesToWebSocket = true }, route(0)])
        var switching = ResponsePlan()
        (switching.status, switching.framing) = (101, .switching)
        world.client([world.exchange(.upgrade(up: 50, down: 50), switching)])
        world.client([world.exchange(.get().with("Upgrade", "websocket"))])
        world.client([world.exchange(.get())])
        world.finish()
        #expect(world.served == [2, 1, 0, 0])
    }
}
