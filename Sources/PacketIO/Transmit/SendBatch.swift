import DispatcherCore
import Glibc

/// IP packets of one side on their way through a raw socket: addresses and room for rebuilt packet headers, allocated once. Payloads
/// are not copied; they must stay where they are until `flush`.
struct SendBatch: ~Copyable {
    private var batch: MessageBatch
    private let addresses: UnsafeMutablePointer<sockaddr_in>
    private let headers: UnsafeMutableRawPointer

    /// - Parameters:
    ///   - socket: a raw IPv4 socket with the header included; closed at the end.
    ///   - isAddressed: false for a connected socket, as tests have.
    init(socket: Int32, isAddressed: Bool = true) {
        let batch = MessageBatch(socket: socket)
        let addresses = UnsafeMutablePointer<sockaddr_in>.allocate(capacity: MessageBatch.capacity)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        addresses.initialize(repeating: address, count: MessageBatch.capacity)
        if isAddressed {
            for index in 0..<MessageBatch.capacity {
                batch.setAddress(of: index, UnsafeMutableRawPointer(addresses + index), length: MemoryLayout<sockaddr_in>.size)
            }
        }
        self.batch = batch
        self.addresses = addresses
        headers = .allocate(byteCount: MessageBatch.capacity * SegmentSplitter.largestHeader, alignment: 8)
    }

    deinit {
        addresses.deallocate()
        headers.deallocate()
    }

    /// A packet that fits the wire.
    mutating func append(_ packet: UnsafeMutableRawBufferPointer, to destination: IPAddress) {
        guard let bytes = packet.baseAddress else { return }
        makeRoom(for: destination)
        batch.append(bytes, packet.count)
    }

    /// A TCP segment that is larger than the wire takes: each piece is a rebuilt header and a slice of the payload where it lies.
    mutating func append(_ packet: UnsafeMutableRawBufferPointer, to destination: IPAddress, splitAt segmentSize: Int) {
        let splitter = SegmentSplitter(packet: UnsafeRawBufferPointer(packet), segmentSize: segmentSize)
        for piece in 0..<splitter.count {
            makeRoom(for: destination)
            let header = headers + batch.count * SegmentSplitter.largestHeader
            let (length, payload) = splitter.writeHeader(of: piece, into: header)
            batch.append(header, length, packet.baseAddress! + payload.lowerBound, payload.count)
        }
    }

    private mutating func makeRoom(for destination: IPAddress) {
        if batch.isFull { batch.flush() }
        addresses[batch.count].sin_addr.s_addr = destination.v4.bigEndian
    }

    mutating func flush() { batch.flush() }

    mutating func refuse(_ reason: Int32) { batch.refuse(reason) }

    var statistics: TransmitStatistics { batch.statistics }
}
