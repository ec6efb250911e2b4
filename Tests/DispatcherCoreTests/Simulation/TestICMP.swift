import DispatcherCore

/// ICMP messages as routers and hosts write them, apart from the code under test.
enum TestICMP {
    static let router = IPAddress("10.99.0.1")!

    /// A message in an IPv4 packet in a frame; its checksum is made good.
    static func frame(
        _ message: [UInt8], from source: IPAddress = router, to destination: IPAddress,
        sender: HardwareAddress = HardwareAddress(bits: 0x02_00_00_00_99_01),
        receiver: HardwareAddress = SimulatedDispatcher.clientSideHardware
    ) -> [UInt8] {
        // What a segment's writer makes of the addresses serves any protocol once the number is another one.
        let carrier = TestSegment(source: Endpoint(address: source, port: 0), destination: Endpoint(address: destination, port: 0))
        var frame = Array(carrier.frame(from: sender, to: receiver)[..<34])
        TestSegment.store(UInt16(20 + message.count), at: 16, in: &frame)
        frame[23] = 1
        TestSegment.store(0, at: 24, in: &frame)
        TestSegment.store(~TestChecksum.fold(TestChecksum.sum(frame[14..<34])), at: 24, in: &frame)
        var message = message
        TestSegment.store(0, at: 2, in: &message)
        TestSegment.store(~TestChecksum.fold(TestChecksum.sum(message[...])), at: 2, in: &message)
        return frame + message
    }

    /// What an error quotes of a segment: its IP header and the first bytes behind it (RFC 792: eight, RFC 1812 4.3.2.3: more).
    static func quote(_ segment: TestSegment, bytes: Int = 8, ipOptions: [UInt8] = [], length: Int? = nil) -> [UInt8] {
        let frame = segment.frame(from: .none, to: .none)
        var header = Array(frame[14..<34])
        header[0] = 0x45 + UInt8(ipOptions.count / 4)
        TestSegment.store(UInt16(length ?? frame.count - 14 + ipOptions.count), at: 2, in: &header)
        return header + ipOptions + frame[34...].prefix(bytes)
    }

    /// An error about a segment, to whoever sent that.
    static func error(_ type: UInt8, _ code: UInt8, mtu: Int = 0, about segment: TestSegment, quoting bytes: Int = 8) -> [UInt8] {
        let message = [type, code, 0, 0, 0, 0, UInt8(mtu >> 8), UInt8(mtu & 255)] + quote(segment, bytes: bytes)
        return frame(message, to: segment.source.address)
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
            up.send(TestICMP.error(3, 4, mtu: tellsMTU ? mtu : 0, about: segment))
        }
    }
}
