import DispatcherCore

/// What must hold in every run (I5, I7, I8; I1-I4 are checked by the endpoints that see both streams).
final class InvariantChecker {
    private let simulation: Simulation
    private var configuration: EngineConfiguration
    private(set) var framesIn = [UInt64](repeating: 0, count: 2)
    private(set) var packetsOut = [UInt64](repeating: 0, count: 2)
    private let services: Set<Endpoint>
    private var servers: Set<Endpoint>
    /// Servers to which connections are forwarded: under whose limits, at most, and which of them see the client's address.
    private var forwarded: [Endpoint: Int]
    private let kept: Set<Endpoint>
    /// Forwarded connections by the client's end as the server sees it, as far as anybody outside can tell that they go on.
    private var census: [Endpoint: [Endpoint: Counted]] = [:]
    private struct Counted {
        /// The number of its SYN, and whether the server has answered it.
        var initial: UInt32
        var isAnswered = false
        /// The number behind each end's FIN, and whether the other end has acknowledged it.
        var finOut: UInt32?
        var finIn: UInt32?
        var isOutOver = false
        var isInOver = false
    }
    /// The ports from which servers are checked.
    private let checkPorts: Range<Int>
    /// What a test raised the limits by.
    var raisedLimit = 0
    /// The most connections that a server had at a time.
    private(set) var mostForwarded = 0
    /// The number of the last SYN of each port to each server.
    private var opened: [TestFlow: UInt32] = [:]
    /// SYNs on a port that had a connection to that server before.
    private(set) var portsReused: UInt64 = 0

    /// - Parameter shards: among which the ports are divided.
    init(_ simulation: Simulation, configuration: EngineConfiguration, shards: Int = 1) {
        self.simulation = simulation
        let ports = configuration.part(Shard(0, of: shards)).ports
        checkPorts = ports.firstTunnelPort..<ports.firstForwardedPort
        self.configuration = configuration
        services = Set(configuration.services.flatMap(\.listen))
        servers = Set(configuration.pools.flatMap { $0.servers.map(\.endpoint) })
        var forwarded: [Endpoint: Int] = [:]
        var kept: Set<Endpoint> = []
        for service in configuration.services where service.mode == .l43 {
            let pool = configuration.pools[service.routes[0].pool]
            for server in pool.servers {
                forwarded[server.endpoint, default: 0] += pool.control == .fixed ? server.initialLimit : server.maximumLimit
                if pool.l4.source == .keep { kept.insert(server.endpoint) }
            }
        }
        (self.forwarded, self.kept) = (forwarded, kept)
    }

    /// Another configuration: servers that are there no longer may still have something.
    func take(_ other: EngineConfiguration) {
        let fresh = InvariantChecker(simulation, configuration: other)
        configuration = other
        servers.formUnion(fresh.servers)
        forwarded.merge(fresh.forwarded) { max($0, $1) }
    }

    func arrived(_ frame: SimulatedFrame, on side: Side) {
        framesIn[Int(side.rawValue)] += 1
        if side == .server, frame.tcpOffset != nil, let segment = try? TestSegment(frame: frame.bytes) {
            count(segment, server: segment.source, client: segment.destination, isOut: false)
        }
    }

    /// Forwarded connections, counted apart from the engine: from the SYN that goes to a server until a RST was seen, or a FIN each way and
    /// its acknowledgement.
    private func count(_ segment: TestSegment, server: Endpoint, client: Endpoint, isOut: Bool) {
        guard let limit = forwarded[server] else { return }
        if checkPorts.contains(Int(client.port)), configuration.sourceAddresses.contains(client.address) { return }
        if isOut, segment.flags.contains(.syn) {
            // One that the other server has not answered is offered to this one.
            for other in census.keys where other != server {
                census[other] = census[other]?.filter { $0.value.isAnswered || $0.value.initial != segment.sequence }
            }
            if census[server]?[client] == nil { census[server, default: [:]][client] = Counted(initial: segment.sequence) }
            let count = census[server]?.count ?? 0
            mostForwarded = max(mostForwarded, count)
            if count > max(limit, raisedLimit) { simulation.violation("\(count) connections at \(server), the limit is \(limit)") }
            return
        }
        guard var state = census[server]?[client] else { return }
        if !isOut, segment.flags.contains(.syn) { state.isAnswered = true }
        if segment.flags.contains(.fin) { if isOut { state.finOut = segment.end } else { state.finIn = segment.end } }
        if segment.flags.contains(.ack) {
            let fin = isOut ? state.finIn : state.finOut
            let isOver = fin.map { Int32(bitPattern: segment.acknowledgement &- $0) >= 0 } ?? false
            if isOver { if isOut { state.isInOver = true } else { state.isOutOver = true } }
        }
        census[server]?[client] = segment.flags.contains(.rst) || state.isInOver && state.isOutOver ? nil : state
    }

