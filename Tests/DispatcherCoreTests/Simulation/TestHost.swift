import DispatcherCore

/// Identifies a connection at a host.
struct TestFlow: Hashable {
    var localPort: UInt16
    var remote: Endpoint
}

/// A machine on the simulated network: hands segments to its connections, answers strays as RFC 9293 3.10.7.1 says.
final class TestHost {
    let simulation: Simulation
    let name: String
    let address: IPAddress
    let hardware: HardwareAddress
    /// Where its frames go.
    var gateway: HardwareAddress
    let mtu: Int
    /// Sends an Ethernet frame.
    var transmit: ([UInt8]) -> Void = { _ in }
    private(set) var endpoints: [TestFlow: TestTCPEndpoint] = [:]
    private var listeners: [UInt16: (options: TestTCPOptions, accept: (TestTCPEndpoint) -> Void)] = [:]
    /// Takes every segment instead of the connections: for scripts that write each segment themselves.
    var rawReceiver: ((TestSegment) -> Void)?
    private var rawPeers: [RawPeer] = []
    /// Whether protocol violations of the peer are recorded; off where the network changes segments undetectably.
    var isStrict = true
    /// Whether what comes may have nothing that a careful stack without other options would not send.
    var readsStrictly = true
    private(set) var segmentsReceived = 0
    private(set) var corruptedReceived = 0
    private(set) var resetsSent = 0
    private(set) var resetsReceived = 0
    private var identification: UInt16 = 0
    var random: SimulationRandom

    init(_ simulation: Simulation, name: String, address: IPAddress, hardware: HardwareAddress, gateway: HardwareAddress, mtu: Int = 1_500)
    {
        self.simulation = simulation
        self.name = name
        self.address = address
        self.hardware = hardware
        self.gateway = gateway
        self.mtu = mtu
        random = simulation.random.fork("host \(name)")
    }

    /// Bytes of the IP and TCP headers without options.
    var headers: Int { address.isIPv4 ? 40 : 60 }
    /// The MSS of a peer that tells none (RFC 9293 MUST-15).
    var assumedSegmentSize: Int { address.isIPv4 ? 536 : 1_220 }

    func listen(_ port: UInt16, options: TestTCPOptions = TestTCPOptions(), accept: @escaping (TestTCPEndpoint) -> Void) {
        listeners[port] = (options, accept)
    }

    func keep(_ peer: RawPeer) { rawPeers.append(peer) }

    func stopListening(_ port: UInt16) { listeners[port] = nil }

    func connect(from port: UInt16, to remote: Endpoint, options: TestTCPOptions = TestTCPOptions()) -> TestTCPEndpoint {
        let endpoint = TestTCPEndpoint(self, local: Endpoint(address: address, port: port), remote: remote, options: options)
        endpoints[TestFlow(localPort: port, remote: remote)] = endpoint
        endpoint.open()
        return endpoint
    }

    func remove(_ endpoint: TestTCPEndpoint) {
        let flow = TestFlow(localPort: endpoint.local.port, remote: endpoint.remote)
        if endpoints[flow] === endpoint { endpoints[flow] = nil }
    }

    func violation(_ text: @autoclosure () -> String) {
        if isStrict { simulation.violation("\(name): \(text())") }
    }

    func send(_ segment: TestSegment) {
        var segment = segment
        identification &+= 1
        segment.identification = identification
        if segment.flags.contains(.rst) { resetsSent += 1 }
        transmit(segment.frame(from: hardware, to: gateway))
    }

    func receive(_ frame: SimulatedFrame) {
        segmentsReceived += 1
        // ICMP is not for a host's TCP.
        if frame.damage == .none, SimulatedFrame.tcpOffset(frame.bytes) == nil { return }
        let segment: TestSegment
        do throws(FrameFault) {
            segment = try TestSegment(frame: frame.bytes, mtu: mtu, strict: frame.damage == .none && readsStrictly)
        } catch {
            if frame.damage == .none { simulation.violation("\(name): received \(error)") } else { corruptedReceived += 1 }
            return
        }
        if frame.damage == .corrupted {
            corruptedReceived += 1
            if segment.checksum == .full { simulation.violation("simulator: a flipped bit went undetected") }
            return
        }
        guard segment.checksum != .bad else { return }
        if segment.destination.address != address { return violation("a segment for \(segment.destination)") }
        if SegmentMerger.address(frame.bytes, at: 0) != hardware { return violation("a frame for another hardware address") }
        if segment.flags.contains(.rst) { resetsReceived += 1 }
        if let rawReceiver { return rawReceiver(segment) }
        dispatch(segment)
    }

    private func dispatch(_ segment: TestSegment) {
        let flow = TestFlow(localPort: segment.destination.port, remote: segment.source)
        if let endpoint = endpoints[flow] {
            if endpoint.mayBeReopened(by: segment), listeners[flow.localPort] != nil {
                // As Linux does: the new numbers begin above the old ones.
                endpoint.forget()
                return accept(segment, initialSequence: endpoint.nextSequence &+ 65_537)
            }
            return endpoint.segmentArrived(segment)
        }
        if segment.flags == .syn, listeners[flow.localPort] != nil { return accept(segment, initialSequence: nil) }
        answerStray(segment)
    }

    private func accept(_ segment: TestSegment, initialSequence: UInt32?) {
        guard let listener = listeners[segment.destination.port] else { return }
        let endpoint = TestTCPEndpoint(self, local: segment.destination, remote: segment.source, options: listener.options)
        endpoints[TestFlow(localPort: segment.destination.port, remote: segment.source)] = endpoint
        endpoint.onConnected = { [unowned endpoint] in listener.accept(endpoint) }
        endpoint.accept(segment, initialSequence: initialSequence)
    }

    /// A segment without a connection (RFC 9293 3.10.7.1).
    private func answerStray(_ segment: TestSegment) {
        guard !segment.flags.contains(.rst) else { return }
        var reset = TestSegment(source: segment.destination, destination: segment.source)
        reset.window = 0
        if segment.flags.contains(.ack) {
            reset.flags = .rst
            reset.sequence = segment.acknowledgement
        } else {
            reset.flags = [.rst, .ack]
            reset.acknowledgement = segment.end
        }
        send(reset)
    }
}
