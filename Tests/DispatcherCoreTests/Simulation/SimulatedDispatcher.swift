import DispatcherCore
import Glibc

/// The dispatcher under test in its network: hands it frames, obeys its deadlines exactly, sends what it writes, and checks every packet.
final class SimulatedDispatcher {
    /// Where frames for an address go.
    struct Port {
        var side: Side
        var hardware: HardwareAddress
        var link: SimulatedLink
    }

    let simulation: Simulation
    private(set) var configuration: EngineConfiguration
    private var engine: ShardedDispatcher
    private var egress: Egress
    private var ports: [IPAddress: Port] = [:]
    private var wakeToken = 0
    private var wakeAt = Instant.distantFuture
    private var flushPlanned = false
    private var idleWakes = 0
    /// Filled where a run may have to be looked at.
    var capture = CaptureFile()
    private(set) var checker: InvariantChecker
    private(set) var records: [RequestRecord] = []
    private(set) var events: [EngineEvent] = []
    /// Called with each frame that the engine sends, as it is on the wire.
    var onEmit: ((Side, TestSegment) -> Void)?
    /// Whether what it sends may have nothing that a careful stack would not send; what it forwards may.
    var readsStrictly = true
    /// Whether all who send are there: off where frames are made whose sender nobody is. What goes to such a one is lost.
    var knowsEveryone = true
    /// Called when a RST goes to a server: with its address, and the end of the connection that is ours.
    var onServerReset: ((_ server: Endpoint, _ ours: Endpoint) -> Void)?
    /// Frames at the same instant form one batch of at most this many before what was written is sent.
    var batch = 64
    /// Whether frames are announced to the engine, which must make no difference.
    var looksAhead = true
    private var inBatch = 0
    /// Whether the transmitter takes nothing, as one whose device is full: what the engine writes stays in its egress.
    var isStuck = false { didSet { if !isStuck { flush() } } }

    static let clientSideHardware = HardwareAddress(bits: 0x02_00_00_00_01_00)
    static let serverSideHardware = HardwareAddress(bits: 0x02_00_00_00_02_00)

    /// - Parameter shards: how many engines share the work.
    init(_ simulation: Simulation, configuration: EngineConfiguration, shards: Int = 1) {
        self.simulation = simulation
        self.configuration = configuration
        engine = ShardedDispatcher(configuration: configuration, seed: simulation.seed, count: shards)
        checker = InvariantChecker(simulation, configuration: configuration, shards: shards)
        // Payloads lie elsewhere until they are sent, or are copied: in every other run.
        egress = Egress(gathers: simulation.seed & 1 == 1)
        rearm()
    }

    func attach(_ address: IPAddress, to port: Port) { ports[address] = port }

    var snapshot: Snapshot { engine.snapshot(at: simulation.now) }
    var isDrained: Bool { engine.isDrained }
    var nextDeadline: Instant { engine.nextDeadline }

    /// What this engine has counted goes into the table over all.
    func addToCoverage() {
        guard Coverage.isWanted else { return }
        drainRecords()
        let snapshot = snapshot
        let failures = snapshot.pools.reduce(0) { $0 + $1.servers.reduce(0) { $0 + $1.connectFailures } }
        func records(_ kind: RequestRecord.Kind) -> UInt64 { UInt64(self.records.count { $0.kind == kind }) }
        Coverage.add(
            snapshot,
            [
                .portReused: checker.portsReused, .tunnelOpened: records(.tunnelOpened), .tunnelClosed: records(.tunnelClosed),
                .connectFailed: failures,
            ], told: events)
    }

    // MARK: In

    func receive(_ frame: SimulatedFrame, on side: Side) {
        capture.append(frame.bytes, at: simulation.now)
        checker.arrived(frame, on: side)
        Trace.write(simulation, frame.bytes, side, isIn: true)
        let before = egress.count
        if looksAhead { engine.lookAhead(frame.bytes.span.bytes, on: side) }
        engine.receive(frame.bytes.span.bytes, on: side, at: simulation.now, into: &egress)
        idleWakes = 0
        checkAnswersToReset(frame, since: before)
        inBatch += 1
        if egress.wantsFlush || inBatch >= batch {
            flush()
        } else if egress.count > 0 {
            planFlush()
        }
        rearm()
    }

    func apply(_ command: EngineCommand) {
        engine.apply(command, at: simulation.now, into: &egress)
        planFlush()
        rearm()
    }

    /// Another configuration.
    /// - Returns: why it cannot be; then nothing has changed.
    @discardableResult
    func reconfigure(_ change: (inout EngineConfiguration) -> Void) -> String? {
        var other = configuration
        change(&other)
        let fault = engine.reconfigure(other, at: simulation.now, into: &egress)
        if fault == nil {
            configuration = other
            checker.take(other)
        }
        planFlush()
        rearm()
        return fault
    }

    // MARK: Time

    private func rearm() {
        let deadline = max(engine.nextDeadline, simulation.now)
        guard engine.nextDeadline != .distantFuture else {
            wakeToken += 1
            wakeAt = .distantFuture
            return
        }
        guard deadline != wakeAt else { return }
        wakeToken += 1
        wakeAt = deadline
        let mine = wakeToken
        simulation.at(deadline) { [unowned self] in if mine == wakeToken { wake() } }
    }

