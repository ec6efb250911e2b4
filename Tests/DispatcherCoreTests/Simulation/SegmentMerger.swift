import DispatcherCore

/// Merging of consecutive TCP segments into one of up to 64 KiB, as a receiving kernel does (GRO), and the reverse.
struct SegmentMerger {
    private var first: TestSegment
    private var payload: [UInt8]
    private let sender: HardwareAddress
    private let receiver: HardwareAddress
    private(set) var isComplete = false

    static let largestPayload = 65_535 - 40
    /// What the length field of each family can say: of an IPv6 packet 20 bytes more than fit into one of IPv4.
    private var mostPayload: Int { first.source.address.isIPv4 ? Self.largestPayload : Self.largestPayload + 20 }

    /// Begins with a segment that others may be appended to; nil when it is none.
    init?(_ frame: SimulatedFrame) {
        guard frame.tcpOffset != nil, frame.damage == .none, let segment = try? TestSegment(frame: frame.bytes), segment.checksum == .full,
            segment.flags == .ack, !segment.payload.isEmpty, segment.options.isEmpty
        else { return nil }
        first = segment
        payload = segment.payload
        (receiver, sender) = (Self.address(frame.bytes, at: 0), Self.address(frame.bytes, at: 6))
    }

    static func address(_ frame: [UInt8], at offset: Int) -> HardwareAddress {
        HardwareAddress(bits: frame[offset..<offset + 6].reduce(0) { $0 << 8 | UInt64($1) })
    }

    /// Takes the frame in when it continues what is there.
    mutating func append(_ frame: SimulatedFrame) -> Bool {
        guard !isComplete, frame.tcpOffset != nil, frame.damage == .none, let next = try? TestSegment(frame: frame.bytes),
            next.checksum == .full,
            next.source == first.source, next.destination == first.destination, next.acknowledgement == first.acknowledgement,
            next.flags.subtracting([.psh, .fin]) == .ack, next.options.isEmpty, !next.payload.isEmpty,
            next.sequence == first.sequence &+ UInt32(payload.count), payload.count + next.payload.count <= mostPayload
        else { return false }
        payload += next.payload
        first.window = next.window
        first.flags.formUnion(next.flags)
        isComplete = next.flags != .ack
        return true
    }

    func frame() -> [UInt8] {
        var merged = first
        merged.payload = payload
        return merged.frame(from: sender, to: receiver)
    }

    /// Cuts a segment with more than `payload` bytes; PSH and FIN stay on the last piece.
    static func split(_ frame: [UInt8], payload size: Int) -> [[UInt8]] {
        guard size > 0, frame.count > 54 + size, let whole = try? TestSegment(frame: frame), whole.payload.count > size else {
            return [frame]
        }
        return stride(from: 0, to: whole.payload.count, by: size).map { start in
            var piece = whole
            let end = min(start + size, whole.payload.count)
            piece.payload = Array(whole.payload[start..<end])
            piece.sequence = whole.sequence &+ UInt32(start)
            if end < whole.payload.count { piece.flags.subtract([.psh, .fin]) }
            piece.checksum = .full
            return piece.frame(from: address(frame, at: 6), to: address(frame, at: 0))
        }
    }

    /// Leaves only the pseudo-header's sum in the checksum field.
    static func makePartial(_ frame: inout [UInt8]) {
        guard var segment = try? TestSegment(frame: frame), segment.checksum == .full else { return }
        segment.checksum = .partial
        frame = segment.frame(from: address(frame, at: 6), to: address(frame, at: 0))
    }

    /// Makes the TCP checksum right again, whatever the segment now says.
    static func repairChecksum(_ frame: inout [UInt8]) {
        guard let tcp = SimulatedFrame.tcpOffset(frame) else { return }
        let isIPv4 = tcp == 34
        let end = min(frame.count, isIPv4 ? 14 + (Int(frame[16]) << 8 | Int(frame[17])) : 54 + (Int(frame[18]) << 8 | Int(frame[19])))
        guard end >= tcp + 20 else { return }
        TestSegment.store(0, at: tcp + 16, in: &frame)
        // Both addresses as they lie there.
        let addresses = TestChecksum.sum(isIPv4 ? frame[26..<34] : frame[22..<54])
        let sum = addresses + 6 + UInt32(end - tcp) + TestChecksum.sum(frame[tcp..<end])
        TestSegment.store(~TestChecksum.fold(sum), at: tcp + 16, in: &frame)
    }
}
