import CLinux
public import DispatcherCore
import Glibc

/// One packet thread: polls the captures of both sides and the mailbox, hands frames to the engine, sends what it answers.
///
/// A turn takes at most `batch` frames from each side, the sides in alternating order; everything that they caused leaves before the next poll.
public struct PollLoop<Engine: PacketEngine & ~Copyable, Sink: PacketSink & ~Copyable>: ~Copyable {
    /// Frames from one side in one turn.
    public static var batch: Int32 { 256 }

    private var engine: Engine
    private var sink: Sink
    private var egress: Egress
    /// The captures are owned here and used through their reading ends.
    private let clientCapture: Capture
    private let serverCapture: Capture?
    private let client: CapturedFrames
    /// nil: both sides share one interface.
    private let server: CapturedFrames?
    private var responder: ARPResponder
    private var solicited: NDPResponder
    private let mailbox: Mailbox
    private let records: RecordRelay
    private let events: EventRelay
    /// The mailboxes of all shards, this one's among them, in order; empty = there is one only.
    private let shards: [Mailbox]
    private let shard: Int
    /// Which shard a frame is for; nil = there is one only.
    private let rule: FrameShard?
    /// nil unless a run is recorded.
    private let recorder: CaptureRecorder?

    private var now = Instant.distantPast
    private var turns: UInt64 = 0
    private var isRunning = true
    private var failed: Side?

    public init(
        engine: consuming Engine, sink: consuming Sink, client: consuming Capture, server: consuming Capture?, responder: ARPResponder,
        mailbox: Mailbox, records: RecordRelay, events: EventRelay = EventRelay(), recorder: CaptureRecorder? = nil,
        shard: Int = 0, of shards: [Mailbox] = [], by rule: FrameShard? = nil
    ) {
        self.shard = shard
        self.rule = rule
        self.shards = shards.count > 1 ? shards : []
        self.engine = engine
        self.sink = sink
        egress = Egress(leavesChecksums: Sink.finishesChecksums, gathers: Sink.gathersPayloads)
        self.client = client.frames
        self.clientCapture = client
        if let server = consume server {
            self.server = server.frames
            self.serverCapture = consume server
        } else {
            self.server = nil
            self.serverCapture = nil
        }
        self.responder = responder
        solicited = NDPResponder(beside: responder)
        self.mailbox = mailbox
        self.records = records
        self.events = events
        self.recorder = recorder
    }

    /// Runs until the message `quit`, or until a capture fails.
    /// - Throws: `CaptureError` of the capture that failed.
    public mutating func run() throws(CaptureError) {
        let descriptors = UnsafeMutablePointer<pollfd>.allocate(capacity: 4)
        defer { descriptors.deallocate() }
        descriptors[0] = pollfd(fd: client.descriptor, events: Int16(POLLIN), revents: 0)
        descriptors[1] = pollfd(fd: server?.descriptor ?? -1, events: Int16(POLLIN), revents: 0)
        descriptors[2] = pollfd(fd: mailbox.descriptor, events: Int16(POLLIN), revents: 0)
        descriptors[3] = pollfd(fd: sink.descriptor, events: Int16(POLLIN), revents: 0)

        while isRunning {
            now = MonotonicClock.now()
            _ = clinux_ppoll(descriptors, 4, waitTime())
            turns &+= 1
            now = MonotonicClock.now()
            let serverFirst = turns & 1 == 1
            if serverFirst, let server, descriptors[1].revents != 0 { take(server, .server) }
            if descriptors[0].revents != 0 { take(client, .client) }
            if !serverFirst, let server, descriptors[1].revents != 0 { take(server, .server) }
            finishTurn()
            if descriptors[3].revents != 0 { sink.readNotices(at: now) }
            if descriptors[2].revents != 0 { readMailbox() }
            if let failed { throw (failed == .server ? server ?? client : client).failure }
        }
    }