    func sent(on side: Side) { packetsOut[Int(side.rawValue)] += 1 }

    func frame(_ packet: [UInt8], from sender: HardwareAddress, to receiver: HardwareAddress) -> [UInt8] {
        var frame: [UInt8] = []
        frame.reserveCapacity(14 + packet.count)
        for address in [receiver, sender] {
            for shift in stride(from: UInt64(40), through: 0, by: -8) { frame.append(UInt8(address.bits >> shift & 255)) }
        }
        return frame + (packet[0] >> 4 == 4 ? [0x08, 0x00] : [0x86, 0xDD]) + packet
    }

    /// I5, the part that needs to know the configuration.
    func check(_ segment: TestSegment, on side: Side) {
        switch side {
        case .client:
            if !services.contains(segment.source), !segment.flags.contains(.rst) {
                simulation.violation("I5: from \(segment.source): \(segment)")
            }
        case .server:
            count(segment, server: segment.destination, client: segment.source, isOut: true)
            if !configuration.sourceAddresses.contains(segment.source.address), !kept.contains(segment.destination) {
                simulation.violation("I5: from \(segment.source) to a server")
            }
            if !servers.contains(segment.destination), !segment.flags.contains(.rst) {
                simulation.violation("I5: to no server of ours: \(segment)")
            }
            if segment.flags == .syn {
                let before = opened.updateValue(
                    segment.sequence, forKey: TestFlow(localPort: segment.source.port, remote: segment.destination))
                if before != nil, before != segment.sequence { portsReused += 1 }
            }
        }
    }

    /// I8: every frame is consumed, forwarded or dropped for one reason; every packet out is forwarded, emitted or retransmitted.
    func checkAccounts(_ counters: Counters) {
        for side in Side.allCases {
            let index = Int(side.rawValue)
            let dropped = counters.dropped[index].reduce(0, +)
            let seen = counters.consumed[index] + counters.forwarded[index] + dropped
            if counters.framesIn[index] != framesIn[index] {
                simulation.violation("I8: \(framesIn[index]) frames in on the \(side) side, counted \(counters.framesIn[index])")
            }
            if framesIn[index] != seen {
                simulation.violation(
                    "I8: \(framesIn[index]) frames in on the \(side) side = \(counters.consumed[index]) consumed + \(counters.forwarded[index]) forwarded + \(dropped) dropped = \(seen)?"
                )
            }
            let emitted = counters.emitted[index].reduce(0, +)
            let retransmitted = counters.retransmitted[index].reduce(0, +)
            if packetsOut[index] != emitted + retransmitted {
                simulation.violation(
                    "I8: \(packetsOut[index]) packets out on the \(side) side = \(emitted) emitted, forwarded ones among them, + \(retransmitted) retransmitted?"
                )
            }
        }
        if counters.overLimit != 0 { simulation.violation("\(counters.overLimit) requests dispatched over the limit") }
    }

    /// I7: back at the baseline, no slot, no buffer, no timer but those of idle back-end connections.
    func checkQuiescence(_ snapshot: Snapshot) {
        func expect(_ value: Int, _ wanted: Int, _ what: String) {
            if value != wanted { simulation.violation("I7: \(what) is \(value) at rest, expected \(wanted)") }
        }
        var idle = 0
        for service in snapshot.services {
            expect(service.frontConnections, 0, "frontConnections of \(service.name)")
            expect(service.tunnels, 0, "tunnels of \(service.name)")
            expect(service.phases.reduce(0, +), 0, "sum of phases of \(service.name)")
        }
        for pool in snapshot.pools {
            expect(pool.queueLength, 0, "queueLength of \(pool.name)")
            for server in pool.servers {
                expect(server.active, 0, "active of \(server.endpoint)")
                expect(server.streamed, 0, "streamed of \(server.endpoint)")
                expect(server.opening, 0, "opening of \(server.endpoint)")
                expect(server.closing, 0, "closing of \(server.endpoint)")
                expect(server.tunnels, 0, "tunnels of \(server.endpoint)")
                idle += server.idle
            }
        }
        expect(snapshot.timeWaits, 0, "timeWaits")
        expect(snapshot.bufferBytes, 0, "bufferBytes")
        expect(snapshot.stagingBytes, 0, "stagingBytes")
        expect(snapshot.bodyBytes, 0, "bodyBytes")
        expect(snapshot.clientsHold, 0, "clientsHold")
        if snapshot.timers > idle { simulation.violation("I7: \(snapshot.timers) timers at rest with \(idle) idle connections") }
    }
}
