import RadioModel
import Testing

@Suite("Radio: what a capture tells")
struct CapturedTrafficTests {
    /// Frames made here, byte by byte.
    private enum Frame {
        /// An IPv4 packet with a TCP header of 20 bytes, of which `kept` bytes are captured.
        static func ipv4(_ source: String, _ destination: String, length: Int, flags: UInt8 = 0x10, fragment: UInt16 = 0) -> [UInt8] {
            let addresses = [source, destination].flatMap { $0.split(separator: ".").map { UInt8($0)! } }
            return [0x45, 0, UInt8(length >> 8), UInt8(length & 0xFF), 0, 0, UInt8(fragment >> 8), UInt8(fragment & 0xFF), 64, 6, 0, 0]
                + addresses
                + tcp(flags)
        }

        static func ipv6(_ source: UInt8, _ destination: UInt8, payload: Int, flags: UInt8 = 0x10) -> [UInt8] {
            func address(_ last: UInt8) -> [UInt8] { [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [last] }
            return [0x60, 0, 0, 0, UInt8(payload >> 8), UInt8(payload & 0xFF), 6, 64] + address(source) + address(destination) + tcp(flags)
        }

        private static func tcp(_ flags: UInt8) -> [UInt8] {
            [UInt8](repeating: 0, count: 12) + [0x50, flags] + [UInt8](repeating: 0, count: 6)
        }

        static func ethernet(_ packet: [UInt8], type: [UInt8]? = nil, tags: Int = 0) -> [UInt8] {
            let tag: [UInt8] = [0x81, 0x00, 0x00, 0x05]
            return [UInt8](repeating: 2, count: 12) + Array(repeatElement(tag, count: tags).joined())
                + (type ?? (packet[0] >> 4 == 4 ? [0x08, 0x00] : [0x86, 0xDD])) + packet
        }
    }

    private static let device = "10.0.0.2"
    private static let server = "203.0.113.1"

    private func traffic(_ frames: [[UInt8]], link: LinkLayer = .raw) -> CapturedTraffic {
        var traffic = CapturedTraffic(link: link)
        for (index, frame) in frames.enumerated() { traffic.add(frame, length: frame.count, at: .seconds(index)) }
        return traffic
    }