    /// Nanoseconds that the poll may wait; negative = for ever.
    private func waitTime() -> Int64 {
        var wait: Int64 = -1
        let deadline = min(engine.nextDeadline, sink.nextDeadline)
        if deadline < .distantFuture { wait = max(0, (deadline - now).nanoseconds) }
        if let longest = client.longestWait { wait = wait < 0 ? longest : min(wait, longest) }
        if let longest = server?.longestWait { wait = wait < 0 ? longest : min(wait, longest) }
        return wait
    }

    private mutating func take(_ frames: CapturedFrames, _ side: Side) {
        now = MonotonicClock.now()
        egress.steadyMemory = frames.steadyMemory
        let looksAhead = engine.looksAhead
        let count = frames.dispatch(limit: Self.batch) { frame in
            if looksAhead { frames.look(from: frame, distance: Dispatcher.lookAheadDistance) { engine.lookAhead($0, on: side) } }
            if !shards.isEmpty, shard == 0, handOn(frame, side) { return }
            if frame.byteCount >= Frame.ethernetHeaderLength, frame.etherType == 0x0806 {
                answer(frame, side)
            } else if NeighbourMessage.isNeighbourDiscovery(frame) {
                answerSolicitation(frame, side)
            } else {
                if let recorder { recorder.record(frame, on: side, at: now) }
                engine.receive(frame, on: side, at: now, into: &egress)
                if egress.wantsFlush || frames.isFull { flush() }
            }
        }
        egress.steadyMemory = .empty
        if count < 0 { failed = side }
    }

    private mutating func flush() {
        if egress.count > 0 {
            if let recorder { recorder.record(egress, at: now) }
            sink.send(egress, at: now)
            egress.removeAll()
        }
        client.release()
        server?.release()
    }

    /// Timers, then everything out, then the records.
    private mutating func finishTurn() {
        now = MonotonicClock.now()
        while engine.nextDeadline <= now {
            let before = engine.nextDeadline
            engine.advance(to: now, into: &egress)
            let wasFull = egress.wantsFlush
            if wasFull { flush() }
            // A deadline that stays although there is room would spin; the next turn comes back to it.
            if !wasFull && engine.nextDeadline <= before { break }
        }
        flush()
        if sink.nextDeadline <= now { sink.advance(to: now) }
        handOver()
        if !shards.isEmpty { tellShards() }
    }

    /// What the engine says of requests and servers goes to those who log it.
    private mutating func handOver() {
        engine.drainRecords { records.push($0) }
        records.publish()
        engine.drainEvents { events.push($0) }
    }

    // MARK: Shards

    /// Wakes the shards that wait for what this one has freed, and tells them what it has found.
    private mutating func tellShards() {
        var wakes = engine.takeWakes() & ~(1 << UInt64(shard))
        while wakes != 0 {
            shards[wakes.trailingZeroBitCount].ring()
            wakes &= wakes - 1
        }
        for command in engine.takeAnnouncements() {
            for (index, mailbox) in shards.enumerated() where index != shard { mailbox.post(.command(command)) }
        }
    }

    /// What came to the leader and concerns others: who has an address is told to all, what a router says of a segment to the shard that has
    /// sent it. There is little of both.
    /// - Returns: whether it is another's alone.
    private func handOn(_ frame: RawSpan, _ side: Side) -> Bool {
        guard frame.byteCount >= Frame.ethernetHeaderLength else { return false }
        if frame.etherType == 0x0806 || NeighbourMessage.isNeighbourDiscovery(frame) {
            let bytes = frame.withUnsafeBytes { Array($0) }
            for (index, mailbox) in shards.enumerated() where index != shard { mailbox.post(.frame(bytes, side)) }
            return false
        }
        guard FrameShard.isICMP(frame), let index = rule?.index(of: frame, on: side), index != shard else { return false }
        shards[index].post(.frame(frame.withUnsafeBytes { Array($0) }, side))
        return true
    }

    /// What the leader has relayed: it answers, this one only learns from it.
    private mutating func takeRelayed(_ frame: RawSpan, _ side: Side) {
        if frame.byteCount >= Frame.ethernetHeaderLength, frame.etherType == 0x0806 {
            if case .arp(let packet) = Frame.parse(frame) { sink.receive(packet, asksUs: false, on: side, at: now) }
        } else if NeighbourMessage.isNeighbourDiscovery(frame) {
            if let message = solicited.read(frame, on: side) { sink.receive(message, asksUs: false, on: side, at: now) }
        } else {
            engine.receive(frame, on: side, at: now, into: &egress)
            if egress.wantsFlush { flush() }
        }
    }

