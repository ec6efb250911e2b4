import DispatcherCore

/// Somebody on the network who sends segments that must change nothing: some in the name of clients and servers whose connections it knows,
/// with numbers that it does not quite know, others in its own.
final class Stranger {
    private unowned let run: WideRun
    private var random: SimulationRandom
    private let host: TestHost
    private var learned: TestSegment?

    init(_ run: WideRun, _ random: SimulationRandom) {
        self.run = run
        self.random = random
        host = run.world.nextClientHost(impairments: .clean())
        host.rawReceiver = { [unowned self] segment in if segment.flags == [.syn, .ack] { learned = segment } }
        for _ in 0..<self.random.within(10...40) {
            let time = Interval.milliseconds(Int64(self.random.below(1 << self.random.within(4...16))))
            run.world.simulation.after(time) { [weak self] in self?.act() }
        }
    }

    private func act() {
        switch random.below(10) {
        case 0...3: if let endpoint = anyClient() { disturb(endpoint, on: .client) }
        case 4...6: if let endpoint = anyServerConnection() { disturb(endpoint, on: .server) }
        case 7: forge()
        case 8: learn()
        default: stray()
        }
    }

    private func anyClient() -> TestTCPEndpoint? {
        // The dispatcher has a connection when the client has an answer to something: before that a second SYN is as good as the first.
        let live = run.visitors.compactMap { $0.current?.endpoint }.filter {
            ($0.state == .established || $0.state == .finWait2) && $0.unacknowledged > 1
        }
        return live.isEmpty ? nil : live[random.below(live.count)]
    }

    private func anyServerConnection() -> TestTCPEndpoint? {
        let live = run.world.servers.flatMap(\.openConnections).filter { !$0.isTunnel }.map(\.endpoint)
        return live.isEmpty ? nil : live[random.below(live.count)]
    }

    private func send(_ segment: TestSegment, from endpoint: TestTCPEndpoint, on side: Side) {
        let frame = segment.frame(from: endpoint.host.hardware, to: endpoint.host.gateway)
        run.world.dispatcher.receive(SimulatedFrame(bytes: frame), on: side)
    }

    /// In the name of an end, to the dispatcher.
    private func disturb(_ endpoint: TestTCPEndpoint, on side: Side) {
        var segment = TestSegment(source: endpoint.local, destination: endpoint.remote)
        segment.sequence = endpoint.nextSequence
        segment.acknowledgement = endpoint.initialReceive &+ UInt32(truncatingIfNeeded: endpoint.receiveNext)
        segment.flags = .ack
        let isTunnel = run.visitors.contains { $0.current?.endpoint === endpoint && $0.current?.isInTunnel == true }
        switch isTunnel ? random.below(3) : random.below(8) {
        case 0, 1:
            // In the window, and not the number that is expected.
            segment.flags = random.chance(0.5) ? .rst : [.rst, .ack]
            segment.sequence &+= UInt32(random.within(1...60_000))
        case 2:
            segment.flags = .syn
            (segment.sequence, segment.acknowledgement) = (UInt32(truncatingIfNeeded: random.next()), 0)
            segment.options = TestSegment.maximumSegmentSize(1_460)
        case 3: segment.acknowledgement &+= UInt32(random.within(1 << 21...1 << 29))
        case 4:
            // Long past, with a closed window.
            segment.acknowledgement &-= UInt32(random.within(1 << 28...1 << 30))
            segment.window = 0
        case 5:
            segment.sequence &+= UInt32(random.within(10_000_000...1 << 29))
            segment.payload = Tagged.bytes(0xBAD_BAD, count: 100)
        case 6:
            segment.flags = .psh
            segment.acknowledgement = 0
            segment.payload = Tagged.bytes(0xBAD_BAD, count: 100)
        default:
            segment.checksum = .bad
            segment.payload = Tagged.bytes(0xBAD_BAD, count: 100)
        }
        send(segment, from: endpoint, on: side)
    }

    private func own(_ flags: SegmentFlags) -> TestSegment {
        var segment = TestSegment(source: Endpoint(address: host.address, port: UInt16(random.within(1_024...65_535))), destination: World.service)
        segment.flags = flags
        segment.sequence = UInt32(truncatingIfNeeded: random.next())
        if flags.contains(.ack) { segment.acknowledgement = UInt32(truncatingIfNeeded: random.next()) }
        return segment
    }

    /// A handshake that it never was part of, with a request that no server may see.
    private func forge() {
        var segment = own([.ack, .psh])
        if let learned, random.chance(0.5) {
            // A cookie that was given to another port, or, rarely because one in 16,384 such is good, to this one for another number.
            segment.acknowledgement = learned.sequence &+ 1
            if random.chance(0.05) { segment.source.port = learned.destination.port }
        }
        segment.payload = Array("GET /x/999999 HTTP/1.1\r\nHost: test.example\r\n\r\n".utf8)
        host.send(segment)
    }

    /// A handshake that ends with the cookie.
    private func learn() {
        var segment = own(.syn)
        segment.options = TestSegment.maximumSegmentSize(1_460)
        host.send(segment)
    }

    private func stray() {
        let flags: [SegmentFlags] = [.ack, [.fin, .ack], .rst, [.rst, .ack], .psh, [.syn, .ack], .fin, []]
        var segment = own(flags[random.below(flags.count)])
        if random.chance(0.5), !segment.flags.contains(.rst) { segment.payload = [1, 2, 3] }
        if random.chance(0.2) { segment.destination.port = 81 }
        host.send(segment)
    }
}
