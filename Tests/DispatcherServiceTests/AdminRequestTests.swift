import Testing

@testable import DispatcherService

struct AdminRequestTests {
    private func request(_ method: String, _ target: String, _ body: String = "") throws -> AdminRequest {
        AdminRequest(
            method: method, target: target, body: Array(body.utf8), configuration: try TestConfigurations.read(TestConfigurations.least))
    }

    private func refusal(_ method: String, _ target: String, _ body: String = "") throws -> (status: Int, text: String) {
        guard case .refused(let response) = try request(method, target, body) else { return (0, "") }
        return (response.status, String(decoding: response.body, as: UTF8.self))
    }

    private static let server = "/pools/web/servers/10.77.2.12:8080"

    @Test func pagesAreFound() throws {
        #expect(try request("GET", "/metrics") == .metrics)
        #expect(try request("HEAD", "/metrics?x=1") == .metrics)
        #expect(try request("GET", "/status.json") == .status)
        #expect(try request("GET", "/healthz") == .health)
    }

    @Test func aLimitIsSet() throws {
        #expect(try request("POST", Self.server, "{\"limit\": 12}") == .setLimit(pool: 0, server: 1, limit: 12))
        #expect(try request("POST", "/pools/web/servers/10.77.2.12%3A8080", "{\"limit\": 0}") == .setLimit(pool: 0, server: 1, limit: 0))
    }

    @Test(arguments: ["/", "/metric", "/pools", "/pools/web", "/pools/web/servers", "/pools/web/server/10.77.2.12:8080"])
    func otherPathsAreNotFound(_ path: String) throws { #expect(try refusal("GET", path).status == 404) }

    @Test func unknownPoolsAndServersAreNamed() throws {
        #expect(try refusal("POST", "/pools/wab/servers/x", "{}") == (404, "{\"error\":\"there is no pool named wab\"}\n"))
        #expect(try refusal("POST", "/pools/web/servers/x", "{}") == (404, "{\"error\":\"there is no server x in the pool web\"}\n"))
    }

    @Test func otherMethodsAreNotAllowed() throws {
        #expect(try refusal("POST", "/metrics").status == 405)
        #expect(try refusal("GET", Self.server).status == 405)
        guard case .refused(let response) = try request("DELETE", Self.server) else { return #expect(Bool(false)) }
        #expect(response.allow == "POST")
    }

    @Test(arguments: [
        "", "limit=5", "[1]", "{\"limit\": \"5\"}", "{\"limit\": 1.5}", "{\"limit\": -1}", "{\"limit\": 65536}", "{\"limit\": true}", "{}",
        "{\"limits\": 5}",
    ])
    func badBodiesAreRefused(_ body: String) throws { #expect(try refusal("POST", Self.server, body).status == 400) }

    @Test(arguments: ["state", "weight", "band"]) func whatIsNotBuiltIsSaid(_ key: String) throws {
        #expect(try refusal("POST", Self.server, "{\"\(key)\": 1}") == (501, "{\"error\":\"not supported yet: \(key)\"}\n"))
    }
}
