import DispatcherCore

/// Why a frame is not one that the dispatcher may ever send.
struct FrameFault: Error, CustomStringConvertible {
    var description: String
}

extension IPAddress {
    /// Whether it may stand as a source: no group, no loopback, nothing unspecified (RFC 1122 3.2.1.3; RFC 4291 2.5).
    fileprivate var mayBeSource: Bool {
        let bytes = wireBytes
        if bytes.count == 4 { return bytes[0] != 0 && bytes[0] != 127 && bytes[0] < 224 }
        return bytes[0] != 0xFF && !(bytes[..<15].allSatisfy { $0 == 0 } && bytes[15] <= 1)
    }
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
        let isIPv4 = word(12) == 0x0800 && frame[14] >> 4 == 4
        guard isIPv4 || word(12) == 0x86DD && frame[14] >> 4 == 6 else { throw fault("neither IPv4 nor IPv6") }
        let ipHeader = isIPv4 ? Int(frame[14] & 15) * 4 : 40
        let total = isIPv4 ? word(16) : 40 + word(18)
        guard ipHeader >= 20, total >= ipHeader + 20, 14 + total <= frame.count else { throw fault("IP length \(total)") }
        if isIPv4 {
            guard TestChecksum.fold(TestChecksum.sum(frame[14..<14 + ipHeader])) == 0xFFFF else { throw fault("bad IP checksum") }
        }
        let protocolNumber = frame[isIPv4 ? 23 : 20]
        guard protocolNumber == 6 else { throw fault("protocol \(protocolNumber)") }
        if let mtu, total > mtu { throw fault("IP packet of \(total) bytes on a link of \(mtu)") }
        let tcp = 14 + ipHeader
        let end = 14 + total
        let header = Int(frame[tcp + 12] >> 4) * 4
        guard header >= 20, tcp + header <= end else { throw fault("TCP header of \(header) bytes") }

        func address(_ offset: Int) -> IPAddress {
            if isIPv4 { return IPAddress(v4: long(offset)) }
            return IPAddress(
                high: UInt64(long(offset)) << 32 | UInt64(long(offset + 4)), low: UInt64(long(offset + 8)) << 32 | UInt64(long(offset + 12))
            )
        }
        self.init(
            source: Endpoint(address: address(isIPv4 ? 26 : 22), port: UInt16(word(tcp))),
            destination: Endpoint(address: address(isIPv4 ? 30 : 38), port: UInt16(word(tcp + 2))))
        sequence = long(tcp + 4)
        acknowledgement = long(tcp + 8)
        reserved = frame[tcp + 12] & 15
        flags = SegmentFlags(rawValue: frame[tcp + 13])
        window = UInt16(word(tcp + 14))
        options = Array(frame[tcp + 20..<tcp + header])
        payload = Array(frame[tcp + header..<end])
        if isIPv4 {
            dontFragment = word(20) & 0x4000 != 0
            moreFragments = word(20) & 0x2000 != 0
            fragmentOffset = (word(20) & 0x1FFF) * 8
            identification = UInt16(word(18))
        } else {
            trafficClassAndFlow = long(14) & 0xFFF_FFFF
        }
        timeToLive = frame[isIPv4 ? 22 : 21]

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
        if let text = optionFault() { return text }
        if !dontFragment || moreFragments || fragmentOffset != 0 { return "no DF, or a fragment" }
        if timeToLive == 0 { return "TTL 0" }
        if trafficClassAndFlow != 0 { return "traffic class and flow label \(trafficClassAndFlow)" }
        if source.address.isIPv4 != destination.address.isIPv4 { return "from \(source) to \(destination)" }
        // A host that talks to itself may name itself so.
        if !source.address.mayBeSource, source.address != destination.address { return "source \(source)" }
        return nil
    }

    /// In a SYN the MSS, and window scale and SACK permitted at most; elsewhere SACK blocks at most. Each once, aligned, and NOPs only to
    /// align.
    private func optionFault() -> String? {
        var kinds: [UInt8] = []
        var index = 0
        while index < options.count {
            if options[index] == 1 {
                index += 1
                continue
            }
            guard index + 1 < options.count, options[index + 1] >= 2, index + Int(options[index + 1]) <= options.count else {
                return "options \(options)"
            }
            kinds.append(options[index])
            let lengths: [UInt8: [UInt8]] = [2: [4], 3: [3], 4: [2], 5: [10, 18, 26, 34]]
            guard lengths[options[index]]?.contains(options[index + 1]) == true else {
                return "option \(options[index]) of \(options[index + 1])"
            }
            index += Int(options[index + 1])
        }
        if Set(kinds).count != kinds.count { return "an option twice: \(kinds)" }
        if flags.contains(.syn) { return kinds.contains(2) && Set(kinds).isSubset(of: [2, 3, 4]) ? nil : "a SYN with options \(kinds)" }
        if flags.contains(.rst), !kinds.isEmpty { return "a RST with options \(kinds)" }
        return options.isEmpty || kinds == [5] ? nil : "options \(kinds) outside of a SYN"
    }

    /// The blocks of the SACK option.
    var sackBlocks: [ClosedRange<UInt32>] {
        guard let bytes = optionValue(of: 5), bytes.count % 8 == 0 else { return [] }
        let edges = stride(from: 0, to: bytes.count, by: 4).map { at in bytes[at..<at + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } }
        return stride(from: 0, to: edges.count, by: 2).compactMap { edges[$0] <= edges[$0 + 1] ? edges[$0]...edges[$0 + 1] : nil }
    }

    /// A SACK option, NOPs in front.
    static func sack(_ blocks: [(UInt32, UInt32)]) -> [UInt8] {
        let edges = blocks.flatMap { [$0.0, $0.1] }
        return [1, 1, 5, UInt8(2 + 4 * edges.count)]
            + edges.flatMap { [UInt8($0 >> 24), UInt8($0 >> 16 & 255), UInt8($0 >> 8 & 255), UInt8($0 & 255)] }
    }
}
