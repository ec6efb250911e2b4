import DispatcherCore
import Testing

@Suite("Simulator: clock and strictness")
struct SimulationTests {
    @Test("events happen in order of time, then of scheduling")
    func order() {
        let simulation = Simulation(seed: 1)
        var seen: [Int] = []
        for (index, delay) in [30, 10, 20, 10, 0].enumerated() { simulation.after(.milliseconds(Int64(delay))) { seen.append(index) } }
        simulation.run(for: .milliseconds(25))
        #expect(seen == [4, 1, 3, 2])
        #expect(simulation.elapsed == .milliseconds(25))
    }

    @Test("a timer armed again fires once, a cancelled one never")
    func timers() {
        let simulation = Simulation(seed: 1)
        let timer = SimulationTimer(simulation)
        var fired: [Interval] = []
        timer.action = { fired.append(simulation.elapsed) }
        timer.arm(after: .milliseconds(5))
        timer.arm(after: .milliseconds(9))
        simulation.run(for: .milliseconds(20))
        timer.arm(after: .milliseconds(5))
        timer.cancel()
        simulation.run(for: .milliseconds(20))
        #expect(fired == [.milliseconds(9)])
        #expect(simulation.isIdle)
    }

    @Test("random streams depend on seed and name only")
    func random() {
        var a = SimulationRandom(seed: 5).fork("x")
        var b = SimulationRandom(seed: 5).fork("x")
        var c = SimulationRandom(seed: 5).fork("y")
        let first = (0..<100).map { _ in a.next() }
        #expect(first == (0..<100).map { _ in b.next() })
        #expect(first != (0..<100).map { _ in c.next() })
        var counts = [Int](repeating: 0, count: 10)
        for _ in 0..<10_000 { counts[a.below(10)] += 1 }
        #expect(counts.allSatisfy { (800...1_200).contains($0) })
    }

    /// A client endpoint whose peer is the test.
    private func connected() -> (Simulation, TestHost, TestTCPEndpoint, (TestSegment) -> Void, () -> TestSegment) {
        let simulation = Simulation(seed: 1)
        let host = TestHost(
            simulation, name: "host", address: IPAddress(v4: 0x0A00_0001), hardware: HardwareAddress(bits: 2), gateway: .none)
        var sent: [TestSegment] = []
        host.transmit = { frame in if let segment = try? TestSegment(frame: frame) { sent.append(segment) } }
        let remote = Endpoint(address: IPAddress(v4: 0x0A00_0002), port: 80)
        let endpoint = host.connect(from: 1_000, to: remote)
        let deliver: (TestSegment) -> Void = { host.receive(SimulatedFrame(bytes: $0.frame(from: .none, to: HardwareAddress(bits: 2)))) }
        var synAck = TestSegment(source: remote, destination: endpoint.local)
        synAck.flags = [.syn, .ack]
        synAck.sequence = 5_000
        synAck.acknowledgement = sent[0].end
        synAck.options = TestSegment.maximumSegmentSize(1_460)
        deliver(synAck)
        return (simulation, host, endpoint, deliver, { sent.last! })
    }

    private func data(_ endpoint: TestTCPEndpoint, _ change: (inout TestSegment) -> Void) -> TestSegment {
        var segment = TestSegment(source: endpoint.remote, destination: endpoint.local)
        segment.flags = .ack
        segment.sequence = 5_001
        segment.acknowledgement = endpoint.nextSequence
        change(&segment)
        return segment
    }

