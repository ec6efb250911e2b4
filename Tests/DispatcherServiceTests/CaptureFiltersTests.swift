import Foundation
import PacketIO
import Testing

@testable import DispatcherCore
@testable import DispatcherService

struct CaptureFiltersTests {
    private func filters() throws -> ExpandedFilters {
        try CaptureFilters.builtIn.expanded(
            for: TestConfigurations.read(
                TestConfigurations.least.replacingOccurrences(
                    of: "listen: 10.77.1.100:80", with: "listen: [\"10.77.1.100:80\", \"10.77.1.101:80\"]")))
    }

    /// An IPv4 packet behind an Ethernet header; all a filter looks at.
    private func packet(to destination: String, protocolNumber: UInt8, fragmentOffset: UInt16 = 0, from source: String = "10.9.9.9")
        -> [UInt8]
    {
        var bytes = [UInt8](repeating: 0, count: 60)
        bytes[12] = 0x08
        bytes[14] = 0x45
        bytes[17] = 46
        bytes[20] = UInt8(fragmentOffset >> 8)
        bytes[21] = UInt8(fragmentOffset & 255)
        bytes[23] = protocolNumber
        for (index, part) in source.split(separator: ".").enumerated() { bytes[26 + index] = UInt8(part)! }
        for (index, part) in destination.split(separator: ".").enumerated() { bytes[30 + index] = UInt8(part)! }
        return bytes
    }

    private func arp(_ operation: ARPPacket.Operation, sender: String, target: String) -> [UInt8] {
        let packet = ARPPacket(
            operation: operation, senderHardware: HardwareAddress(bits: 7), senderAddress: IPAddress(sender)!, targetHardware: .none,
            targetAddress: IPAddress(target)!)
        var frame = [UInt8](repeating: 0, count: ARPPacket.frameLength)
        frame.withUnsafeMutableBytes { packet.writeFrame(to: .broadcast, into: $0) }
        return frame
    }

    private func filtersOfBothFamilies() throws -> ExpandedFilters {
        try CaptureFilters.builtIn.expanded(
            for: TestConfigurations.read(
                TestConfigurations.least.replacingOccurrences(
                    of: "listen: 10.77.1.100:80", with: "listen: [\"10.77.1.100:80\", \"[fd77:1::100]:80\", \"[fd77:1::1:100]:80\"]"
                ).replacingOccurrences(of: "[10.77.2.200]", with: "[10.77.2.200, \"fd77:2::200\"]")))
    }

