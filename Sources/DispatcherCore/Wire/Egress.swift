/// Where a packet goes on its link.
public enum NextHop: Equatable, Sendable {
    /// By the routing table of whoever transmits.
    case route
    /// To this neighbour.
    case neighbour(HardwareAddress)
}

/// Why the engine sent a packet; each is counted.
public enum EmissionKind: UInt8, CaseIterable, Sendable {
    case forwarded, handshake, connect, acknowledgement, request, answer, fin, reset, probe, icmp, challenge
    case tailProbe

    /// As it is called in metrics.
    public var label: String { DropReason.kebab(String(describing: self)) }
}

/// A TCP segment to be sent: the fields that are ours to choose. The payload is handed over beside it.
public struct OutgoingSegment: Sendable {
    public var side: Side
    public var nextHop = NextHop.route
    public var source: Endpoint
    public var destination: Endpoint
    public var sequence: SequenceNumber
    public var acknowledgement: SequenceNumber
    public var flags: TCPFlags
    /// As on the wire: scaled already.
    public var window: UInt16
    /// The option MSS; 0 = none.
    public var maximumSegmentSize: UInt16 = 0
    /// The option window scale (RFC 7323 section 2.2); nil = none.
    public var windowScale: UInt8?
    public var sackPermitted = false
    public var sack = SACKBlocks()
    /// The most payload bytes a segment on the wire may have beside no option; a longer payload is split by whoever transmits. It is the
    /// destination's: a payload that came in one segment of IPv4 may need two of IPv6.
    public var segmentSize: Int
    /// The folded sum of the payload, where it is known from a verified checksum; nil = compute it.
    public var payloadSum: UInt16?

    /// Bytes of the options.
    var optionLength: Int {
        (maximumSegmentSize == 0 ? 0 : 4) + (sackPermitted ? 4 : 0) + (windowScale == nil ? 0 : 4) + sack.optionLength
    }

    /// The most payload that one packet takes beside its headers and options; bytes.
    var mostPayload: Int { 65_535 - IPHeader.length(for: destination.address) - 20 - optionLength }

    /// Writes the options, each padded with NOPs to four bytes.
    func writeOptions(at start: UnsafeMutableRawPointer) {
        var at = start
        if maximumSegmentSize != 0 {
            at.store(0x0204_0000 | UInt32(maximumSegmentSize), at: 0)
            at += 4
        }
        if sackPermitted {
            at.store(UInt32(0x0101_0402), at: 0)
            at += 4
        }
        if let windowScale {
            at.store(0x0103_0300 | UInt32(windowScale), at: 0)
            at += 4
        }
        if sack.count > 0 { sack.write(at: at) }
    }

    public init(
        side: Side, source: Endpoint, destination: Endpoint, sequence: SequenceNumber, acknowledgement: SequenceNumber, flags: TCPFlags,
        window: UInt16, segmentSize: Int
    ) {
        self.side = side
        self.source = source
        self.destination = destination
        self.sequence = sequence
        self.acknowledgement = acknowledgement
        self.flags = flags
        self.window = window
        self.segmentSize = segmentSize
    }
}

/// The packets that an engine wants sent: IP packets in one arena, with room for a link header before each.
///
/// The owner hands it in, sends what is in it after each batch and empties it. An engine copies each payload once, into here, or, where
/// the payload lies in memory of its own that stays as it is until then, not at all.
public struct Egress: ~Copyable {
    /// One IP packet.
    public struct Packet {
        public var side: Side
        public var nextHop: NextHop
        public var destination: IPAddress
        /// Where the IP header begins in the arena, and how many of the packet's bytes lie there: all, or its headers only.
        public var offset: Int
        public var length: Int
        /// The payload, where it lies elsewhere. Valid until `removeAll`, as the bytes in the arena are.
        public var payload = UnsafeRawBufferPointer.empty
        /// TCP payload bytes a segment on the wire may have; when the packet has more, `SegmentSplitter` (or the device) cuts it.
        /// 0 = not a TCP segment.
        public var segmentSize: Int
        /// Whether the TCP checksum field holds only the pseudo-header's sum, for whoever cuts or sends to finish.
        public var isChecksumPartial = false

        /// Bytes of the whole packet.
        public var wholeLength: Int { length + payload.count }
    }

    /// Free bytes before each packet, for a virtio and an Ethernet header.
    public static let headroom = 32
    /// An arena with fewer bytes free counts as full: the largest packet, its headroom and its alignment.
    static let largest = 65_535 + headroom + 16

    /// TCP payload of the largest IPv4 packet, without options; bytes. `OutgoingSegment.mostPayload` is exact.
    static let mostPayload = 65_535 - 40
    /// TCP payload that fits every packet, whatever its family and options.
    static let alwaysFits = 65_535 - 40 - 60
    /// Payload that is left where it lies has at least as many bytes: fewer are copied sooner than they are gathered.
    static let leastGathered = 2_048

    private let arena: UnsafeMutableRawPointer
    private let capacity: Int
    private let packets: UnsafeMutablePointer<Packet>
    private let packetCapacity: Int
    let leavesChecksums: Bool
    let gathers: Bool
    /// Memory whose bytes stay as they are until `removeAll`: a payload that lies there is left there.
    public var steadyMemory = UnsafeRawBufferPointer.empty
    private var used = 0
    /// Payload bytes that lie elsewhere.
    private var gathered = 0
    /// Counts how often it was emptied.
    private(set) var generation: UInt32 = 1
    /// How many packets wait to be sent.
    public private(set) var count = 0

