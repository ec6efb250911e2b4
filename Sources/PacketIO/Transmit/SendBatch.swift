import DispatcherCore
import Glibc

/// IP packets of one side and one family on their way through a raw socket: addresses and room for rebuilt packet headers, allocated
/// once. Payloads are not copied; they must stay where they are until `flush`.
struct SendBatch: ~Copyable {
    private var batch: MessageBatch
    private let isIPv4: Bool
    /// A place of the size of a `sockaddr_in6` for each message.
    private let addresses: UnsafeMutableRawPointer
    private let headers: UnsafeMutableRawPointer

    /// What the kernel is told of a destination. The port stays 0: for a raw IPv6 socket it would be a protocol number. A link-local
    /// destination needs no zone: the socket is bound to its interface.
    private static let addressSize = MemoryLayout<sockaddr_in6>.stride

    /// - Parameters:
    ///   - socket: a raw socket of the family with the header included; closed at the end. -1: there is none, every packet is refused.
    ///   - isAddressed: false for a connected socket, as tests have.
    init(socket: Int32, isIPv4: Bool = true, isAddressed: Bool = true) {
        let batch = MessageBatch(socket: socket)
        let addresses = UnsafeMutableRawPointer.allocate(byteCount: MessageBatch.capacity * Self.addressSize, alignment: 8)
        addresses.initializeMemory(as: UInt8.self, repeating: 0, count: MessageBatch.capacity * Self.addressSize)
        for index in 0..<MessageBatch.capacity {
            let address = addresses + index * Self.addressSize
            address.storeBytes(of: sa_family_t(isIPv4 ? AF_INET : AF_INET6), as: sa_family_t.self)
            if isAddressed {
                batch.setAddress(
                    of: index, address, length: isIPv4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size)
            }
        }
        self.batch = batch
        self.isIPv4 = isIPv4
        self.addresses = addresses
        headers = .allocate(byteCount: MessageBatch.capacity * SegmentSplitter.largestHeader, alignment: 8)
    }

    deinit {
        addresses.deallocate()
        headers.deallocate()
    }

    mutating func append(_ packet: Egress.Packet, _ bytes: UnsafeMutableRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        guard batch.socket >= 0 else { return batch.refuse(EAFNOSUPPORT) }
        // The TCP header's length stands in its own 13th byte.
        let ipHeader = isIPv4 ? 20 : 40
        if packet.segmentSize > 0, packet.wholeLength > packet.segmentSize + ipHeader + 20,
            packet.wholeLength > packet.segmentSize + ipHeader + Int(bytes[ipHeader + 12] >> 4) * 4
        {
            return appendCut(packet, bytes)
        }
        makeRoom(for: packet.destination)
        batch.append(start, bytes.count, packet.payload)
    }

    /// A TCP segment that is larger than the wire takes: each piece is a rebuilt header and a slice of the payload where it lies.
    private mutating func appendCut(_ packet: Egress.Packet, _ bytes: UnsafeMutableRawBufferPointer) {
        let splitter = SegmentSplitter(packet: UnsafeRawBufferPointer(bytes), payload: packet.payload, segmentSize: packet.segmentSize)
        for piece in 0..<splitter.count {
            makeRoom(for: packet.destination)
            let header = headers + batch.count * SegmentSplitter.largestHeader
            let (length, payload) = splitter.writeHeader(of: piece, into: header)
            batch.append(header, length, payload)
        }
    }

    private mutating func makeRoom(for destination: IPAddress) {
        if batch.isFull { batch.flush() }
        let address = addresses + batch.count * Self.addressSize
        if isIPv4 {
            address.storeBytes(of: destination.v4.bigEndian, toByteOffset: 4, as: UInt32.self)
        } else {
            address.storeBytes(of: destination.high.bigEndian, toByteOffset: 8, as: UInt64.self)
            address.storeBytes(of: destination.low.bigEndian, toByteOffset: 16, as: UInt64.self)
        }
    }

    mutating func flush() { batch.flush() }

    var statistics: TransmitStatistics { batch.statistics }
}
