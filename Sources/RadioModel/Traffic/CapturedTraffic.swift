/// The IP packets of a capture: who sent how much to whom, and when.
public struct CapturedTraffic: Sendable {
    private struct Packet: Sendable {
        var at: Duration
        /// Indices into `addresses`.
        var source: UInt32
        var destination: UInt32
        var bytes: Int
    }

    private let link: LinkLayer
    private var packets: [Packet] = []
    private var addresses: [NetworkAddress] = []
    private var indices: [NetworkAddress: UInt32] = [:]
    private var latest: Duration?
    /// By index: packets that an address has sent or got, and connections that it opened or was asked for.
    private var counts: [(packets: Int, opened: Int, asked: Int)] = []
    /// Packets between two addresses that one host alone can have.
    private var unicast = 0

    /// Frames that carry no IP packet: ARP and the like.
    public private(set) var notIP = 0
    /// Frames whose IP header is cut or wrong.
    public private(set) var badHeaders = 0
    /// Packets that were earlier than one before them in the file. They are put into order.
    public private(set) var outOfOrder = 0
    /// How far the farthest of them was behind.
    public private(set) var furthestBehind = Duration.zero

    public init(link: LinkLayer) { self.link = link }

    /// Packets of anybody.
    public var count: Int { packets.count }

    /// Takes a frame as captured.
    /// - Parameters:
    ///   - frame: may be cut after the headers.
    ///   - length: its bytes on the wire.
    ///   - at: since 1970.
    public mutating func add(_ frame: [UInt8], length: Int, at: Duration) {
        guard let offset = link.packetOffset(in: frame) else {
            notIP += 1
            return
        }
        guard let header = IPHeader(frame[min(offset, frame.count)...], wireLength: max(length - offset, 0)) else {
            badHeaders += 1
            return
        }
        let (source, destination) = (index(of: header.source), index(of: header.destination))
        packets.append(Packet(at: at, source: source, destination: destination, bytes: header.length))
        counts[Int(source)].packets += 1
        if source != destination { counts[Int(destination)].packets += 1 }
        if header.opens {
            counts[Int(source)].opened += 1
            counts[Int(destination)].asked += 1
        }
        if header.source.isUnicast, header.destination.isUnicast { unicast += 1 }
        if let latest, at < latest {
            outOfOrder += 1
            furthestBehind = max(furthestBehind, latest - at)
        } else {
            latest = at
        }
    }

    private mutating func index(of address: NetworkAddress) -> UInt32 {
        if let index = indices[address] { return index }
        let index = UInt32(addresses.count)
        indices[address] = index
        addresses.append(address)
        counts.append((0, 0, 0))
        return index
    }

    // MARK: Which end is the device

    /// How many candidates an error names.
    private static let namedLimit = 8

    /// The device, where the capture leaves no doubt: the one address that has a part in every packet, or, of two that have, the one that
    /// opens connections and is never asked for one.
    /// - Throws: `RadioError` that names the candidates.
    public func device() throws(RadioError) -> NetworkAddress {
        guard !packets.isEmpty else { throw RadioError("no IP packet is in it; capture on the interface that the device's traffic takes") }
        let everyone = addresses.indices.filter { addresses[$0].isUnicast }
        let always = everyone.filter { unicastCounts[$0] == unicast && unicast > 0 }
        if always.count == 1 {
            guard !hasOnlyLoops else {
                throw RadioError(
                    "every packet goes from \(addresses[always[0]]) to itself, so that none goes up or down; "
                        + "give the device an address of its own, such as 127.0.0.2, and capture again")
            }
            return addresses[always[0]]
        }
        let openers = always.filter { counts[$0].opened > 0 && counts[$0].asked == 0 }
        if openers.count == 1 { return addresses[openers[0]] }
        let candidates = (always.isEmpty ? everyone : always).sorted { counts[$0].packets > counts[$1].packets }
        let named = candidates.prefix(Self.namedLimit).map { "\(addresses[$0]) (\(counts[$0].packets) packets)" }.joined(separator: ", ")
        let more = candidates.count > Self.namedLimit ? " and \(candidates.count - Self.namedLimit) more" : ""
        throw RadioError("which end is the device is not clear; name it with --device, once for each of its addresses: \(named)\(more)")
    }

    /// By index: packets between unicast addresses that it has a part in.
    private var unicastCounts: [Int] {
        var result = [Int](repeating: 0, count: addresses.count)
        for packet in packets {
            let (source, destination) = (Int(packet.source), Int(packet.destination))
            guard addresses[source].isUnicast, addresses[destination].isUnicast else { continue }
            result[source] += 1
            if source != destination { result[destination] += 1 }
        }
        return result
    }

    private var hasOnlyLoops: Bool { packets.allSatisfy { $0.source == $0.destination } }

    // MARK: The device's part

    /// What goes over the radio of the device with these addresses.
    public struct DevicePart: Equatable, Sendable {
        /// In order of time.
        public var packets: [RadioPacket] = []
        /// Packets of others, and to groups.
        public var others = 0
        /// Packets from one of the device's addresses to another: no radio sees them.
        public var internalPackets = 0
    }

    /// - Throws: `RadioError` when there is none: the addresses that are there are named.
    public func part(of device: Set<NetworkAddress>) throws(RadioError) -> DevicePart {
        var part = DevicePart()
        let isDevice = addresses.map { device.contains($0) }
        for packet in packets {
            switch (isDevice[Int(packet.source)], isDevice[Int(packet.destination)]) {
            case (true, false): part.packets.append(RadioPacket(at: packet.at, bytes: packet.bytes, direction: .up))
            case (false, true): part.packets.append(RadioPacket(at: packet.at, bytes: packet.bytes, direction: .down))
            case (true, true): part.internalPackets += 1
            case (false, false): part.others += 1
            }
        }
        guard !part.packets.isEmpty else {
            let names = device.map(\.description).sorted().joined(separator: ", ")
            let there = addresses.indices.sorted { counts[$0].packets > counts[$1].packets }.prefix(Self.namedLimit)
            let named = there.map { addresses[$0].description }.joined(separator: ", ")
            throw RadioError(
                part.internalPackets > 0
                    ? "all \(part.internalPackets) packets of \(names) go to the device itself"
                    : "none of its \(count) IP packets is from or to \(names)" + (there.isEmpty ? "" : "; it has \(named)"))
        }
        // A stable sort: packets of one instant stay as they are in the file.
        if outOfOrder > 0 {
            part.packets = part.packets.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
        }
        return part
    }
}
