import CLinux
import DispatcherCore
import Glibc

/// One side of a packet transmitter: its socket, its next hops, and the frames that wait for one.
struct FrameSide: ~Copyable {
    private typealias Drop = NextHopStatistics.Drop
    /// Bytes of a frame that is made here: one of our own questions, or the headers of a segment that is cut here.
    private static let madeSize = 160
    /// While frames pass the queueing discipline by: those that the device segments have fewer bytes than this, without the virtio
    /// header. The kernel would segment a larger one and then drop it without an error, as with a device that does not segment.
    static let usualLimit = 65_536

    private var batch: MessageBatch
    var nextHops: NextHops
    private var waiting: WaitingFrames
    private let repliesToSender: Bool
    /// What is made here must stay until it is sent: a place for each message of a batch.
    private let made: UnsafeMutableRawPointer
    private let drops: UnsafeMutablePointer<UInt64>
    private var asked: UInt64 = 0
    private var bypassesQueue = false
    /// Frames that are to be segmented and have as many bytes are cut here.
    var limit = Int.max

    /// - Parameters:
    ///   - socket: a packet socket with virtio headers; closed at the end.
    ///   - repliesToSender: whether a packet for which the engine names a neighbour goes there; else it goes by the routing table.
    init(socket: Int32, nextHops: consuming NextHops, repliesToSender: Bool) {
        let drops = UnsafeMutablePointer<UInt64>.allocate(capacity: Drop.allCases.count)
        drops.initialize(repeating: 0, count: Drop.allCases.count)
        waiting = WaitingFrames(neighbours: nextHops.neighbours.capacity)
        self.nextHops = nextHops
        batch = MessageBatch(socket: socket)
        self.repliesToSender = repliesToSender
        made = .allocate(byteCount: MessageBatch.capacity * Self.madeSize, alignment: 64)
        self.drops = drops
    }

    deinit {
        made.deallocate()
        drops.deallocate()
    }

    // MARK: Packets

    /// - Parameter bytes: the packet, with an egress's headroom before it.
    mutating func append(_ packet: Egress.Packet, _ bytes: UnsafeMutableRawBufferPointer, at now: Instant) {
        guard let start = bytes.baseAddress else { return }
        let frame = VirtioHeader.write(
            before: start, length: packet.wholeLength, segmentSize: packet.segmentSize, isPartial: packet.isChecksumPartial,
            from: nextHops.hardwareAddress)
        let length = VirtioHeader.wholeLength + bytes.count
        if case .neighbour(let hardware) = packet.nextHop, repliesToSender, hardware.isStation {
            return append(frame, length, packet.payload, to: hardware)
        }
        switch nextHops.find(packet.destination, at: now) {
        case .at(let hardware): append(frame, length, packet.payload, to: hardware)
        case .waits(let entry):
            drops[Int(Drop.waitingFull.rawValue)] += UInt64(waiting.keep(frame, length, packet.payload, for: entry))
            takeEvents()
        case .unresolved: drop(.unresolved)
        case .full: drop(.neighboursFull)
        case nil: drop(.noRoute)
        }
    }

    /// - Parameters:
    ///   - length: bytes at `frame`.
    ///   - payload: what follows them, where it lies elsewhere.
    @inline(__always) private mutating func append(
        _ frame: UnsafeMutableRawPointer, _ length: Int, _ payload: UnsafeRawBufferPointer, to hardware: HardwareAddress
    ) {
        VirtioHeader.address(frame, to: hardware)
        if length + payload.count - VirtioHeader.length >= limit, VirtioHeader.segmentSize(of: frame) > 0 {
            return appendCut(frame, length, payload)
        }
        if batch.isFull { batch.flush() }
        batch.append(frame, length, payload)
    }

    /// A segment that is too large for the device: each piece is rebuilt headers and a slice of the payload where it lies.
    private mutating func appendCut(_ frame: UnsafeMutableRawPointer, _ length: Int, _ payload: UnsafeRawBufferPointer) {
        let packet = UnsafeRawBufferPointer(start: frame + VirtioHeader.wholeLength, count: length - VirtioHeader.wholeLength)
        let splitter = SegmentSplitter(packet: packet, payload: payload, segmentSize: VirtioHeader.segmentSize(of: frame))
        for piece in 0..<splitter.count {
            if batch.isFull { batch.flush() }
            let head = made + batch.count * Self.madeSize
            head.copyMemory(from: frame, byteCount: VirtioHeader.wholeLength)
            VirtioHeader.writeEmpty(head)
            let (headers, slice) = splitter.writeHeader(of: piece, into: head + VirtioHeader.wholeLength)
            batch.append(head, VirtioHeader.wholeLength + headers, slice)
        }
    }

