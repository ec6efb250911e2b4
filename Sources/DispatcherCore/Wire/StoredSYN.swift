/// A client's SYN that waits for its server, as far as it must go on as it came ([0049]): number, window and options. A payload stays behind
/// (RFC 7413 allows it): its sender sends it again.
struct StoredSYN {
    var sequence: SequenceNumber
    var window: UInt16
    /// SYN, and with it ECE and CWR of an offer of ECN (RFC 3168 6.1.1).
    var flags: TCPFlags
    var trafficClass: UInt8 = 0
    private(set) var optionLength: UInt8 = 0
    private var options = InlineArray<40, UInt8>(repeating: 1)

    /// The SYN in a frame.
    init(_ segment: Segment, in frame: RawSpan) {
        sequence = segment.sequence
        window = segment.window
        flags = segment.flags.intersection([.syn, .ece, .cwr])
        trafficClass = Frame.trafficClass(frame, isIPv4: segment.source.address.isIPv4)
        optionLength = UInt8(segment.headerLength - 20)
        let start = segment.payloadOffset - Int(optionLength)
        for index in 0..<Int(optionLength) { options[index] = frame.byte(start + index) }
    }

    /// What a SYN cookie remembers of one.
    /// - Parameter window: as it was shown without scaling; bytes.
    init(sequence: SequenceNumber, window: UInt16, segmentSize: UInt16, windowScale: UInt8?, sackPermitted: Bool) {
        self.sequence = sequence
        self.window = window
        flags = .syn
        append([2, 4, UInt8(segmentSize >> 8), UInt8(segmentSize & 255)])
        if sackPermitted { append([1, 1, 4, 2]) }
        if let windowScale { append([1, 3, 3, windowScale]) }
    }

    private mutating func append(_ bytes: InlineArray<4, UInt8>) {
        for index in 0..<4 { options[Int(optionLength) + index] = bytes[index] }
        optionLength += 4
    }

    /// Whether it offers to scale windows.
    var hasWindowScale: Bool {
        var found = false
        var options = options
        let length = Int(optionLength)
        withUnsafeMutableBytes(of: &options) {
            ForwardedOptions.each(UnsafeMutableRawBufferPointer(rebasing: $0[..<length])) { kind, _, length in
                if kind == 3, length == 3 { found = true }
            }
        }
        return found
    }

    fileprivate func writeOptions(at start: UnsafeMutableRawPointer) {
        for index in 0..<Int(optionLength) { start.store(options[index], at: index) }
    }
}

extension Egress {
    /// Writes a stored SYN.
    /// - Parameter largestMSS: a larger option MSS becomes this.
    /// - Returns: false when there is no room.
    mutating func append(
        _ syn: StoredSYN, side: Side, source: Endpoint, destination: Endpoint, nextHop: NextHop, largestMSS: UInt16
    ) -> Bool {
        let tcpHeader = 20 + Int(syn.optionLength)
        let ipHeader = IPHeader.length(for: destination.address)
        guard
            let packet = reserve(
                ipHeader + tcpHeader, side: side, nextHop: nextHop, destination: destination.address, segmentSize: Int(largestMSS))
        else { return false }
        IPHeader.write(
            at: packet, source: source.address, destination: destination.address, protocolNumber: 6, length: ipHeader + tcpHeader,
            trafficClass: syn.trafficClass)
        let tcp = packet + ipHeader
        tcp.store(source.port, at: 0)
        tcp.store(destination.port, at: 2)
        tcp.store(syn.sequence.value, at: 4)
        tcp.store(UInt32(0), at: 8)
        tcp.store(UInt16(tcpHeader / 4) << 12 | UInt16(syn.flags.rawValue), at: 12)
        tcp.store(syn.window, at: 14)
        tcp.store(UInt32(0), at: 16)
        syn.writeOptions(at: tcp + 20)
        ForwardedOptions.limitMSS(UnsafeMutableRawBufferPointer(start: tcp + 20, count: tcpHeader - 20), to: largestMSS)
        var sum = Checksum()
        sum.addPseudoHeader(source: source.address, destination: destination.address, protocolNumber: 6, length: tcpHeader)
        if leavesChecksums {
            leaveLastChecksum()
            tcp.store(sum.folded, at: 16)
        } else {
            sum.add(UnsafeRawBufferPointer(start: tcp, count: tcpHeader))
            tcp.store(sum.field, at: 16)
        }
        return true
    }
}
