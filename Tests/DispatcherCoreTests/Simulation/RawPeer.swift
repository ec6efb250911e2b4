import DispatcherCore

/// One end of a connection of which a test writes every segment itself.
final class RawPeer {
    /// It keeps its peers; a world keeps its hosts.
    unowned let host: TestHost
    let local: Endpoint
    var remote: Endpoint
    /// Every segment that came for this port, oldest first.
    private(set) var received: [TestSegment] = []
    private(set) var times: [Instant] = []
    private var looked = 0
    /// The next number that `data` uses, and what it acknowledges.
    var sequence: UInt32 = 0
    var acknowledgement: UInt32 = 0
    var window: UInt16 = 65_535
    /// Whether what comes in order moves `acknowledgement` by itself (nothing is sent).
    var followsPeer = true

    init(_ host: TestHost, port: UInt16, remote: Endpoint = World.service, sequence: UInt32 = 1_000) {
        self.host = host
        self.sequence = sequence
        local = Endpoint(address: host.address, port: port)
        self.remote = remote
        let earlier = host.rawReceiver
        host.keep(self)
        host.rawReceiver = { [unowned self] segment in
            guard segment.destination.port == port else {
                earlier?(segment)
                return
            }
            received.append(segment)
            times.append(host.simulation.now)
            if followsPeer, segment.sequence == acknowledgement || segment.flags.contains(.syn) { acknowledgement = segment.end }
        }
    }

    var simulation: Simulation { host.simulation }

    func segment(_ flags: SegmentFlags, _ payload: [UInt8] = []) -> TestSegment {
        var segment = TestSegment(source: local, destination: remote)
        segment.flags = flags
        segment.sequence = sequence
        if flags.contains(.ack) { segment.acknowledgement = acknowledgement }
        segment.window = window
        segment.payload = payload
        if flags.contains(.syn) { segment.options = TestSegment.maximumSegmentSize(1_460) }
        return segment
    }

    func send(_ segment: TestSegment) { host.send(segment) }

    /// Sends at the present numbers without moving them, with changes.
    func send(_ flags: SegmentFlags, _ payload: [UInt8] = [], change: (inout TestSegment) -> Void = { _ in }) {
        var segment = segment(flags, payload)
        change(&segment)
        host.send(segment)
    }

    /// Sends and moves its own number on.
    func advance(_ flags: SegmentFlags, _ payload: [UInt8] = []) {
        let segment = segment(flags, payload)
        sequence = segment.end
        host.send(segment)
    }

    func run(_ time: Interval = .milliseconds(5)) { simulation.run(for: time) }

    /// What came since the last call.
    func arrivals(after time: Interval = .milliseconds(5)) -> [TestSegment] {
        run(time)
        defer { looked = received.count }
        return Array(received[looked...])
    }

    /// Forgets what came so far.
    func skip() { looked = received.count }

    /// All payload in order of sequence from `start`, without repetitions.
    func stream(from start: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        for segment in received.sorted(by: { Int32(bitPattern: $0.sequence &- $1.sequence) < 0 }) where !segment.payload.isEmpty {
            let skip = Int(Int32(bitPattern: start &+ UInt32(bytes.count) &- segment.sequence))
            guard skip >= 0, skip < segment.payload.count else { continue }
            bytes += segment.payload[skip...]
        }
        return bytes
    }

    /// Opens a connection as a client; returns the SYN-ACK.
    @discardableResult
    func open() -> TestSegment? {
        send(.syn)
        sequence &+= 1
        let answer = arrivals().last
        guard let answer, answer.flags == [.syn, .ack], answer.acknowledgement == sequence else { return nil }
        acknowledgement = answer.sequence &+ 1
        send(.ack)
        run()
        skip()
        return answer
    }

    /// Waits for a SYN and answers it as a server; returns the SYN.
    @discardableResult
    func accept(within time: Interval = .seconds(2), options: [UInt8]? = nil) -> TestSegment? {
        simulation.run(atMost: time) { received[looked...].contains { $0.flags == .syn } }
        guard let syn = received[looked...].first(where: { $0.flags == .syn }) else { return nil }
        remote = syn.source
        acknowledgement = syn.sequence &+ 1
        send([.syn, .ack]) { if let options { $0.options = options } }
        sequence &+= 1
        run()
        return syn
    }
}

extension World {
    func rawClient(port: UInt16 = 40_000, sequence: UInt32 = 1_000) -> RawPeer { RawPeer(nextClientHost(), port: port, sequence: sequence) }

    /// A raw server; `remote` is known when its SYN has come.
    func rawServer(_ index: Int = 0, sequence: UInt32 = 500_000) -> RawPeer {
        RawPeer(host("raw-server\(index + 1)"), port: 8_080, remote: Endpoint(address: Self.sourceAddress, port: 0), sequence: sequence)
    }
}

extension [UInt8] {
    init(text: String) { self = Array(text.utf8) }
}