    @Test(
        "the strict endpoint names what a peer does wrong",
        arguments: [
            "acknowledges", "window ended", "are now others", "after its FIN", "checksum is bad", "URG", "RST with data",
            "outside of a SYN",
            "no ACK flag", "no DF",
            "link of",
        ])
    func strictness(fault: String) {
        let (simulation, _, endpoint, deliver, _) = connected()
        deliver(data(endpoint) { $0.payload = Array("hello".utf8) })
        #expect(simulation.violations.isEmpty)
        switch fault {
        case "acknowledges": deliver(data(endpoint) { $0.acknowledgement &+= 1 })
        case "window ended":
            deliver(data(endpoint) { ($0.sequence, $0.payload) = ($0.sequence &+ 65_500, [UInt8](repeating: 0, count: 1_000)) })
        case "are now others": deliver(data(endpoint) { $0.payload = Array("hallo".utf8) })
        case "after its FIN":
            deliver(data(endpoint) { ($0.sequence, $0.flags) = ($0.sequence &+ 5, [.fin, .ack]) })
            deliver(data(endpoint) { ($0.sequence, $0.payload) = ($0.sequence &+ 5, [1]) })
        case "checksum is bad": deliver(data(endpoint) { $0.checksum = .bad })
        case "URG": deliver(data(endpoint) { $0.flags = [.ack, .urg] })
        case "RST with data": deliver(data(endpoint) { ($0.flags, $0.acknowledgement, $0.payload) = (.rst, 0, [1]) })
        case "outside of a SYN": deliver(data(endpoint) { $0.options = [1, 1, 1, 1] })
        case "no ACK flag": deliver(data(endpoint) { $0.flags = .psh })
        case "no DF": deliver(data(endpoint) { $0.dontFragment = false })
        default: deliver(data(endpoint) { $0.payload = [UInt8](repeating: 0, count: 1_461) })
        }
        #expect(simulation.violations.contains { $0.contains(fault) }, "\(simulation.violations)")
    }

    @Test("delayed acknowledgements: quick at first, then every second full segment or after 40 ms")
    func delayedAcknowledgement() {
        let (simulation, _, endpoint, deliver, _) = connected()
        var at: UInt32 = 5_001
        func send(_ size: Int) {
            deliver(data(endpoint) { ($0.sequence, $0.payload) = (at, [UInt8](repeating: 7, count: size)) })
            at &+= UInt32(size)
        }
        for _ in 0..<8 { send(100) }
        #expect(endpoint.acknowledgementsSent == 9)
        send(1_460)
        #expect(endpoint.acknowledgementsSent == 9)
        send(1_460)
        #expect(endpoint.acknowledgementsSent == 10)
        send(10)
        simulation.run(for: .milliseconds(39))
        #expect(endpoint.acknowledgementsSent == 10)
        simulation.run(for: .milliseconds(2))
        #expect(endpoint.acknowledgementsSent == 11)
        at &+= 50
        send(10)
        #expect(endpoint.acknowledgementsSent == 12)
    }

    @Test("retransmission: 1, 2, 4 s at the start; 200 ms at least later; three duplicates at once")
    func retransmission() {
        let (simulation, _, endpoint, deliver, last) = connected()
        endpoint.write([UInt8](repeating: 1, count: 14_600))
        let sent = endpoint.segmentsSent
        for _ in 0..<3 { deliver(data(endpoint) { $0.acknowledgement = endpoint.initialSend &+ 1 }) }
        #expect(endpoint.segmentsSent == sent + 1 && endpoint.fastRetransmissions == 1)
        #expect(last().sequence == endpoint.initialSend &+ 1)
        deliver(data(endpoint) { _ in })
        endpoint.write([1])
        simulation.run(for: .milliseconds(199))
        #expect(endpoint.timeouts == 0)
        simulation.run(for: .milliseconds(900))
        #expect(endpoint.timeouts >= 1)
    }

    @Test("a closed window is probed with the number before the first unacknowledged")
    func probe() {
        let (simulation, _, endpoint, deliver, last) = connected()
        deliver(data(endpoint) { $0.window = 0 })
        endpoint.write([1, 2, 3])
        simulation.run(for: .seconds(2))
        #expect(endpoint.probesSent >= 1)
        #expect(last().payload.isEmpty && last().sequence == endpoint.initialSend)
        deliver(data(endpoint) { ($0.window, $0.acknowledgement) = (100, endpoint.initialSend &+ 1) })
        #expect(last().payload == [1, 2, 3])
    }
}
