/// A message of neighbour discovery about one address: who has it, or where it is (RFC 4861 4.3, 4.4).
public struct NeighbourMessage: Equatable, Sendable {
    public enum Kind: Sendable { case solicitation, advertisement }

    public var kind: Kind
    /// Of the IP header; `::` while a host finds out whether somebody else has the address (RFC 4862 5.4.2).
    public var source: IPAddress
    public var destination: IPAddress
    /// The address that it is about.
    public var target: IPAddress
    /// The option: of a solicitation the source's hardware address, of an advertisement the target's; nil = none.
    public var hardware: HardwareAddress?
    /// Of the Ethernet header.
    public var sender: HardwareAddress
    // The flags of an advertisement.
    public var isRouter = false
    public var isSolicited = false
    public var overrides = false

    public init(
        kind: Kind, source: IPAddress, destination: IPAddress, target: IPAddress, hardware: HardwareAddress?, sender: HardwareAddress
    ) {
        self.kind = kind
        self.source = source
        self.destination = destination
        self.target = target
        self.hardware = hardware
        self.sender = sender
    }

    // MARK: What is asked and told

    /// Asks everybody in question for the hardware address of `target`, or `target` itself whether it is still there.
    public static func solicitation(
        for target: IPAddress, from source: IPAddress, at sender: HardwareAddress, isProbe: Bool = false
    ) -> NeighbourMessage {
        NeighbourMessage(
            kind: .solicitation, source: source, destination: isProbe ? target : target.solicitedNodeGroup, target: target,
            hardware: sender, sender: sender)
    }

    /// Asks whether somebody else has an address that we are about to use (RFC 4862 5.4.2).
    public static func duplicateCheck(of address: IPAddress, at sender: HardwareAddress) -> NeighbourMessage {
        NeighbourMessage(
            kind: .solicitation, source: .unspecified, destination: address.solicitedNodeGroup, target: address, hardware: nil,
            sender: sender)
    }

    /// Tells everybody where an address of ours is, unasked (RFC 4861 7.2.6).
    public static func announcement(of address: IPAddress, at sender: HardwareAddress) -> NeighbourMessage {
        var message = NeighbourMessage(
            kind: .advertisement, source: address, destination: .allNodes, target: address, hardware: sender, sender: sender)
        message.overrides = true
        return message
    }

    /// The answer to a solicitation for an address of ours. One that has no source yet is answered to everybody (RFC 4861 7.2.4).
    public func answer(at own: HardwareAddress) -> NeighbourMessage {
        var message = Self.announcement(of: target, at: own)
        if source != .unspecified {
            message.destination = source
            message.isSolicited = true
        }
        return message
    }

    // MARK: Reading

    public enum Parsed: Equatable, Sendable {
        case message(NeighbourMessage)
        /// Routers' messages and redirects: the kernel's routing table tells the way.
        case other
        /// What a receiver must not heed (RFC 4861 7.1).
        case malformed
    }

    /// Whether a frame is for this layer: ICMPv6 types 133 to 137 without extension headers before them.
    @inline(__always) public static func isNeighbourDiscovery(_ bytes: RawSpan) -> Bool {
        bytes.byteCount > icmp && bytes.uint16(12) == 0x86DD && bytes.byte(ip + 6) == 58 && (133...137).contains(bytes.byte(icmp))
    }

    private static let ip = Frame.ethernetHeaderLength
    private static let icmp = Frame.ethernetHeaderLength + 40
    /// Bytes of both messages without options.
    private static let fixedLength = 24
    private static let sourceOption: UInt8 = 1
    private static let targetOption: UInt8 = 2

    /// Reads a frame for which `isNeighbourDiscovery` holds, from its Ethernet header on, and judges it as RFC 4861 7.1.1 and 7.1.2 ask.
    public static func parse(_ bytes: RawSpan) -> Parsed {
        let type = bytes.byte(icmp)
        guard type == 135 || type == 136 else { return .other }
        let length = Int(bytes.uint16(ip + 4))
        let end = icmp + length
        // Only a hop limit of 255 shows that no router passed it on: whoever is not on the link cannot send such a packet here.
        guard bytes.byte(ip) >> 4 == 6, length >= fixedLength, bytes.byteCount >= end, bytes.byte(ip + 7) == 255,
            bytes.byte(icmp + 1) == 0
        else { return .malformed }
        let source = address(bytes, ip + 8)
        let destination = address(bytes, ip + 24)
        var sum = Checksum()
        sum.addPseudoHeader(source: source, destination: destination, protocolNumber: 58, length: length)
        sum.add(bytes.extracting(icmp..<end).withUnsafeBytes { Checksum.partial($0) })
        guard sum.folded == 0xFFFF else { return .malformed }

        let target = address(bytes, icmp + 8)
        // A mapped address is none on the wire (RFC 4291 2.5.5.2): it would pass for the IPv4 address that it is to us.
        guard !target.isMulticast, !target.isIPv4, !source.isIPv4, source.isUnicastSource || source == .unspecified else {
            return .malformed
        }
        let option = type == 135 ? sourceOption : targetOption
        guard let options = parseOptions(bytes, from: icmp + fixedLength, to: end, wanted: option) else { return .malformed }
        var message = NeighbourMessage(
            kind: type == 135 ? .solicitation : .advertisement, source: source, destination: destination, target: target,
            hardware: options.hardware, sender: bytes.hardwareAddress(6))
        if type == 135 {
            guard source != .unspecified || (destination.isSolicitedNodeGroup && message.hardware == nil) else { return .malformed }
        } else {
            let flags = bytes.byte(icmp + 4)
            message.isRouter = flags & 0x80 != 0
            message.isSolicited = flags & 0x40 != 0
            message.overrides = flags & 0x20 != 0
            guard source != .unspecified, !destination.isMulticast || !message.isSolicited else { return .malformed }
        }
        return .message(message)
    }

