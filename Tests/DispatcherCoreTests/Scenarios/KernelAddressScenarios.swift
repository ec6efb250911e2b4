import DispatcherCore
import Testing

/// Addresses that the kernel owns as well: nothing but the services' ports, and what servers send to ours, is answered.
@Suite("K. Addresses that the kernel owns too")
struct KernelAddressScenarios {
    /// A host with a single address, which clients ask and servers are asked from.
    private static func single(_ configuration: inout EngineConfiguration) {
        configuration.services[0].isOwnedByKernel = true
        configuration.sourceIsKernels = true
        configuration.sourceAddress = World.service.address
    }

    @Test("K02 a host with one address serves clients and asks servers from it", arguments: [false, true])
    func oneAddress(shared: Bool) {
        let world = World(servers: 2) { configuration in
            Self.single(&configuration)
            configuration.sidesShareInterface = shared
        }
        for index in 0..<6 {
            world.client([world.exchange(), world.exchange(.post(3_000), .length(40_000))]) { $0.start = .milliseconds(Int64(index)) }
        }
        world.finish()
        #expect(world.dropped(.leftToKernel) == 0 && world.dropped(.ownFrame) == 0)
    }

    @Test("K02 TCP to another port of a service address is left to the kernel: no RST")
    func otherPort() {
        let (world, client, _) = World.raw { $0.services[0].isOwnedByKernel = true }
        client.remote.port = 22
        client.send(.syn)
        client.send(.ack)
        #expect(client.arrivals().isEmpty)
        #expect(world.dropped(.leftToKernel) == 2 && world.dropped(.serviceUnknown) == 0)
        client.remote = World.service
        client.open()
        world.check()
    }

    @Test("K02 what comes to the source address from no server is left to the kernel; what a server sends to no connection is reset")
    func otherPeer() throws {
        let (world, client, server) = World.raw { $0.sourceIsKernels = true }
        client.open()
        try #require(server.accept() != nil)
        let stranger = RawPeer(server.host, port: 443, remote: Endpoint(address: World.sourceAddress, port: 40_000))
        stranger.send([.syn, .ack])
        stranger.send(.ack)
        #expect(stranger.arrivals().isEmpty && world.dropped(.leftToKernel, on: .server) == 2)
        let old = RawPeer(server.host, port: 8_080, remote: Endpoint(address: World.sourceAddress, port: 40_000))
        old.send(.ack)
        #expect(old.arrivals().map(\.flags) == [.rst])
        world.check()
    }

    @Test("K02 echo requests are left to the kernel; an error about a segment of ours is heeded on either leg")
    func icmp() throws {
        let opened = Spliced(configure: Self.single)
        let splice = try #require(opened)
        let (world, client, server) = (splice.world, splice.client, splice.server)
        let service = World.service.address
        world.inject(TestICMP.frame([8, 0, 0, 0, 0, 1, 0, 1], to: service), from: client)
        #expect(client.arrivals().isEmpty && world.dropped(.leftToKernel) == 1)
        let request = try #require(server.received.last { !$0.payload.isEmpty })
        world.inject(TestICMP.error(3, 4, mtu: 1_300, about: request), from: server)
        #expect(world.dropped(.icmpNotOurs, on: .server) == 0 && world.dropped(.wrongSide, on: .server) == 0)
        server.advance([.ack, .psh], RawPeer.head(length: 0))
        let answer = try #require(client.arrivals().last { !$0.payload.isEmpty })
        world.inject(TestICMP.error(3, 4, mtu: 1_300, about: answer), from: client)
        #expect(world.dropped(.icmpNotOurs) == 0 && world.dropped(.wrongSide) == 0)
    }

    @Test("K02 a server on the dispatcher's own host, at the dispatcher's own address, over the loopback device")
    func ownHost() throws {
        let local = IPAddress("127.0.0.1")!
        let end = Endpoint(address: local, port: 8_080)
        let world = World(servers: 0, rawServers: 0) { configuration in
            configuration.sourceAddress = local
            configuration.sourceIsKernels = true
            configuration.serverSideIsLoopback = true
            configuration.pools[0].servers = [ServerConfiguration(endpoint: end)]
        }
        let host = world.addHost("own", local, side: .server, impairments: .clean())
        let server = RawPeer(host, port: 8_080, remote: Endpoint(address: local, port: 0))
        let client = world.rawClient()
        client.open()
        let syn = try #require(server.accept())
        #expect(syn.source.address == local && syn.source.port == 10_000)
        client.advance([.ack, .psh], World.get)
        #expect(server.arrivals().contains { !$0.payload.isEmpty })
        server.advance([.ack, .psh], RawPeer.head(length: 2) + [111, 107])
        #expect(client.arrivals().contains { $0.payload.suffix(2) == [111, 107] })
        #expect(world.dropped(.badSource, on: .server) == 0 && world.dropped(.ownFrame, on: .server) == 0)
        world.check()
    }

    @Test("B12 a loopback source on any other device is no source")
    func loopbackElsewhere() {
        let world = World(servers: 0, rawServers: 1)
        let host = world.addHost("liar", IPAddress("127.0.0.1")!, side: .client, impairments: .clean())
        let client = RawPeer(host, port: 30_000)
        client.send(.syn)
        #expect(client.arrivals().isEmpty && world.dropped(.badSource) == 1)
    }
}
