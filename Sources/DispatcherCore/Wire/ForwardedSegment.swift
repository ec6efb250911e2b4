/// How a segment of somebody else's goes on: under other addresses, with its numbers moved, and otherwise as it came ([0050]).
struct ForwardedSegment {
    var side: Side
    var nextHop = NextHop.route
    var source: Endpoint
    var destination: Endpoint
    var sequence: SequenceNumber
    var acknowledgement: SequenceNumber
    /// As on the wire: scaled already.
    var window: UInt16
    /// What is added to the edges of its SACK blocks (RFC 2018 section 3).
    var sackDelta: UInt32 = 0
    /// Whether the option SACK goes, because the receiver has not agreed to it.
    var dropsSACK = false
    /// The most payload bytes a segment on the wire may have beside no option.
    var segmentSize: Int
    /// A larger option MSS becomes this; 0 = it stays.
    var largestMSS: UInt16 = 0
}

extension Egress {
    /// Writes a captured segment as it goes on. Its header, options and payload are copied as they came; DSCP and ECN too. TTL and hop limit
    /// begin anew. A payload that the destination's packets have no room for is left out at its end: its sender sends it again.
    /// - Parameters:
    ///   - segment, frame: as they were captured.
    ///   - payload: the bytes that go on.
    ///   - flags: all of the segment's, or fewer.
    /// - Returns: false when there is no room: the segment is lost, as on a full link.
    mutating func forward(
        _ segment: Segment, _ frame: RawSpan, payload: UnsafeRawBufferPointer, flags: TCPFlags, as outgoing: ForwardedSegment,
        payloadSum: UInt16?
    ) -> Bool {
        // A RST needs none either (RFC 9293 3.5.3 has it say nothing but its number).
        let dropsSACK = segment.options.sackCount > 0 && (outgoing.dropsSACK || flags.contains(.rst))
        let start = segment.payloadOffset - segment.headerLength
        let isBare = dropsSACK && ForwardedOptions.isAllSACK(frame, from: start + 20, to: segment.payloadOffset)
        let tcpHeader = isBare ? 20 : segment.headerLength
        let ipHeader = IPHeader.length(for: outgoing.destination.address)
        let length = ipHeader + tcpHeader + payload.count
        let segmentSize = max(outgoing.segmentSize - (tcpHeader - 20), 1)
        let isGathered = gathers(payload)
        guard length <= 65_535,
            let packet = reserve(
                isGathered ? length - payload.count : length, side: outgoing.side, nextHop: outgoing.nextHop,
                destination: outgoing.destination.address, segmentSize: segmentSize)
        else { return false }
        IPHeader.write(
            at: packet, source: outgoing.source.address, destination: outgoing.destination.address, protocolNumber: 6, length: length,
            trafficClass: Frame.trafficClass(frame, isIPv4: segment.source.address.isIPv4))
        let tcp = packet + ipHeader
        frame.extracting(start..<start + tcpHeader).withUnsafeBytes { tcp.copyMemory(from: $0.baseAddress!, byteCount: tcpHeader) }
        if tcpHeader < segment.headerLength { tcp.store(UInt8(tcpHeader / 4) << 4 | (frame.byte(start + 12) & 15), at: 12) }
        tcp.store(outgoing.source.port, at: 0)
        tcp.store(outgoing.destination.port, at: 2)
        tcp.store(outgoing.sequence.value, at: 4)
        tcp.store(flags.contains(.ack) ? outgoing.acknowledgement.value : 0, at: 8)
        tcp.store(flags.rawValue, at: 13)
        tcp.store(outgoing.window, at: 14)
        tcp.store(UInt16(0), at: 16)
        if tcpHeader > 20 {
            let options = UnsafeMutableRawBufferPointer(start: tcp + 20, count: tcpHeader - 20)
            if outgoing.largestMSS > 0 { ForwardedOptions.limitMSS(options, to: outgoing.largestMSS) }
            if segment.options.sackCount > 0, outgoing.sackDelta != 0 || dropsSACK {
                ForwardedOptions.moveSACK(options, by: outgoing.sackDelta, drops: dropsSACK)
            }
        }
        place(payload, at: tcp + tcpHeader, isGathered: isGathered)

        var sum = Checksum()
        sum.addPseudoHeader(
            source: outgoing.source.address, destination: outgoing.destination.address, protocolNumber: 6,
            length: tcpHeader + payload.count)
        if payload.count > segmentSize || (leavesChecksums && payloadSum == nil) {
            leaveLastChecksum()
            tcp.store(sum.folded, at: 16)
        } else {
            sum.add(UnsafeRawBufferPointer(start: tcp, count: tcpHeader))
            sum.add(payloadSum ?? Checksum.partial(payload))
            tcp.store(sum.field, at: 16)
        }
        return true
    }
}

/// Changes to the options of a segment that goes on. What makes no sense ends the list, as in `TCPOptions.parse`.
enum ForwardedOptions {
    /// Calls `body` with the kind of each option, where it lies, and its length.
    @inline(__always)
    static func each(_ options: UnsafeMutableRawBufferPointer, _ body: (UInt8, Int, Int) -> Void) {
        var at = 0
        while at < options.count {
            let kind = options[at]
            if kind == 0 { return }
            if kind == 1 {
                at += 1
                continue
            }
            guard at + 1 < options.count else { return }
            let length = Int(options[at + 1])
            guard length >= 2, at + length <= options.count else { return }
            body(kind, at, length)
            at += length
        }
    }

    /// A larger MSS becomes `most` (RFC 9293 3.7.1: both ends' links, and the headers of both families, must take it). One of 0 counts as
    /// absent, and so it stays.
    static func limitMSS(_ options: UnsafeMutableRawBufferPointer, to most: UInt16) {
        each(options) { kind, at, length in
            guard kind == 2, length == 4 else { return }
            let value = UInt16(options[at + 2]) << 8 | UInt16(options[at + 3])
            guard value > most else { return }
            options[at + 2] = UInt8(most >> 8)
            options[at + 3] = UInt8(most & 255)
        }
    }

    /// Whether there is nothing between `start` and `end` but SACK blocks and padding.
    static func isAllSACK(_ bytes: RawSpan, from start: Int, to end: Int) -> Bool {
        var at = start
        while at < end {
            switch bytes.byte(at) {
            case 0: return true
            case 1: at += 1
            case 5 where at + 1 < end && bytes.byte(at + 1) >= 2: at += Int(bytes.byte(at + 1))
            default: return false
            }
        }
        return true
    }

    /// Moves every edge of the SACK blocks, or makes NOPs of the option.
    static func moveSACK(_ options: UnsafeMutableRawBufferPointer, by delta: UInt32, drops: Bool) {
        each(options) { kind, at, length in
            guard kind == 5, length >= 10 else { return }
            if drops {
                for index in at..<at + length { options[index] = 1 }
                return
            }
            for edge in stride(from: at + 2, through: at + length - 4, by: 4) {
                let value = UInt32(bigEndian: options.loadUnaligned(fromByteOffset: edge, as: UInt32.self)) &+ delta
                options.storeBytes(of: value.bigEndian, toByteOffset: edge, as: UInt32.self)
            }
        }
    }
}
