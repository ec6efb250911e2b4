import Foundation
import Testing

@testable import DispatcherService

struct StatusDocumentTests {
    @Test func hasServicesWithTheirPoolsAndServers() throws {
        let configuration = try TestConfigurations.read(TestConfigurations.least)
        let bytes = StatusDocument(try TestReports.busy(), configuration: configuration, unwrittenLogLines: 0).encoded()
        let document = try #require(JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
        let service = try #require((document["services"] as? [[String: Any]])?.first)
        #expect(service["name"] as? String == "files")
        #expect((service["requests"] as? [String: Int]) == ["200": 7, "0": 1])
        #expect((service["phases"] as? [String: Int])?["idle"] == 2)
        let pool = try #require((service["pools"] as? [[String: Any]])?.first)
        #expect(pool["queueOldestSeconds"] as? Double == 1.5)
        let servers = try #require(pool["servers"] as? [[String: Any]])
        #expect(servers.map { $0["address"] as? String } == ["10.77.2.11:8080", "10.77.2.12:8080"])
        #expect(servers.map { $0["up"] as? Bool } == [true, false])
        #expect((document["otherPools"] as? [[String: Any]])?.map { $0["name"] as? String } == ["unused"])
        let client = try #require((document["sides"] as? [String: [String: Any]])?["client"])
        #expect((client["dropped"] as? [String: Int]) == ["bad-tcp-checksum": 4])
        #expect((client["egressErrors"] as? [String: Int]) == ["EMSGSIZE": 2, "ENOBUFS": 1])
        #expect(client["egressLost"] as? Int == 4)
        #expect(client["transmit"] as? String == "raw" && client["nextHops"] == nil)
        let server = try #require((document["sides"] as? [String: [String: Any]])?["server"])
        #expect(server["transmit"] as? String == "packet")
        let hops = try #require(server["nextHops"] as? [String: Any])
        #expect(hops["neighbours"] as? Int == 2 && hops["bypassesQueue"] as? Bool == false)
        #expect((hops["dropped"] as? [String: Int]) == ["unresolved": 3])
        #expect((document["requestFaults"] as? [String: Int]) == ["bare-cr": 1])
        for key in ["timers", "bufferBytes", "timeWaits"] { #expect(document[key] as? Int == 0) }
        #expect(document["stopping"] as? Bool == false)
    }
}