    private func part(_ traffic: CapturedTraffic, _ device: String...) throws -> CapturedTraffic.DevicePart {
        try traffic.part(of: Set(device.map { try #require(NetworkAddress($0)) }))
    }

    @Test("every link type leads to the same packets")
    func links() throws {
        let packets = [
            Frame.ipv4(Self.device, Self.server, length: 52), Frame.ipv4(Self.server, Self.device, length: 1_400),
            Frame.ipv6(2, 1, payload: 20), Frame.ipv6(1, 2, payload: 600),
        ]
        func cooked(_ packet: [UInt8]) -> [UInt8] {
            [UInt8](repeating: 0, count: 14) + (packet[0] >> 4 == 4 ? [0x08, 0x00] : [0x86, 0xDD]) + packet
        }
        func cooked2(_ packet: [UInt8]) -> [UInt8] {
            (packet[0] >> 4 == 4 ? [0x08, 0x00] : [0x86, 0xDD]) + [UInt8](repeating: 0, count: 18) + packet
        }
        let forms: [(number: Int32, frames: [[UInt8]])] = [
            (12, packets), (101, packets), (1, packets.map { Frame.ethernet($0) }), (1, packets.map { Frame.ethernet($0, tags: 2) }),
            (113, packets.map(cooked)), (276, packets.map(cooked2)), (0, packets.map { [2, 0, 0, 0] + $0 }),
        ]
        for (number, frames) in forms {
            let link = try #require(LinkLayer(dataLink: number))
            let part = try part(traffic(frames, link: link), Self.device, "2001:db8::2")
            #expect(part.packets.map(\.bytes) == [52, 1_400, 60, 640], "link type \(number)")
            #expect(part.packets.map(\.direction) == [.up, .down, .up, .down], "link type \(number)")
            #expect(part.packets.map(\.at) == [.zero, .seconds(1), .seconds(2), .seconds(3)], "link type \(number)")
        }
        #expect(LinkLayer(dataLink: 105) == nil)
    }

    @Test("what is no IP packet of the device is counted by its reason")
    func counted() throws {
        var frames = [Frame.ethernet([UInt8](repeating: 0, count: 28), type: [0x08, 0x06])]
        frames.append(Frame.ethernet(Array(Frame.ipv4(Self.device, Self.server, length: 52).prefix(19))))
        frames.append(Frame.ethernet([0x75] + [UInt8](repeating: 0, count: 40), type: [0x08, 0x00]))
        frames.append([1, 2, 3])
        frames.append(Frame.ethernet(Frame.ipv4(Self.device, Self.server, length: 52)))
        frames.append(Frame.ethernet(Frame.ipv4(Self.server, "10.0.0.3", length: 52)))
        frames.append(Frame.ethernet(Frame.ipv4(Self.device, "10.0.0.4", length: 52)))
        let traffic = traffic(frames, link: .ethernet)
        #expect(traffic.notIP == 2 && traffic.badHeaders == 2 && traffic.count == 3)
        let part = try part(traffic, Self.device, "10.0.0.4")
        #expect(part.packets.count == 1 && part.others == 1 && part.internalPackets == 1)
    }

    @Test("a length of zero, as of packets that the kernel has yet to cut, is taken from the wire")
    func largeSegments() throws {
        var traffic = CapturedTraffic(link: .ethernet)
        traffic.add(Frame.ethernet(Frame.ipv4(Self.device, Self.server, length: 0)), length: 65_614, at: .zero)
        #expect(try part(traffic, Self.device).packets.map(\.bytes) == [65_600])
    }

    @Test("the device is who has a part in every packet")
    func inferred() throws {
        let frames = [
            Frame.ipv4(Self.device, Self.server, length: 52), Frame.ipv4(Self.server, Self.device, length: 52),
            Frame.ipv4("203.0.113.9", Self.device, length: 80), Frame.ipv4("203.0.113.9", "224.0.0.251", length: 80),
        ]
        #expect(try traffic(frames).device() == NetworkAddress(Self.device))
    }

    @Test("of two ends, the device is the one that opens connections")
    func inferredBySYN() throws {
        let syn = Frame.ipv4(Self.device, Self.server, length: 60, flags: 0x02)
        let answer = Frame.ipv4(Self.server, Self.device, length: 60, flags: 0x12)
        #expect(try traffic([answer, syn, answer]).device() == NetworkAddress(Self.device))
        // Asked for one as well: nothing tells.
        let other = Frame.ipv4(Self.server, Self.device, length: 60, flags: 0x02)
        #expect(throws: RadioError.self) { _ = try traffic([syn, other]).device() }
        // A later fragment has no flags.
        let fragment = Frame.ipv4(Self.device, Self.server, length: 60, flags: 0x02, fragment: 0x0010)
        #expect(throws: RadioError.self) { _ = try traffic([fragment, answer]).device() }
        let six = [Frame.ipv6(1, 2, payload: 20, flags: 0x12), Frame.ipv6(2, 1, payload: 20, flags: 0x02)]
        #expect(try traffic(six).device() == NetworkAddress("2001:db8::2"))
    }

    @Test("where it is not clear, the error names the candidates, the busiest first")
    func ambiguous() {
        let both = #expect(throws: RadioError.self) {
            _ = try traffic([Frame.ipv4(Self.device, Self.server, length: 52)]).device()
        }
        #expect(both?.description.contains("--device") == true)
        #expect(both?.description.contains("\(Self.device) (1 packets)") == true)
        #expect(both?.description.contains("\(Self.server) (1 packets)") == true)

        let many =
            (1...12).map { Frame.ipv4("10.1.0.\($0)", "10.2.0.\($0)", length: 52) } + [Frame.ipv4("10.1.0.7", "10.3.0.1", length: 52)]
        let crowd = #expect(throws: RadioError.self) { _ = try traffic(many).device() }
        #expect(crowd?.description.contains(": 10.1.0.7 (2 packets), ") == true)
        #expect(crowd?.description.hasSuffix(" and 17 more") == true)
    }

    @Test("a capture without packets, of somebody else's, and of a device that talks to itself, says so")
    func nothing() {
        let empty = #expect(throws: RadioError.self) { _ = try traffic([]).device() }
        #expect(empty?.description.contains("no IP packet") == true)
        let others = #expect(throws: RadioError.self) {
            _ = try part(traffic([Frame.ipv4(Self.device, Self.server, length: 52)]), "192.0.2.77")
        }
        #expect(others?.description.contains("192.0.2.77") == true && others?.description.contains(Self.server) == true)
        let loop = traffic([Frame.ipv4("127.0.0.1", "127.0.0.1", length: 52, flags: 2)])
        let alone = #expect(throws: RadioError.self) { _ = try loop.device() }
        #expect(alone?.description.contains("to itself") == true)
        #expect(throws: RadioError.self) { _ = try part(loop, "127.0.0.1") }
    }

    @Test("packets out of order are counted and put into order")
    func order() throws {
        var traffic = CapturedTraffic(link: .raw)
        for (at, length) in [(5, 50), (9, 90), (7, 70), (4, 40), (9, 91), (10, 100)] {
            traffic.add(Frame.ipv4(Self.device, Self.server, length: length), length: length, at: .seconds(at))
        }
        #expect(traffic.outOfOrder == 2 && traffic.furthestBehind == .seconds(5))
        #expect(try part(traffic, Self.device).packets.map(\.bytes) == [40, 50, 70, 90, 91, 100])
    }
}
