import Foundation
import Testing

@testable import DispatcherService

struct PreparedServiceTests {
    private func prepare(_ yaml: String, filters: String? = nil) throws -> PreparedService {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/c.yaml"
        try Data(yaml.utf8).write(to: URL(fileURLWithPath: path))
        return try PreparedService(file: path, filterDirectory: filters, executable: "/usr/bin/sluice-dispatcher")
    }

    @Test func describesTheFilters() throws {
        let discovery = " or (icmp6 and (ip6[40] == 135 or ip6[40] == 136) and (dst host ff02::1))"
        #expect(
            try prepare(TestConfigurations.least).description == """
                configuration: ok
                filters: compiled in
                filter of fe0 (client side): arp or (dst host 10.77.1.100)\(discovery)
                filter of be0 (server side): arp or (dst host 10.77.2.200)\(discovery)
                """)
        #expect(
            try prepare(TestConfigurations.least.replacingOccurrences(of: "be0", with: "fe0")).description.hasSuffix(
                "filter of fe0: (arp or (dst host 10.77.1.100)\(discovery)) or (arp or (dst host 10.77.2.200)\(discovery))"))
    }

    @Test func everyFaultIsAFailure() {
        let missing = #expect(throws: ServiceError.self) {
            _ = try PreparedService(file: "/nowhere/c.yaml", filterDirectory: nil, executable: "x")
        }
        #expect(
            missing
                == ServiceError(
                    .failed,
                    "cannot read the configuration file /nowhere/c.yaml: it must exist, be readable (by the user of the key `user`, when it is loaded again) and be UTF-8"
                ))
        let wrong = #expect(throws: ServiceError.self) { _ = try prepare("user: [") }
        #expect(wrong?.code == .failed)
        let filters = #expect(throws: ServiceError.self) { _ = try prepare(TestConfigurations.least, filters: "/nowhere") }
        #expect(filters?.description == "/nowhere must hold the files client-side.filter and server-side.filter, readable")
    }

    @Test func theLogLevelIsTheFiles() throws {
        #expect(try prepare(TestConfigurations.least).logLevel == .info)
        #expect(try prepare("log: { level: trace }\n" + TestConfigurations.least).logLevel == .trace)
    }
}
