public import DispatcherCore

/// Drives an engine from recorded frames instead of interfaces: no root, no clock, the same result each time.
///
/// It need not send packet for packet what the recorded run sent: here a timer fires on its deadline, while a live loop that was late
/// takes the frames that wait first.
public struct Replay<Engine: PacketEngine & ~Copyable>: ~Copyable {
    /// A packet that the engine sent, from its IP header on.
    public struct Emission: Equatable, Sendable {
        public var at: Instant
        public var side: Side
        public var bytes: [UInt8]
    }

    private var engine: Engine
    private var egress = Egress()
    private let frames: [(side: Side, frame: RecordedFrame)]
    /// Everything that the engine has sent so far.
    public private(set) var emissions: [Emission] = []
    /// The requests that have finished so far.
    public private(set) var records: [RequestRecord] = []

    /// - Parameters:
    ///   - client, server: what came in on each side, each in order of time; they are merged by time, the client side first where equal.
    public init(engine: consuming Engine, client: [RecordedFrame], server: [RecordedFrame]) {
        self.engine = engine
        var merged: [(side: Side, frame: RecordedFrame)] = []
        var waiting = server[...]
        for frame in client {
            while let first = waiting.first, first.at < frame.at { merged.append((.server, waiting.removeFirst())) }
            merged.append((.client, frame))
        }
        frames = merged + waiting.map { (.server, $0) }
    }

    /// Hands in every frame at its time, timers before it, then lets time pass until nothing is due any more.
    /// - Parameter rest: how long after the last frame, at most.
    public mutating func run(rest: Interval = .seconds(120)) {
        for (side, frame) in frames {
            letTimePass(until: frame.at)
            frame.bytes.withUnsafeBytes { bytes in
                // As in the loop: ARP is not the engine's.
                let isARP = bytes.count >= Frame.ethernetHeaderLength && bytes[12] == 0x08 && bytes[13] == 0x06
                if !isARP { engine.receive(bytes.bytes, on: side, at: frame.at, into: &egress) }
            }
            collect(at: frame.at)
        }
        guard let last = frames.last?.frame.at else { return }
        letTimePass(until: last + rest)
    }

    private mutating func letTimePass(until limit: Instant) {
        while engine.nextDeadline <= limit {
            let now = engine.nextDeadline
            engine.advance(to: now, into: &egress)
            let madeRoom = egress.wantsFlush
            collect(at: now)
            if !madeRoom && engine.nextDeadline <= now { return }
        }
    }

    /// Tells the engine something between two runs.
    public mutating func apply(_ command: EngineCommand, at now: Instant) {
        engine.apply(command, at: now, into: &egress)
        collect(at: now)
    }

    private mutating func collect(at now: Instant) {
        for index in 0..<egress.count {
            let packet = egress[index]
            emissions.append(Emission(at: now, side: packet.side, bytes: egress.whole(packet)))
        }
        egress.removeAll()
        engine.drainRecords { records.append(copy $0) }
    }

    public func snapshot(at now: Instant) -> Snapshot { engine.snapshot(at: now) }
}
