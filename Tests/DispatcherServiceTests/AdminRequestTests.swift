import DispatcherCore
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

    private static let second = Endpoint(address: IPAddress(v4: 0x0A4D_020C), port: 8_080)
    private static let server = "/pools/web/servers/10.77.2.12:8080"

    @Test func pagesAreFound() throws {
        #expect(try request("GET", "/metrics") == .metrics)
        #expect(try request("HEAD", "/metrics?x=1") == .metrics)
        #expect(try request("GET", "/status.json") == .status)
        #expect(try request("GET", "/healthz") == .health)
        #expect(try request("POST", "/reload") == .reload)
        #expect(try refusal("GET", "/reload").status == 405)
    }

    @Test func aLimitIsSet() throws {
        #expect(try request("POST", Self.server, "{\"limit\": 12}") == .change(pool: 0, server: Self.second, ServerChange(limit: 12)))
        #expect(
            try request("POST", "/pools/web/servers/10.77.2.12%3A8080", "{\"limit\": 0}")
                == .change(pool: 0, server: Self.second, ServerChange(limit: 0)))
    }

    @Test func stateWeightAndBandAreSet() throws {
        #expect(
            try request("POST", Self.server, "{\"state\": \"drain\", \"weight\": 3}")
                == .change(pool: 0, server: Self.second, ServerChange(order: .drain, weight: 3)))
        let held = TestConfigurations.least.replacingOccurrences(
            of: "  - name: web", with: "  - name: web\n    limit: { control: { hold: average-response-time, to: 20ms } }")
        let configuration = try TestConfigurations.read(held)
        func band(_ text: String) -> AdminRequest {
            AdminRequest(method: "POST", target: Self.server, body: Array("{\"band\": \(text)}".utf8), configuration: configuration)
        }
        #expect(
            band("{\"from\": \"5ms\", \"to\": \"30ms\"}")
                == .change(pool: 0, server: Self.second, ServerChange(band: .init(low: 0.005, high: 0.03))))
        #expect(band("{\"to\": \"1s\"}") == .change(pool: 0, server: Self.second, ServerChange(band: .init(low: nil, high: 1))))
        for wrong in ["{}", "5", "{\"from\": 5}", "{\"from\": \"9ms\", \"to\": \"8ms\"}", "{\"low\": \"9ms\"}"] {
            guard case .refused(let response) = band(wrong) else {
                Issue.record("taken: \(wrong)")
                continue
            }
            #expect(response.status == 400 && String(decoding: response.body, as: UTF8.self).contains("band"), "\(wrong)")
        }
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

    @Test(arguments: [
        ("{\"state\": \"off\"}", "state must be one of ready, drain, down"),
        ("{\"weight\": 0}", "weight must be a whole number from 1 to 65535"),
        ("{\"band\": {\"to\": \"1s\"}}", "band: no metric is held in this pool (limit.control)"),
        ("{\"colour\": 1}", "unknown key: colour"),
    ]) func whatIsWrongIsSaid(_ body: String, _ reason: String) throws {
        #expect(try refusal("POST", Self.server, body) == (400, "{\"error\":\"\(reason)\"}\n"))
    }
}
