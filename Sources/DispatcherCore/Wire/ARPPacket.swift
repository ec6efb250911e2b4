/// An ARP packet for IPv4 over Ethernet (RFC 826).
public struct ARPPacket: Equatable, Sendable {
    public enum Operation: UInt16, Sendable { case request = 1, reply = 2 }

    public var operation: Operation
    public var senderHardware: HardwareAddress
    public var senderAddress: IPAddress
    public var targetHardware: HardwareAddress
    public var targetAddress: IPAddress

    /// Bytes of an Ethernet frame with an ARP packet, without padding.
    public static let frameLength = 42

    public init(
        operation: Operation, senderHardware: HardwareAddress, senderAddress: IPAddress, targetHardware: HardwareAddress,
        targetAddress: IPAddress
    ) {
        self.operation = operation
        self.senderHardware = senderHardware
        self.senderAddress = senderAddress
        self.targetHardware = targetHardware
        self.targetAddress = targetAddress
    }

    /// Reads the packet at `offset`; nil when it is too short or for other than IPv4 over Ethernet.
    init?(_ bytes: RawSpan, at offset: Int) {
        guard bytes.byteCount >= offset + 28, bytes.uint16(offset) == 1, bytes.uint16(offset + 2) == 0x0800,
            bytes.uint16(offset + 4) == 0x0604, let operation = Operation(rawValue: bytes.uint16(offset + 6))
        else { return nil }
        self.init(
            operation: operation,
            senderHardware: bytes.hardwareAddress(offset + 8),
            senderAddress: IPAddress(v4: bytes.uint32(offset + 14)),
            targetHardware: bytes.hardwareAddress(offset + 18),
            targetAddress: IPAddress(v4: bytes.uint32(offset + 24)))
    }

    /// Writes the packet as an Ethernet frame of `frameLength` bytes.
    /// - Parameter to: the frame's destination: the asker, or broadcast.
    public func writeFrame(to destination: HardwareAddress, into frame: UnsafeMutableRawBufferPointer) {
        precondition(frame.count >= Self.frameLength)
        let at = frame.baseAddress!
        at.store(destination, at: 0)
        at.store(senderHardware, at: 6)
        at.store(UInt16(0x0806), at: 12)
        at.store(UInt16(1), at: 14)
        at.store(UInt16(0x0800), at: 16)
        at.store(UInt16(0x0604), at: 18)
        at.store(operation.rawValue, at: 20)
        at.store(senderHardware, at: 22)
        at.store(senderAddress.v4, at: 28)
        at.store(targetHardware, at: 32)
        at.store(targetAddress.v4, at: 38)
    }
}