    private func wake() {
        wakeAt = .distantFuture
        var rounds = 0
        let before = egress.count
        var sentAny = before > 0
        repeat {
            engine.advance(to: simulation.now, into: &egress)
            sentAny = sentAny || egress.count > 0
            if egress.wantsFlush { flush() }
            rounds += 1
            if rounds > 10_000 {
                simulation.violation(
                    "M08: advance(to:) does not move nextDeadline (\(engine.nextDeadline.nanoseconds - simulation.now.nanoseconds) ns)")
                break
            }
        } while engine.nextDeadline <= simulation.now
        idleWakes = sentAny ? 0 : idleWakes + 1
        if idleWakes == 200_000 { simulation.violation("M08: 200,000 deadlines in a row that did nothing") }
        if egress.count > 0 { planFlush() }
        rearm()
    }

    // MARK: Out

    private func planFlush() {
        guard !flushPlanned else { return }
        flushPlanned = true
        simulation.after(.zero) { [self] in flush() }
    }

    private func flush() {
        flushPlanned = false
        guard !isStuck else { return }
        inBatch = 0
        for index in 0..<egress.count {
            let packet = egress[index]
            emit(packet)
        }
        egress.removeAll()
        drainRecords()
        if engine.nextDeadline != wakeAt { rearm() }
    }

    func drainRecords() {
        engine.drainRecords { records.append(copy $0) }
        engine.drainEvents { events.append(copy $0) }
    }

    private func emit(_ packet: Egress.Packet) {
        checker.sent(on: packet.side)
        let whole = egress.whole(packet)
        let mtu = packet.side == .client ? configuration.clientSideMTU : configuration.serverSideMTU
        guard packet.segmentSize > 0 else { return transmit(whole, packet) }
        let splitter = SegmentSplitter(
            packet: UnsafeRawBufferPointer(egress.bytes(of: packet)), payload: packet.payload, segmentSize: packet.segmentSize)
        if splitter.count == 1 {
            transmit(whole, packet)
            if whole.count > mtu { simulation.violation("I5: a packet of \(whole.count) bytes, MTU \(mtu)") }
            return
        }
        withUnsafeTemporaryAllocation(byteCount: SegmentSplitter.largestHeader, alignment: 8) { header in
            for piece in 0..<splitter.count {
                let (length, payload) = splitter.writeHeader(of: piece, into: header.baseAddress!)
                transmit(Array(header[..<length]) + Array(payload), packet)
            }
        }
    }

    private func transmit(_ bytes: [UInt8], _ packet: Egress.Packet) {
        guard let port = ports[packet.destination] else {
            if knowsEveryone { simulation.violation("a packet to unknown \(packet.destination)") }
            return
        }
        if port.side != packet.side { simulation.violation("a packet for \(packet.destination) on the \(packet.side) side") }
        var receiver = port.hardware
        if case .neighbour(let address) = packet.nextHop { receiver = address }
        let sender = packet.side == .client ? Self.clientSideHardware : Self.serverSideHardware
        let frame = checker.frame(bytes, from: sender, to: receiver)
        if SimulatedFrame.tcpOffset(frame) != nil {
            do throws(FrameFault) {
                let mtu = packet.side == .client ? configuration.clientSideMTU : configuration.serverSideMTU
                let segment = try TestSegment(frame: frame, mtu: mtu, strict: readsStrictly)
                checker.check(segment, on: packet.side)
                onEmit?(packet.side, segment)
                if packet.side == .server, segment.flags.contains(.rst) { onServerReset?(segment.destination, segment.source) }
            } catch {
                simulation.violation("I5: the engine sent \(error)")
            }
        }
        capture.append(frame, at: simulation.now)
        Trace.write(simulation, frame, packet.side, isIn: false)
        port.link.send(frame)
    }

    /// Invariant I6: in answer to a RST at most a challenge ACK goes back (RFC 5961 3.2), never a RST.
    private func checkAnswersToReset(_ frame: SimulatedFrame, since before: Int) {
        guard egress.count > before, let tcp = frame.tcpOffset, frame.bytes[tcp + 13] & 4 != 0,
            let reset = try? TestSegment(frame: frame.bytes)
        else { return }
        for index in before..<egress.count {
            let packet = egress[index]
            let bytes = egress.whole(packet)
            guard let answer = try? TestSegment(frame: checker.frame(bytes, from: .none, to: .none)),
                answer.destination == reset.source, answer.source == reset.destination
            else { continue }
            // A SYN is no answer: the request that was on the connection opens another one, perhaps from the same port.
            guard answer.flags != .syn else { continue }
            if answer.flags != .ack || !answer.payload.isEmpty { simulation.violation("I6: \(reset) was answered by \(answer)") }
        }
    }
}

/// With `SLUICE_TRACE` set, every segment at the dispatcher as a line on standard error: for looking into one seed.
enum Trace {
    static let isOn = getenv("SLUICE_TRACE") != nil

    static func write(_ simulation: Simulation, _ frame: [UInt8], _ side: Side, isIn: Bool) {
        guard isOn else { return }
        let text = (try? TestSegment(frame: frame)).map { segment in
            let start = String(decoding: segment.payload.prefix(40), as: UTF8.self).debugDescription
            return "\(segment)\(segment.checksum == .bad ? " BAD" : "") \(start)"
        }
        let time = simulation.milliseconds(simulation.elapsed)
        let line = Array("\(time) \(side) \(isIn ? "in " : "out") \(text ?? "\(frame.count) bytes")\n".utf8)
        _ = Glibc.write(2, line, line.count)
    }
}