    /// - Parameters:
    ///   - packets: how many packets it holds.
    ///   - bytes: how many bytes, headers and headroom included.
    ///   - leavesChecksums: whether whoever sends finishes TCP checksums. One that a verified checksum gives is complete all the same,
    ///     so that no device puts a right one on a payload that was damaged on its way through.
    ///   - gathers: whether whoever sends takes a payload from where it lies.
    public init(packets packetCapacity: Int = 2_048, bytes: Int = 4 << 20, leavesChecksums: Bool = false, gathers: Bool = false) {
        precondition(packetCapacity > 0 && bytes >= 2 * Self.largest)
        self.leavesChecksums = leavesChecksums
        self.gathers = gathers
        self.packetCapacity = packetCapacity
        capacity = bytes
        arena = .allocate(byteCount: bytes, alignment: 64)
        packets = .allocate(capacity: packetCapacity)
    }

    deinit {
        arena.deallocate()
        packets.deallocate()
    }

    /// Whether it should be sent before more is asked of the engine: at half, so that one more frame always finds room.
    public var wantsFlush: Bool { count >= packetCapacity / 2 || used + gathered >= capacity / 2 }

    /// Whether a payload of so many bytes that stays where it is would be left there.
    func wouldGather(_ length: Int) -> Bool { gathers && length >= Self.leastGathered }

    /// Whether a payload is taken from where it lies.
    func gathers(_ payload: UnsafeRawBufferPointer, stays: Bool = false) -> Bool {
        guard wouldGather(payload.count), let start = payload.baseAddress else { return false }
        guard !stays else { return true }
        guard let first = steadyMemory.baseAddress else { return false }
        return start >= first && start + payload.count <= first + steadyMemory.count
    }

    /// Puts the payload of the packet that was reserved last behind its headers, or leaves it where it is.
    mutating func place(_ payload: UnsafeRawBufferPointer, at end: UnsafeMutableRawPointer, isGathered: Bool) {
        if isGathered {
            packets[count - 1].payload = payload
            gathered += payload.count
        } else if let bytes = payload.baseAddress {
            end.copyMemory(from: bytes, byteCount: payload.count)
        }
    }

    /// Whether only the room of a few packets is left.
    var isNearlyFull: Bool { count >= packetCapacity - 8 || capacity - used < 2 * Self.largest }

    public subscript(index: Int) -> Packet {
        precondition(index >= 0 && index < count)
        return packets[index]
    }

    /// The bytes of a packet that lie in the arena, from its IP header on. Valid until `removeAll`.
    public func bytes(of packet: Packet) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: arena + packet.offset, count: packet.length)
    }

    /// A copy of a packet, from its IP header to its last byte.
    public func whole(_ packet: Packet) -> [UInt8] { Array(bytes(of: packet)) + Array(packet.payload) }

    public mutating func removeAll() {
        count = 0
        used = 0
        gathered = 0
        generation &+= 1
    }

    /// Room for a packet of `length` bytes; nil when full.
    mutating func reserve(
        _ length: Int, side: Side, nextHop: NextHop, destination: IPAddress, segmentSize: Int
    ) -> UnsafeMutableRawPointer? {
        guard count < packetCapacity, capacity - used >= Self.headroom + length + 16, length <= 65_535 else { return nil }
        let offset = used + Self.headroom
        packets[count] = Packet(
            side: side, nextHop: nextHop, destination: destination, offset: offset, length: length, segmentSize: segmentSize)
        count += 1
        used = (offset + length + 15) & ~15
        return arena + offset
    }

    /// The checksum of the packet that was reserved last is left to whoever sends it.
    mutating func leaveLastChecksum() { packets[count - 1].isChecksumPartial = true }

    /// Writes a TCP segment.
    /// - Parameter stays: whether the payload stays where it is, unchanged, until `removeAll`.
    /// - Returns: false when there is no room: the segment is lost, as on a full link.
    mutating func append(_ segment: OutgoingSegment, payload: UnsafeRawBufferPointer, stays: Bool = false) -> Bool {
        let optionLength = segment.optionLength
        let tcpHeader = 20 + optionLength
        let ipHeader = IPHeader.length(for: segment.destination.address)
        let length = ipHeader + tcpHeader + payload.count
        let segmentSize = segment.segmentSize - optionLength
        let isGathered = gathers(payload, stays: stays)
        guard length <= 65_535,
            let packet = reserve(
                isGathered ? length - payload.count : length, side: segment.side, nextHop: segment.nextHop,
                destination: segment.destination.address,
                segmentSize: segmentSize)
        else { return false }
        IPHeader.write(
            at: packet, source: segment.source.address, destination: segment.destination.address, protocolNumber: 6, length: length)
        let tcp = packet + ipHeader
        tcp.store(segment.source.port, at: 0)
        tcp.store(segment.destination.port, at: 2)
        tcp.store(segment.sequence.value, at: 4)
        tcp.store(segment.flags.contains(.ack) ? segment.acknowledgement.value : 0, at: 8)
        tcp.store(UInt16(tcpHeader / 4) << 12 | UInt16(segment.flags.rawValue), at: 12)
        tcp.store(segment.window, at: 14)
        tcp.store(UInt32(0), at: 16)
        if optionLength > 0 { segment.writeOptions(at: tcp + 20) }
        place(payload, at: tcp + tcpHeader, isGathered: isGathered)

        var sum = Checksum()
        sum.addPseudoHeader(
            source: segment.source.address, destination: segment.destination.address, protocolNumber: 6, length: tcpHeader + payload.count)
        if payload.count > segmentSize || (leavesChecksums && segment.payloadSum == nil) {
            packets[count - 1].isChecksumPartial = true
            tcp.store(sum.folded, at: 16)
        } else {
            sum.add(UnsafeRawBufferPointer(start: tcp, count: tcpHeader))
            sum.add(segment.payloadSum ?? Checksum.partial(payload))
            tcp.store(sum.field, at: 16)
        }
        return true
    }
}
