import DispatcherCore

/// ICMP messages as routers and hosts write them, apart from the code under test.
enum TestICMP {
    static let router = IPAddress("10.99.0.1")!
    static let routerIPv6 = IPAddress("fd77:99::1")!

    /// A packet of its destination's family with anything in it, in a frame.
    static func packet(
        _ protocolNumber: UInt8, _ payload: [UInt8], from source: IPAddress, to destination: IPAddress,
        sender: HardwareAddress = HardwareAddress(bits: 0x02_00_00_00_99_01),
        receiver: HardwareAddress = SimulatedDispatcher.clientSideHardware
    ) -> [UInt8] {
        // What a segment's writer makes of the addresses serves any protocol once the number is another one.
        let carrier = TestSegment(source: Endpoint(address: source, port: 0), destination: Endpoint(address: destination, port: 0))
        guard destination.isIPv4 else {
            var frame = Array(carrier.frame(from: sender, to: receiver)[..<54])
            TestSegment.store(UInt16(payload.count), at: 18, in: &frame)
            frame[20] = protocolNumber
            return frame + payload
        }
        var frame = Array(carrier.frame(from: sender, to: receiver)[..<34])
        TestSegment.store(UInt16(20 + payload.count), at: 16, in: &frame)
        frame[23] = protocolNumber
        TestSegment.store(0, at: 24, in: &frame)
        TestSegment.store(~TestChecksum.fold(TestChecksum.sum(frame[14..<34])), at: 24, in: &frame)
        return frame + payload
    }

    /// The sum of a message with what its checksum covers beside it: 0xFFFF when it is right.
    static func sum(_ message: [UInt8], from source: IPAddress, to destination: IPAddress) -> UInt16 {
        var sum = TestChecksum.sum(message[...])
        if !destination.isIPv4 {
            sum += TestChecksum.pseudoHeader(source: source, destination: destination, length: message.count, protocolNumber: 58)
        }
        return TestChecksum.fold(sum)
    }

    /// A message in a packet of its destination's family in a frame; its checksum is made good.
    static func frame(
        _ message: [UInt8], from source: IPAddress? = nil, to destination: IPAddress,
        sender: HardwareAddress = HardwareAddress(bits: 0x02_00_00_00_99_01),
        receiver: HardwareAddress = SimulatedDispatcher.clientSideHardware
    ) -> [UInt8] {
        let source = source ?? (destination.isIPv4 ? router : routerIPv6)
        var message = message
        TestSegment.store(0, at: 2, in: &message)
        TestSegment.store(~sum(message, from: source, to: destination), at: 2, in: &message)
        return packet(destination.isIPv4 ? 1 : 58, message, from: source, to: destination, sender: sender, receiver: receiver)
    }

    /// What an error quotes of a segment: its IP header and the first bytes behind it (RFC 792: eight, RFC 1812 4.3.2.3: more).
    static func quote(_ segment: TestSegment, bytes: Int = 8, ipOptions: [UInt8] = [], length: Int? = nil) -> [UInt8] {
        let frame = segment.frame(from: .none, to: .none)
        guard segment.source.address.isIPv4 else {
            var header = Array(frame[14..<54])
            if let length { TestSegment.store(UInt16(length - 40), at: 4, in: &header) }
            return header + frame[54...].prefix(bytes)
        }
        var header = Array(frame[14..<34])
        header[0] = 0x45 + UInt8(ipOptions.count / 4)
        TestSegment.store(UInt16(length ?? frame.count - 14 + ipOptions.count), at: 2, in: &header)
        return header + ipOptions + frame[34...].prefix(bytes)
    }

    /// An error about a segment, to whoever sent that. The MTU is in the lower half of its word for IPv4, and all of it for IPv6.
    static func error(_ type: UInt8, _ code: UInt8, mtu: Int = 0, about segment: TestSegment, quoting bytes: Int = 8) -> [UInt8] {
        let word = (0..<4).map { UInt8(mtu >> (24 - 8 * $0) & 255) }
        return frame([type, code, 0, 0] + word + quote(segment, bytes: bytes), to: segment.source.address)
    }

    /// What the router before a link of `mtu` bytes says of a segment that does not fit.
    static func tooBig(mtu: Int, about segment: TestSegment) -> [UInt8] {
        segment.source.address.isIPv4 ? error(3, 4, mtu: mtu, about: segment) : error(2, 0, mtu: mtu, about: segment, quoting: 1_192)
    }
}

/// A router before a host whose next link takes less than the segments that come: it drops them, for they have DF, and says so.
final class NarrowRouter {
    let mtu: Int
    /// Whether it tells its MTU (RFC 1191); older routers send 0.
    var tellsMTU = true
    private(set) var dropped = 0
    private(set) var passed = 0
    private(set) var largest = 0

    init(_ world: World, before host: TestHost, mtu: Int) {
        self.mtu = mtu
        let (up, down) = world.links[host.name]!
        let deliver = down.deliver
        down.deliver = { [self, unowned up] frame in
            let length = frame.bytes.count - 14
            largest = max(largest, length)
            guard length > mtu, let segment = try? TestSegment(frame: frame.bytes) else {
                passed += 1
                return deliver(frame)
            }
            dropped += 1
            up.send(TestICMP.tooBig(mtu: tellsMTU ? mtu : 0, about: segment))
        }
    }
}