    private func drop(_ reason: Drop) { drops[Int(reason.rawValue)] += 1 }

    mutating func flush() { batch.flush() }

    // MARK: Next hops

    mutating func receive(_ packet: ARPPacket, asksUs: Bool, at now: Instant) {
        nextHops.receive(packet, asksUs: asksUs, at: now)
        takeEvents()
        flush()
    }

    mutating func receive(_ message: NeighbourMessage, asksUs: Bool, at now: Instant) {
        nextHops.receive(message, asksUs: asksUs, at: now)
        takeEvents()
        flush()
    }

    mutating func advance(to now: Instant) {
        nextHops.neighbours.advance(to: now)
        takeEvents()
        flush()
    }

    private mutating func takeEvents() {
        while let event = nextHops.neighbours.nextEvent() {
            switch event {
            case .ask(let neighbour, let hardware): ask(neighbour, of: hardware)
            case .resolved(let entry, let hardware): release(entry, to: hardware)
            case .lost(let entry):
                while let frame = waiting.take(for: entry) {
                    waiting.release(frame.slot)
                    drop(.unresolved)
                }
            }
        }
    }

    private mutating func ask(_ neighbour: IPAddress, of hardware: HardwareAddress) {
        if batch.isFull { batch.flush() }
        let frame = made + batch.count * Self.madeSize
        VirtioHeader.writeEmpty(frame)
        let room = UnsafeMutableRawBufferPointer(start: frame + VirtioHeader.length, count: Self.madeSize - VirtioHeader.length)
        let length: Int
        if let packet = nextHops.request(for: neighbour) {
            packet.writeFrame(to: hardware, into: room)
            length = ARPPacket.frameLength
        } else if let message = nextHops.solicitation(for: neighbour, isProbe: hardware != .broadcast) {
            message.writeFrame(to: hardware, into: room)
            length = message.frameLength
        } else {
            return
        }
        batch.append(frame, VirtioHeader.length + length)
        asked += 1
    }

    /// Sends what waited for a neighbour.
    private mutating func release(_ entry: Int, to hardware: HardwareAddress) {
        while let frame = waiting.take(for: entry) {
            append(frame.frame, frame.length, .empty, to: hardware)
            // Its memory is free for the next one after that.
            batch.flush()
            waiting.release(frame.slot)
        }
    }

    // MARK: The interface

    /// Reads again what may change of a device: its hardware address, and what it segments.
    /// - Throws: `CaptureError`; what could not be read stays as it was.
    mutating func readDevice(_ name: String) throws(CaptureError) {
        let interface = try NetworkInterface(named: name)
        nextHops.hardwareAddress = interface.hardwareAddress
        // With it, a device that does not segment drops what is larger than its link without an error.
        let mayBypass = clinux_segments_tcp(name) == 1
        if mayBypass != bypassesQueue, clinux_bypass_queue(batch.socket, mayBypass ? 1 : 0) == 0 { bypassesQueue = mayBypass }
        let told = Int(clinux_segmentation_limit(interface.index))
        limit = bypassesQueue ? (told > 0 ? told : Self.usualLimit) : .max
    }

    /// - Throws: as `readDevice`.
    mutating func readRoutes(_ name: String) throws(CaptureError) {
        nextHops.routes.replace(with: try RouteReader.read(interface: NetworkInterface(named: name).index))
    }

    // MARK: Figures

    var statistics: TransmitStatistics {
        var figures = NextHopStatistics()
        for reason in Drop.allCases { figures.dropped[Int(reason.rawValue)] = drops[Int(reason.rawValue)] }
        figures.neighbours = nextHops.neighbours.count
        figures.waiting = waiting.count
        figures.asked = asked
        figures.failures = nextHops.neighbours.failures
        figures.lastFailure = nextHops.neighbours.lastFailure
        figures.routes = nextHops.routes.count
        figures.routesLeftOut = nextHops.routes.leftOut
        figures.bypassesQueue = bypassesQueue
        var statistics = batch.statistics
        statistics.nextHops = figures
        return statistics
    }
}