    private mutating func readMailbox() {
        if !shards.isEmpty, mailbox.takeRing() {
            engine.wake(at: now, into: &egress)
            flush()
        }
        for message in mailbox.takeAll() {
            switch message {
            case .command(let command): apply(command)
            case .reconfigure(let other, let receive):
                let fault = engine.reconfigure(other, at: now, into: &egress)
                flush()
                receive(fault)
            case .judge(let other, let receive): receive(engine.fault(of: other))
            case .frame(let bytes, let side): takeRelayed(bytes.span.bytes, side)
            case .report(let receive): receive(report())
            case .announce: announce()
            case .quit: isRunning = false
            }
        }
        flush()
        handOver()
        if !shards.isEmpty { tellShards() }
    }

    /// A reset of everything may need several egresses: it goes on until one did not fill.
    private mutating func apply(_ command: EngineCommand) {
        var goesOn = true
        while goesOn {
            engine.apply(command, at: now, into: &egress)
            if case .abort = command { goesOn = egress.wantsFlush } else { goesOn = false }
            flush()
            handOver()
        }
    }

    // MARK: ARP and neighbour discovery

    private mutating func answer(_ frame: RawSpan, _ side: Side) {
        guard case .arp(let packet) = Frame.parse(frame) else { return }
        let reply = responder.receive(packet, on: side)
        if let reply { inject(reply, to: reply.targetHardware, on: side) }
        sink.receive(packet, asksUs: reply != nil, on: side, at: now)
    }

    private mutating func answerSolicitation(_ frame: RawSpan, _ side: Side) {
        guard let message = solicited.read(frame, on: side) else { return }
        let reply = solicited.receive(message, on: side)
        if let reply { inject(reply.message, to: reply.hardware, on: side) }
        sink.receive(message, asksUs: reply != nil, on: side, at: now)
    }

    private mutating func announce() {
        for side in server == nil ? [Side.client] : Side.allCases {
            for packet in responder.announcements(on: side) { inject(packet, to: .broadcast, on: side) }
            for message in solicited.announcements(on: side) { inject(message, to: .none, on: side) }
        }
    }

    // A reply that is lost is asked for again.

    private mutating func inject(_ message: NeighbourMessage, to destination: HardwareAddress, on side: Side) {
        _ = (side == .server ? server ?? client : client).inject(message, to: destination)
    }

    private mutating func inject(_ packet: ARPPacket, to destination: HardwareAddress, on side: Side) {
        withUnsafeTemporaryAllocation(byteCount: ARPPacket.frameLength, alignment: 8) { frame in
            packet.writeFrame(to: destination, into: frame)
            _ = (side == .server ? server ?? client : client).inject(UnsafeRawBufferPointer(frame))
        }
    }

    // MARK: Figures

    private func report() -> LoopReport {
        var report = LoopReport()
        report.at = now
        report.snapshot = engine.snapshot(at: now)
        report.isDrained = engine.isDrained
        report.captures[Int(Side.client.rawValue)] = client.statistics
        if let server { report.captures[Int(Side.server.rawValue)] = server.statistics }
        for side in Side.allCases { report.transmits[Int(side.rawValue)] = sink.statistics(of: side) }
        report.arp = responder.counters
        report.lastConflict = responder.lastConflict
        report.ndp = solicited.counters
        report.lastConflictOfNDP = solicited.lastConflict
        report.recordsLost = records.lostCount
        report.eventsLost = events.lostCount
        report.turns = turns
        return report
    }
}

extension RawSpan {
    /// Bytes 12 and 13 of an Ethernet frame; the caller has measured it.
    @inline(__always) var etherType: UInt16 { UInt16(bigEndian: unsafeLoadUnaligned(fromByteOffset: 12, as: UInt16.self)) }
}