    /// An IPv6 packet behind an Ethernet header; `type` is the first byte after its header.
    private func packetOfIPv6(to destination: String, nextHeader: UInt8, type: UInt8 = 0, from source: String = "fd77:9::9") -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 78)
        bytes[12] = 0x86
        bytes[13] = 0xDD
        bytes[14] = 0x60
        bytes[20] = nextHeader
        bytes[54] = type
        for (offset, text) in [(22, source), (38, destination)] {
            let address = IPAddress(text)!
            for index in 0..<16 {
                bytes[offset + index] = UInt8(truncatingIfNeeded: (index < 8 ? address.high : address.low) >> UInt64(56 - index % 8 * 8))
            }
        }
        return bytes
    }

    private func discovery(_ message: NeighbourMessage) -> [UInt8] {
        var frame = [UInt8](repeating: 0, count: message.frameLength)
        frame.withUnsafeMutableBytes { message.writeFrame(to: HardwareAddress(bits: 9), into: $0) }
        return frame
    }

    @Test(arguments: [("fd77:1::100", "fd77:1::11", true), ("fd77:1::1:100", "fd77:1::11", true), ("fd77:2::200", "fd77:2::11", false)])
    func eachSideTakesWhatItMustOfIPv6(_ own: String, _ other: String, isClientSide: Bool) throws {
        let filters = try filtersOfBothFamilies()
        let filter = try PacketFilter(isClientSide ? filters.client : filters.server)
        let address = IPAddress(own)!
        let neighbour = IPAddress(other)!
        let hardware = HardwareAddress(bits: 7)
        let asked = NeighbourMessage.solicitation(for: neighbour, from: address, at: HardwareAddress(bits: 5))
        let passing = [
            packetOfIPv6(to: own, nextHeader: 6), packetOfIPv6(to: own, nextHeader: 17), packetOfIPv6(to: own, nextHeader: 58, type: 128),
            packetOfIPv6(to: own, nextHeader: 58, type: 2), packetOfIPv6(to: own, nextHeader: 44), packetOfIPv6(to: own, nextHeader: 0),
            // Who looks for us, whether we are still there, who is about to take our address.
            discovery(.solicitation(for: address, from: neighbour, at: hardware)),
            discovery(.solicitation(for: address, from: neighbour, at: hardware, isProbe: true)),
            discovery(.duplicateCheck(of: address, at: hardware)),
            // The answer to our question; a host that has our address or a new hardware address.
            discovery(asked.answer(at: hardware)), discovery(.announcement(of: address, at: hardware)),
            discovery(.announcement(of: neighbour, at: hardware)),
        ]
        let passed = passing.map { filter.passes($0) }
        #expect(passed.allSatisfy { $0 }, "\(passed)")
    }

    @Test func neitherSideTakesAnythingElseOfIPv6() throws {
        let filters = try filtersOfBothFamilies()
        let hardware = HardwareAddress(bits: 7)
        let host = IPAddress("fd77:1::11")!
        let refused = [
            packetOfIPv6(to: "fd77:1::1", nextHeader: 6), packetOfIPv6(to: "fd77:1::11", nextHeader: 6, from: "fd77:1::100"),
            packetOfIPv6(to: "fd77:2::11", nextHeader: 6, from: "fd77:2::200"), packetOfIPv6(to: "ff02::1", nextHeader: 17),
            packetOfIPv6(to: "ff02::1", nextHeader: 58, type: 134), packetOfIPv6(to: "ff02::1:ff00:100", nextHeader: 58, type: 128),
            packetOfIPv6(to: "ff02::1:ff00:100", nextHeader: 6, type: 135), packetOfIPv6(to: "ff02::1:ff00:100", nextHeader: 58, type: 131),
            packetOfIPv6(to: "ff02::16", nextHeader: 0), packetOfIPv6(to: "fd77:1::11", nextHeader: 58, type: 137),
            discovery(.solicitation(for: host, from: IPAddress("fd77:1::12")!, at: hardware)),
            discovery(NeighbourMessage.solicitation(for: IPAddress("fd77:1::12")!, from: host, at: hardware).answer(at: hardware)),
        ]
        for text in [filters.client, filters.server] {
            let filter = try PacketFilter(text)
            let passed = refused.map { filter.passes($0) }
            #expect(passed.allSatisfy { !$0 }, "\(text): \(passed)")
        }
        let other = try PacketFilter(filters.server)
        let passed = other.passes(discovery(.solicitation(for: IPAddress("fd77:1::100")!, from: host, at: hardware)))
        #expect(!passed)
    }

    @Test func withoutIPv6NoSolicitationIsTaken() throws {
        let filter = try PacketFilter(filters().client)
        let hardware = HardwareAddress(bits: 7)
        let passed = filter.passes(
            discovery(.solicitation(for: IPAddress("fd77:1::100")!, from: IPAddress("fd77:1::11")!, at: hardware)))
        #expect(!passed)
    }

    @Test func serversThatSeeTheirClientsAreHeard() throws {
        let filters = try CaptureFilters.builtIn.expanded(
            for: TestConfigurations.read(
                TestConfigurations.least.replacingOccurrences(of: "    routes:", with: "    mode: l4/3\n    routes:").replacingOccurrences(
                    of: "  - name: web", with: "  - name: web\n    l4: { source: keep }")))
        let filter = try PacketFilter(filters.server)
        func tcp(from source: String, port: UInt16) -> [UInt8] {
            var bytes = packet(to: "10.9.9.9", protocolNumber: 6, from: source)
            (bytes[34], bytes[35]) = (UInt8(port >> 8), UInt8(port & 255))
            return bytes
        }
        let passing = [
            tcp(from: "10.77.2.11", port: 8_080), tcp(from: "10.77.2.12", port: 8_080),
            packet(to: "10.9.9.9", protocolNumber: 1, from: "10.77.2.11"), packet(to: "10.77.2.200", protocolNumber: 17),
        ]
        let refused = [
            tcp(from: "10.77.2.11", port: 22), tcp(from: "10.77.2.13", port: 8_080),
            packet(to: "10.9.9.9", protocolNumber: 17, from: "10.77.2.11"), packet(to: "10.9.9.9", protocolNumber: 1, from: "10.77.2.13"),
        ]
        let passed = (passing.map { filter.passes($0) }, refused.map { filter.passes($0) })
        #expect(passed.0.allSatisfy { $0 } && passed.1.allSatisfy { !$0 }, "\(passed)")
    }

    @Test func theCompiledInCopiesAreTheFiles() throws {
        #expect(try CaptureFilters.builtIn.client.text == TestConfigurations.text(of: "Filters/client-side.filter"))
        #expect(try CaptureFilters.builtIn.server.text == TestConfigurations.text(of: "Filters/server-side.filter"))
    }

    @Test func theClientSideTakesWhatItMust() throws {
        let filter = try PacketFilter(filters().client)
        let passing = [
            packet(to: "10.77.1.100", protocolNumber: 6), packet(to: "10.77.1.101", protocolNumber: 6),
            packet(to: "10.77.1.100", protocolNumber: 1),
            packet(to: "10.77.1.100", protocolNumber: 17), packet(to: "10.77.1.100", protocolNumber: 6, fragmentOffset: 0x2000),
            packet(to: "10.77.1.100", protocolNumber: 6, fragmentOffset: 100), packet(to: "10.77.1.100", protocolNumber: 47),
            arp(.request, sender: "10.77.1.11", target: "10.77.1.100"), arp(.reply, sender: "10.77.1.100", target: "10.77.1.11"),
        ]
        let passed = passing.map { filter.passes($0) }
        #expect(passed.allSatisfy { $0 }, "\(passed)")
    }

    @Test func theClientSideTakesNothingElse() throws {
        let filter = try PacketFilter(filters().client)
        var later = packet(to: "10.77.1.100", protocolNumber: 6)
        later[12] = 0x86
        later[13] = 0xDD
        let refused = [
            packet(to: "10.77.1.1", protocolNumber: 6), packet(to: "10.77.2.200", protocolNumber: 6),
            packet(to: "10.77.1.11", protocolNumber: 6, from: "10.77.1.100"), packet(to: "255.255.255.255", protocolNumber: 17), later, [],
            [UInt8](repeating: 0, count: 13),
        ]
        let passed = refused.map { filter.passes($0) }
        #expect(passed.allSatisfy { !$0 }, "\(passed)")
    }

    @Test func theServerSideTakesWhatItMustAndNothingElse() throws {
        let filter = try PacketFilter(filters().server)
        let passing = [
            packet(to: "10.77.2.200", protocolNumber: 6), packet(to: "10.77.2.200", protocolNumber: 1),
            packet(to: "10.77.2.200", protocolNumber: 17),
            packet(to: "10.77.2.200", protocolNumber: 6, fragmentOffset: 9), arp(.request, sender: "10.77.2.11", target: "10.77.2.200"),
        ].map { filter.passes($0) }
        #expect(passing.allSatisfy { $0 }, "\(passing)")
        let refused = [
            packet(to: "10.77.2.1", protocolNumber: 6), packet(to: "10.77.1.100", protocolNumber: 6),
            packet(to: "10.77.2.11", protocolNumber: 6, from: "10.77.2.200"),
        ].map { filter.passes($0) }
        #expect(refused.allSatisfy { !$0 }, "\(refused)")
    }

    @Test func ofWhatTheKernelOwnsTooOnlyOurPortsAreTaken() throws {
        let yaml = TestConfigurations.least
            .replacingOccurrences(of: "listen: 10.77.1.100:80", with: "listen: 10.77.1.1:80\n    owned-by-kernel: true")
            .replacingOccurrences(of: "[10.77.2.200]", with: "[10.77.1.1]\n  kernel-addresses: true\n  first-port: 20000")
        let filters = try CaptureFilters.builtIn.expanded(for: TestConfigurations.read(yaml))
        let discovery = " or (icmp6 and (ip6[40] == 135 or ip6[40] == 136) and (dst host ff02::1))"
        #expect(filters.client == "arp or ((dst host 10.77.1.1 and (icmp or tcp dst port 80)))" + discovery)
        #expect(filters.server == "arp or ((dst host 10.77.1.1 and (icmp or tcp dst portrange 20000-65535)))" + discovery)
        func segment(to port: UInt16) -> [UInt8] {
            var bytes = packet(to: "10.77.1.1", protocolNumber: 6)
            (bytes[36], bytes[37]) = (UInt8(port >> 8), UInt8(port & 255))
            return bytes
        }
        let client = try PacketFilter(filters.client)
        let server = try PacketFilter(filters.server)
        let passed = [80, 22, 20_000].map { client.passes(segment(to: $0)) } + [80, 22, 20_000].map { server.passes(segment(to: $0)) }
        #expect(passed == [true, false, false, false, false, true])
        let others = [1, 17].map { client.passes(packet(to: "10.77.1.1", protocolNumber: $0)) }
        #expect(others == [true, false])
    }

    @Test func oneCaptureForBothSidesTakesWhatEachTakes() throws {
        let filter = try PacketFilter(filters().both)
        let passed = ["10.77.1.100", "10.77.2.200", "10.77.2.1"].map { filter.passes(packet(to: $0, protocolNumber: 6)) }
        #expect(passed == [true, true, false])
    }

    @Test func libpcapsInboundIsNotUsed() {
        for template in [CaptureFilters.builtIn.client, CaptureFilters.builtIn.server] { #expect(!template.text.contains("inbound")) }
    }

    // MARK: Where they come from

    @Test func aNamedDirectoryMustHoldBoth() throws {
        let files = ["d/client-side.filter": "arp", "d/server-side.filter": "ip"]
        let found = try CaptureFilters.find(directory: "d", executable: "/usr/bin/x") { files[$0] }
        #expect(found.client.text == "arp" && found.server.text == "ip" && found.origin == "d")
        #expect(throws: FilterError("e must hold the files client-side.filter and server-side.filter, readable")) {
            _ = try CaptureFilters.find(directory: "e", executable: "/usr/bin/x") { files[$0] }
        }
    }

    @Test func thePackageOfTheBuildDirectoryIsLookedIn() throws {
        #expect(CaptureFilters.directories(beside: "/p/.build/debug/sluice-dispatcher") == ["/p/.build/debug/Filters", "/p/Filters"])
        #expect(CaptureFilters.directories(beside: "/usr/bin/sluice-dispatcher") == ["/usr/bin/Filters"])
        let files = ["/p/Filters/client-side.filter": "arp", "/p/Filters/server-side.filter": "ip"]
        #expect(try CaptureFilters.find(directory: nil, executable: "/p/.build/debug/x") { files[$0] }.origin == "/p/Filters")
        #expect(try CaptureFilters.find(directory: nil, executable: "/usr/bin/x") { files[$0] } == .builtIn)
    }

    // MARK: Templates

    @Test func commentsGoAndVariablesAreReplaced() throws {
        let template = FilterTemplate(name: "f", text: "# $NOBODY reads this\narp\n  or $A_HOSTS # not a comment\n\n")
        #expect(try template.expanded(["A_HOSTS": "(dst host 1.2.3.4)"]) == "arp or (dst host 1.2.3.4) # not a comment")
    }

    @Test func unknownVariablesAreNamedWithTheirLine() {
        #expect(throws: FilterError("f:2: unknown variable: $SERVICE_HOST")) {
            _ = try FilterTemplate(name: "f", text: "arp\nor $SERVICE_HOST").expanded(["SERVICE_HOSTS": "x"])
        }
    }

    @Test func anEmptyOneIsRefused() {
        #expect(throws: FilterError("f: there is no expression in it")) {
            _ = try FilterTemplate(name: "f", text: "# only words\n").expanded([:])
        }
    }

    @Test func oneThatDoesNotCompileIsNamed() throws {
        let configuration = try TestConfigurations.read(TestConfigurations.least)
        let filters = CaptureFilters(
            client: FilterTemplate(name: "mine.filter", text: "dst hostess $SERVICE_HOSTS"), server: CaptureFilters.builtIn.server,
            origin: "d")
        let error = #expect(throws: FilterError.self) { _ = try filters.expanded(for: configuration) }
        #expect(error?.description.hasPrefix("mine.filter: the filter \"dst hostess (dst host 10.77.1.100)\" does not compile: ") == true)
    }
}
