import DispatcherCore
import Testing

@Suite("Mode l4/3: ICMP errors")
struct ForwardICMPScenarios {
    /// A connection on which 1,000 bytes are on their way to each end.
    private func talking(_ families: Families = .v4) throws -> (ForwardedPair, toClient: TestSegment, toServer: TestSegment) {
        let made = ForwardedPair(families: families) { $0.clientSideMTU = 1_500 }
        let pair = try #require(made)
        pair.client.advance([.ack, .psh], [UInt8](repeating: 1, count: 1_300))
        let toServer = try #require(pair.server.arrivals().first)
        pair.server.acknowledgement = pair.syn.sequence &+ 1
        pair.server.advance([.ack, .psh], [UInt8](repeating: 2, count: 1_400))
        pair.client.followsPeer = false
        let toClient = try #require(pair.client.arrivals().first)
        return (pair, toClient, toServer)
    }

    /// ICMP messages that went to a host; the quoted segment's ends and number are read from them.
    final class Listener {
        var messages: [(type: UInt8, code: UInt8, mtu: Int, source: Endpoint, destination: Endpoint, sequence: UInt32)] = []

        init(_ world: World, before host: TestHost) {
            let (_, down) = world.links[host.name]!
            let deliver = down.deliver
            down.deliver = { [self] frame in
                if SimulatedFrame.tcpOffset(frame.bytes) == nil { read(frame.bytes) }
                deliver(frame)
            }
        }

        private func read(_ frame: [UInt8]) {
            let isIPv4 = frame[12] == 0x08
            let (icmp, header) = isIPv4 ? (34, 20) : (54, 40)
            func number(_ at: Int, _ count: Int) -> UInt32 { frame[at..<at + count].reduce(0) { $0 << 8 | UInt32($1) } }
            func address(_ at: Int) -> IPAddress {
                isIPv4
                    ? IPAddress(v4: number(at, 4))
                    : IPAddress(
                        high: UInt64(number(at, 4)) << 32 | UInt64(number(at + 4, 4)),
                        low: UInt64(number(at + 8, 4)) << 32 | UInt64(number(at + 12, 4)))
            }
            let source = address(isIPv4 ? 26 : 22), destination = address(isIPv4 ? 30 : 38)
            #expect(TestICMP.sum(Array(frame[icmp...]), from: source, to: destination) == 0xFFFF)
            let quoted = icmp + 8
            let tcp = quoted + header
            let addresses = isIPv4 ? (quoted + 12, quoted + 16) : (quoted + 8, quoted + 24)
            messages.append(
                (
                    frame[icmp], frame[icmp + 1], Int(number(icmp + 4, 4)),
                    Endpoint(address: address(addresses.0), port: UInt16(number(tcp, 2))),
                    Endpoint(address: address(addresses.1), port: UInt16(number(tcp + 2, 2))), number(tcp + 4, 4)
                ))
        }
    }

    @Test(
        "too big: whoever sent the segment is told, in its own words, numbers and family",
        arguments: [Families.v4, .v6, Families(clients: .v4, servers: .v6), Families(clients: .v6, servers: .v4)])
    func tooBig(families: Families) throws {
        let (pair, toClient, toServer) = try talking(families)
        let (atClient, atServer) = (Listener(pair.world, before: pair.client.host), Listener(pair.world, before: pair.server.host))
        pair.client.host.transmit(TestICMP.tooBig(mtu: 1_300, about: toClient))
        pair.server.host.transmit(TestICMP.tooBig(mtu: 1_320, about: toServer))
        pair.client.run()
        let clientIsIPv4 = pair.client.local.address.isIPv4, serverIsIPv4 = pair.server.local.address.isIPv4
        let atServerFirst = try #require(atServer.messages.first)
        #expect(atServerFirst.source == pair.server.local && atServerFirst.destination == toServer.source)
        #expect(atServerFirst.sequence == pair.server.sequence &- 1_400)
        #expect((atServerFirst.type, atServerFirst.code) == (serverIsIPv4 ? (3, 4) : (2, 0)))
        #expect(atServerFirst.mtu == 1_300 + (clientIsIPv4 == serverIsIPv4 ? 0 : clientIsIPv4 ? 20 : -20))
        let atClientFirst = try #require(atClient.messages.first)
        #expect(atClientFirst.source == pair.client.local && atClientFirst.destination == pair.client.remote)
        #expect(atClientFirst.sequence == pair.client.sequence &- 1_300)
        #expect(atClientFirst.mtu == 1_320 + (clientIsIPv4 == serverIsIPv4 ? 0 : serverIsIPv4 ? 20 : -20))
        // What a device merges is cut accordingly from now on.
        pair.server.advance(.ack, [UInt8](repeating: 3, count: 1_400))
        let size = 1_300 - (clientIsIPv4 ? 40 : 60)
        #expect(pair.client.arrivals().map(\.payload.count) == [size, 1_400 - size])
        pair.world.check()
    }

