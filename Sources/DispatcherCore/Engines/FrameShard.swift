/// Which shard a captured frame is for (tcp.md, "Shards"). The kernel decides by the same rule where captures are shared out among threads
/// (`ShardFilter` in PacketIO).
///
/// TCP from a server goes by the port of ours that it is sent to, TCP from a client by its address and port, everything else to the leader.
/// A server that sees its clients' own addresses (`l4.source: keep`) sends to those: by the client's address and port as well.
/// What a router says of a segment is for the shard that has sent it: the leader hands it on.
public struct FrameShard: Sendable {
    public var count: Int
    /// Whether both sides share one interface: then the port range alone tells the sides apart.
    public var sidesShareInterface: Bool
    public var ports: ClosedRange<Int>
    public var sources: [IPAddress]
    /// Whether some servers see their clients' own addresses. Where both sides share an interface, a segment to none of the service
    /// addresses, each of them once, is then one to a client.
    public var keepsClients: Bool
    public var services: [IPAddress]

    public init(_ configuration: EngineConfiguration, count: Int) {
        self.count = count
        sidesShareInterface = configuration.sidesShareInterface
        ports = configuration.ports.first...configuration.ports.last
        sources = configuration.sourceAddresses
        keepsClients = configuration.pools.contains { $0.l4.source == .keep }
        var services: [IPAddress] = []
        for endpoint in configuration.services.flatMap(\.listen) where !services.contains(endpoint.address) {
            services.append(endpoint.address)
        }
        self.services = services
    }

    /// The rule under another configuration: connections of the one before go on, and so do those whose servers see the client.
    func succeeded(by other: EngineConfiguration) -> FrameShard {
        var rule = FrameShard(other, count: count)
        rule.keepsClients = rule.keepsClients || keepsClients
        return rule
    }

    /// What a client's address and port are multiplied with: 2^32 over the golden ratio, so that neighbours are spread.
    public static let multiplier: UInt32 = 2_654_435_761

    /// - Parameters:
    ///   - bits: the sum of the 32-bit words of its address.
    public static func ofClient(bits: UInt32, port: UInt16, count: Int) -> Int {
        Int(((bits &+ UInt32(port)) &* multiplier) >> 16) % count
    }

    public func index(of frame: RawSpan, on side: Side) -> Int {
        guard count > 1 else { return 0 }
        if let ends = Self.ends(of: frame) {
            return index(peer: ends.source, ends.sourcePort, ours: ends.destination, ends.destinationPort, on: side)
        }
        // Of the segment that is quoted the source is ours, or a client that its server sees.
        guard let quoted = Self.quotedEnds(of: frame) else { return 0 }
        return index(peer: quoted.destination, quoted.destinationPort, ours: quoted.source, quoted.sourcePort, on: side)
    }

    private func index(peer: IPAddress, _ peerPort: UInt16, ours: IPAddress, _ ourPort: UInt16, on side: Side) -> Int {
        if side == .server || sidesShareInterface {
            let isSource = sources.contains(ours)
            let isOurs = sidesShareInterface ? isSource && ports.contains(Int(ourPort)) : isSource || !keepsClients
            if isOurs { return Int(ourPort) % count }
            if keepsClients, !sidesShareInterface || !services.contains(ours) { return index(ofClient: ours, ourPort) }
        }
        return index(ofClient: peer, peerPort)
    }

    private func index(ofClient client: IPAddress, _ port: UInt16) -> Int {
        func half(_ value: UInt64, _ shift: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: value >> shift) }
        let low = half(client.low, 0)
        let bits = client.isIPv4 ? low : half(client.high, 32) &+ half(client.high, 0) &+ half(client.low, 32) &+ low
        return Self.ofClient(bits: bits, port: port, count: count)
    }

    private struct Ends {
        var source: IPAddress
        var destination: IPAddress
        var sourcePort: UInt16
        var destinationPort: UInt16
    }

    /// Addresses and ports of a frame that is TCP by its header; what is wrong with it is found where it arrives.
    private static func ends(of frame: RawSpan) -> Ends? {
        let ip = Frame.ethernetHeaderLength
        guard frame.byteCount >= ip + 24 else { return nil }
        switch frame.uint16(12) {
        case 0x0800:
            let tcp = ip + Int(frame.byte(ip) & 15) * 4
            // A fragment that is not the first has no ports.
            guard frame.byte(ip + 9) == 6, frame.uint16(ip + 6) & 0x1FFF == 0, frame.byteCount >= tcp + 4 else { return nil }
            return Ends(
                source: IPAddress(v4: frame.uint32(ip + 12)), destination: IPAddress(v4: frame.uint32(ip + 16)),
                sourcePort: frame.uint16(tcp), destinationPort: frame.uint16(tcp + 2))
        case 0x86DD:
            let tcp = ip + 40
            // Behind an extension header we look for nothing: such packets are dropped where they arrive.
            guard frame.byte(ip + 6) == 6, frame.byteCount >= tcp + 4 else { return nil }
            return Ends(
                source: IPAddress(high: frame.uint64(ip + 8), low: frame.uint64(ip + 16)),
                destination: IPAddress(high: frame.uint64(ip + 24), low: frame.uint64(ip + 32)), sourcePort: frame.uint16(tcp),
                destinationPort: frame.uint16(tcp + 2))
        default: return nil
        }
    }

    /// Whether a frame may be an error of ICMP.
    public static func isICMP(_ frame: RawSpan) -> Bool {
        let ip = Frame.ethernetHeaderLength
        guard frame.byteCount >= ip + 24 else { return false }
        switch frame.uint16(12) {
        case 0x0800: return frame.byte(ip + 9) == 1
        case 0x86DD: return frame.byte(ip + 6) == 58
        default: return false
        }
    }

    /// Addresses and ports of the TCP segment that an error of ICMP quotes.
    private static func quotedEnds(of frame: RawSpan) -> Ends? {
        guard isICMP(frame) else { return nil }
        let ip = Frame.ethernetHeaderLength
        if frame.uint16(12) == 0x0800 {
            let icmp = ip + Int(frame.byte(ip) & 15) * 4
            let quote = icmp + 8
            guard frame.byteCount >= quote + 20, [3, 4, 11, 12].contains(frame.byte(icmp)) else { return nil }
            let tcp = quote + Int(frame.byte(quote) & 15) * 4
            guard frame.byte(quote) >> 4 == 4, frame.byte(quote + 9) == 6, frame.byteCount >= tcp + 4 else { return nil }
            return Ends(
                source: IPAddress(v4: frame.uint32(quote + 12)), destination: IPAddress(v4: frame.uint32(quote + 16)),
                sourcePort: frame.uint16(tcp), destinationPort: frame.uint16(tcp + 2))
        }
        // Errors of ICMPv6 have types below 128 (RFC 4443 2.1).
        let quote = ip + 48
        guard frame.byteCount >= quote + 44, frame.byte(ip + 40) < 128, frame.byte(quote) >> 4 == 6, frame.byte(quote + 6) == 6 else {
            return nil
        }
        return Ends(
            source: IPAddress(high: frame.uint64(quote + 8), low: frame.uint64(quote + 16)),
            destination: IPAddress(high: frame.uint64(quote + 24), low: frame.uint64(quote + 32)),
            sourcePort: frame.uint16(quote + 40), destinationPort: frame.uint16(quote + 42))
    }
}