    private struct Options { var hardware: HardwareAddress? }

    /// - Returns: nil when one of them has no length or is longer than the message. Unknown ones are skipped.
    private static func parseOptions(_ bytes: RawSpan, from start: Int, to end: Int, wanted: UInt8) -> Options? {
        var options = Options()
        var at = start
        while at < end {
            guard at + 8 <= end else { return nil }
            let length = Int(bytes.byte(at + 1)) * 8
            guard length > 0, at + length <= end else { return nil }
            if bytes.byte(at) == wanted, length == 8, options.hardware == nil { options.hardware = bytes.hardwareAddress(at + 2) }
            at += length
        }
        return options
    }

    // MARK: Writing

    /// Bytes of an Ethernet frame with the longest message.
    public static let mostFrameLength = Frame.ethernetHeaderLength + 40 + fixedLength + 8

    /// Bytes of the Ethernet frame with this message.
    public var frameLength: Int { Self.mostFrameLength - (hardware == nil ? 8 : 0) }

    /// Writes the message as an Ethernet frame of `frameLength` bytes.
    /// - Parameter to: the frame's destination, unless the message goes to a group.
    public func writeFrame(to destinationHardware: HardwareAddress, into frame: UnsafeMutableRawBufferPointer) {
        precondition(frame.count >= frameLength)
        let at = frame.baseAddress!
        at.store(destination.isMulticast ? destination.groupHardware : destinationHardware, at: 0)
        at.store(sender, at: 6)
        at.store(UInt16(0x86DD), at: 12)
        let length = frameLength - Self.icmp
        at.store(UInt32(0x6000_0000), at: Self.ip)
        at.store(UInt16(length), at: Self.ip + 4)
        at.store(UInt16(58 << 8 | 255), at: Self.ip + 6)
        Self.store(source, at + (Self.ip + 8))
        Self.store(destination, at + (Self.ip + 24))
        let icmp = at + Self.icmp
        icmp.store(UInt32(kind == .solicitation ? 135 : 136) << 24, at: 0)
        let flags: UInt32 = (isRouter ? 1 << 31 : 0) | (isSolicited ? 1 << 30 : 0) | (overrides ? 1 << 29 : 0)
        icmp.store(kind == .solicitation ? 0 : flags, at: 4)
        Self.store(target, icmp + 8)
        if let hardware {
            icmp.store(kind == .solicitation ? Self.sourceOption : Self.targetOption, at: Self.fixedLength)
            icmp.store(UInt8(1), at: Self.fixedLength + 1)
            icmp.store(hardware, at: Self.fixedLength + 2)
        }
        var sum = Checksum()
        sum.addPseudoHeader(source: source, destination: destination, protocolNumber: 58, length: length)
        sum.add(UnsafeRawBufferPointer(start: icmp, count: length))
        icmp.store(sum.field, at: 2)
    }

    private static func address(_ bytes: RawSpan, _ offset: Int) -> IPAddress {
        IPAddress(high: bytes.uint64(offset), low: bytes.uint64(offset + 8))
    }

    private static func store(_ address: IPAddress, _ at: UnsafeMutableRawPointer) {
        at.store(address.high, at: 0)
        at.store(address.low, at: 8)
    }
}

extension IPAddress {
    /// `::`
    public static let unspecified = IPAddress(high: 0, low: 0)
    /// `ff02::1`
    public static let allNodes = IPAddress(high: 0xFF02 << 48, low: 1)

    /// Whether it is an IPv6 group.
    public var isMulticast: Bool { high >> 56 == 0xFF }

    /// Where solicitations for an IPv6 address go: `ff02::1:ff00:0` with its last three bytes (RFC 4291 2.7.1).
    public var solicitedNodeGroup: IPAddress { IPAddress(high: 0xFF02 << 48, low: 0x0000_0001_FF00_0000 | low & 0xFF_FFFF) }

    var isSolicitedNodeGroup: Bool { high == 0xFF02 << 48 && low >> 24 == 0x0000_0001_FF }

    /// The Ethernet address of an IPv6 group (RFC 2464 section 7).
    public var groupHardware: HardwareAddress { HardwareAddress(bits: 0x3333 << 32 | low & 0xFFFF_FFFF) }
}