    @Test("unreachables pass on too, and end nothing by themselves", arguments: [Families.v4, .v6])
    func unreachable(families: Families) throws {
        let (pair, toClient, toServer) = try talking(families)
        let (atClient, atServer) = (Listener(pair.world, before: pair.client.host), Listener(pair.world, before: pair.server.host))
        let v4 = families.clients == .v4
        for (type, code) in v4 ? [(3, 3), (3, 1), (11, 0)] : [(1, 4), (1, 0), (3, 0)] as [(UInt8, UInt8)] {
            pair.client.host.transmit(TestICMP.error(type, code, about: toClient, quoting: 20))
            pair.server.host.transmit(TestICMP.error(type, code, about: toServer, quoting: 20))
        }
        pair.client.run()
        let codes: [UInt8] = v4 ? [3, 1, 1] : [4, 0, 0]
        #expect(atClient.messages.map(\.code) == codes && atServer.messages.map(\.code) == codes)
        #expect(pair.world.activeConnections == [1])
        pair.world.check()
    }

    @Test("an error about a number that is not in flight, about no connection, or that cannot be true, goes nowhere")
    func forged() throws {
        let (pair, toClient, toServer) = try talking()
        let world = pair.world
        let (atClient, atServer) = (Listener(world, before: pair.client.host), Listener(world, before: pair.server.host))
        func changed(_ segment: TestSegment, _ change: (inout TestSegment) -> Void) -> TestSegment {
            var segment = segment
            change(&segment)
            return segment
        }
        let (client, server) = (pair.client.host, pair.server.host)
        client.transmit(TestICMP.tooBig(mtu: 1_300, about: changed(toClient) { $0.sequence &+= 100_000 }))
        client.transmit(TestICMP.tooBig(mtu: 1_300, about: changed(toClient) { $0.destination.port = 1 }))
        client.transmit(TestICMP.tooBig(mtu: 1_480, about: toClient))
        server.transmit(TestICMP.tooBig(mtu: 1_300, about: changed(toServer) { $0.sequence &-= 100_000 }))
        server.transmit(TestICMP.tooBig(mtu: 1_300, about: changed(toServer) { $0.source.port = 1 }))
        server.transmit(TestICMP.tooBig(mtu: 1_480, about: toServer))
        // On the wrong side.
        world.dispatcher.receive(SimulatedFrame(bytes: TestICMP.tooBig(mtu: 1_300, about: toClient)), on: .server)
        world.dispatcher.receive(SimulatedFrame(bytes: TestICMP.tooBig(mtu: 1_300, about: toServer)), on: .client)
        pair.client.run()
        #expect(atClient.messages.isEmpty && atServer.messages.isEmpty)
        for side in Side.allCases {
            #expect(world.dropped(.icmpNotInFlight, on: side) == 1 && world.dropped(.icmpNotOurs, on: side) == 1)
            #expect(world.dropped(.icmpAbsorbed, on: side) == 1 && world.dropped(.wrongSide, on: side) == 1)
        }
        world.check()
    }

    @Test("before the server has answered there is nothing in flight to a client")
    func tooEarly() throws {
        let (world, client, _) = World.rawForwarding()
        client.knock()
        var quoted = TestSegment(source: client.remote, destination: client.local)
        quoted.flags = .ack
        quoted.payload = [UInt8](repeating: 0, count: 1_000)
        client.host.transmit(TestICMP.tooBig(mtu: 600, about: quoted))
        client.run()
        #expect(world.dropped(.icmpNotInFlight) == 1)
        world.check()
    }
}
