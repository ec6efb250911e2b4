import DispatcherCore

/// Why a frame is not one that the dispatcher may ever send.
struct FrameFault: Error, CustomStringConvertible {
    var description: String
}

extension TestSegment {
    /// Reads a frame and refuses everything that a careful stack would not send: the check of invariant I5.
    /// - Parameters:
    ///   - mtu: the most bytes of an IP packet; nil = do not check (a captured, merged segment).
    ///   - strict: also refuse illegal flags, reserved bits, missing DF.
    init(frame: [UInt8], mtu: Int? = nil, strict: Bool = false) throws(FrameFault) {
        func fault(_ text: String) -> FrameFault { FrameFault(description: text) }
        func word(_ offset: Int) -> Int { Int(frame[offset]) << 8 | Int(frame[offset + 1]) }
        func long(_ offset: Int) -> UInt32 { UInt32(word(offset)) << 16 | UInt32(word(offset + 2)) }
        guard frame.count >= 54 else { throw fault("frame of \(frame.count) bytes") }
        guard word(12) == 0x0800, frame[14] >> 4 == 4 else { throw fault("not IPv4") }
        let ipHeader = Int(frame[14] & 15) * 4
        let total = word(16)
        guard ipHeader >= 20, total >= ipHeader + 20, 14 + total <= frame.count else { throw fault("IP length \(total)") }
        guard TestChecksum.fold(TestChecksum.sum(frame[14..<14 + ipHeader])) == 0xFFFF else { throw fault("bad IP checksum") }
        guard frame[23] == 6 else { throw fault("protocol \(frame[23])") }
        if let mtu, total > mtu { throw fault("IP packet of \(total) bytes on a link of \(mtu)") }
        let tcp = 14 + ipHeader
        let end = 14 + total
        let header = Int(frame[tcp + 12] >> 4) * 4
        guard header >= 20, tcp + header <= end else { throw fault("TCP header of \(header) bytes") }

        self.init(
            source: Endpoint(address: IPAddress(v4: long(26)), port: UInt16(word(tcp))),
            destination: Endpoint(address: IPAddress(v4: long(30)), port: UInt16(word(tcp + 2))))
        sequence = long(tcp + 4)
        acknowledgement = long(tcp + 8)
        reserved = frame[tcp + 12] & 15
        flags = TCPFlags(rawValue: frame[tcp + 13])
        window = UInt16(word(tcp + 14))
        options = Array(frame[tcp + 20..<tcp + header])
        payload = Array(frame[tcp + header..<end])
        dontFragment = word(20) & 0x4000 != 0
        moreFragments = word(20) & 0x2000 != 0
        fragmentOffset = (word(20) & 0x1FFF) * 8
        timeToLive = frame[22]
        identification = UInt16(word(18))

        let pseudo = TestChecksum.pseudoHeader(source: source.address, destination: destination.address, length: end - tcp)
        if TestChecksum.fold(pseudo + TestChecksum.sum(frame[tcp..<end])) == 0xFFFF {
            checksum = .full
        } else {
            checksum = word(tcp + 16) == Int(TestChecksum.fold(pseudo)) ? .partial : .bad
        }
        if strict, let text = strictFault() { throw fault(text) }
    }

    private func strictFault() -> String? {
        if checksum != .full { return "TCP checksum is \(checksum)" }
        let kinds = flags.intersection([.syn, .fin, .rst])
        if kinds.rawValue.nonzeroBitCount > 1 { return "flags that exclude each other" }
        if !flags.contains(.ack), kinds != .syn, kinds != .rst { return "no ACK flag" }
        if !flags.contains(.ack), acknowledgement != 0 { return "an acknowledgement number without ACK" }
        if !flags.isDisjoint(with: [.urg, .ece, .cwr]) || reserved != 0 { return "URG, ECN or reserved bits" }
        if flags.contains(.rst), !payload.isEmpty { return "RST with data" }
        if flags.contains(.syn), !payload.isEmpty { return "SYN with data" }
        if !flags.contains(.syn), !options.isEmpty { return "options outside of a SYN" }
        if flags.contains(.syn), options.count != 4 || options[0] != 2 || options[1] != 4 { return "SYN without exactly the option MSS" }
        if !dontFragment || moreFragments || fragmentOffset != 0 { return "no DF, or a fragment" }
        if timeToLive == 0 { return "TTL 0" }
        if !source.address.isUnicastSource { return "source \(source)" }
        return nil
    }
}
