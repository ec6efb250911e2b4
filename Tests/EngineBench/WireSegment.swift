import DispatcherCore

/// A TCP segment of IPv4 as the peers of the benchmark read and write it. They trust the engine: other tests hold it to the letter.
struct WireSegment {
    var source: UInt32
    var destination: UInt32
    var sourcePort: UInt16
    var destinationPort: UInt16
    var sequence: UInt32
    var acknowledgement: UInt32
    var flags: UInt8
    var window: UInt16
    /// Only SYNs have options here: MSS, SACK permitted, window scale.
    var hasOptions = false
    /// The window scale of a SYN that was read.
    var scale: UInt8 = 0
    var payload = UnsafeRawBufferPointer.empty

    static let fin: UInt8 = 1
    static let syn: UInt8 = 2
    static let rst: UInt8 = 4
    static let psh: UInt8 = 8
    static let ack: UInt8 = 16

    func has(_ flag: UInt8) -> Bool { flags & flag != 0 }
}

extension WireSegment {
    /// Reads what an engine sends.
    init?(_ packet: Egress.Packet, _ bytes: UnsafeMutableRawBufferPointer) {
        guard bytes.count >= 40, bytes[0] == 0x45, bytes[9] == 6 else { return nil }
        func word(_ at: Int) -> UInt32 { UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)) }
        func half(_ at: Int) -> UInt16 { UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt16.self)) }
        let header = 20 + Int(bytes[32] >> 4) * 4
        self.init(
            source: word(12), destination: word(16), sourcePort: half(20), destinationPort: half(22), sequence: word(24),
            acknowledgement: word(28), flags: bytes[33], window: half(34))
        payload = packet.payload.isEmpty ? UnsafeRawBufferPointer(rebasing: bytes[header...]) : packet.payload
        guard has(Self.syn) else { return }
        var at = 40
        while at + 2 < header, bytes[at] != 0 {
            if bytes[at] == 1 {
                at += 1
                continue
            }
            if bytes[at] == 3 { scale = bytes[at + 2] }
            at += max(2, Int(bytes[at + 1]))
        }
    }

    /// Bytes of the frame that carries it.
    var frameLength: Int { 14 + 20 + 20 + (hasOptions ? 12 : 0) + payload.count }

    /// Writes it as an Ethernet frame with whole checksums, as a card hands it in.
    func write(to frame: UnsafeMutableRawPointer, from hardware: HardwareAddress) {
        func store(_ value: UInt32, _ at: Int) { frame.storeBytes(of: value.bigEndian, toByteOffset: at, as: UInt32.self) }
        func store(_ value: UInt16, _ at: Int) { frame.storeBytes(of: value.bigEndian, toByteOffset: at, as: UInt16.self) }
        let header = 20 + (hasOptions ? 12 : 0)
        // To 02:00:00:00:01:00.
        store(0x0200_0000 as UInt32, 0)
        store(0x0100 as UInt16, 4)
        store(UInt32(truncatingIfNeeded: hardware.bits >> 16), 6)
        store(UInt16(truncatingIfNeeded: hardware.bits), 10)
        store(0x0800 as UInt16, 12)
        store(0x4500_0000 | UInt32(20 + header + payload.count), 14)
        store(0x0000_4000 as UInt32, 18)
        store(0x4006_0000 as UInt32, 22)
        store(source, 26)
        store(destination, 30)
        var sum = Checksum()
        sum.add(UnsafeRawBufferPointer(start: frame + 14, count: 20))
        store(sum.field, 24)
        store(sourcePort, 34)
        store(destinationPort, 36)
        store(sequence, 38)
        store(acknowledgement, 42)
        store(UInt16(header / 4) << 12 | UInt16(flags), 46)
        store(window, 48)
        store(0 as UInt32, 50)
        if hasOptions {
            store(0x0204_05B4 as UInt32, 54)
            store(0x0402_0103 as UInt32, 58)
            store(0x0307_0000 as UInt32, 62)
        }
        if let start = payload.baseAddress { (frame + 34 + header).copyMemory(from: start, byteCount: payload.count) }
        var tcp = Checksum()
        tcp.addPseudoHeader(
            source: IPAddress(v4: source), destination: IPAddress(v4: destination), protocolNumber: 6, length: header + payload.count)
        tcp.add(UnsafeRawBufferPointer(start: frame + 34, count: header + payload.count))
        store(tcp.field, 50)
    }
}
