import DispatcherCore
import Testing

@Suite("Connections that pass half of the sequence space")
struct LongScenarios {
    private static let step = 60_000

    /// Moves one direction on by `bytes`: of each window only the last byte is sent, and it is acknowledged as if all had come.
    private func move(_ bytes: Int, from sender: RawPeer, to receiver: RawPeer) {
        var left = bytes
        while left > 0 {
            let step = min(left, Self.step)
            let wanted = receiver.acknowledgement &+ UInt32(step)
            sender.sequence &+= UInt32(step - 1)
            sender.advance(.ack, [88])
            receiver.run(.milliseconds(1))
            receiver.acknowledgement = wanted
            receiver.acknowledge()
            sender.run(.milliseconds(1))
            left -= step
        }
    }

    @Test("a response of more than 2 GiB passes, and the next one on the same connection")
    func response() throws {
        let opened = Spliced { $0.tcp.initialWindow = .client }
        let splice = try #require(opened)
        let (client, server) = (splice.client, splice.server)
        let length = 2_300_000_000
        server.advance([.ack, .psh], RawPeer.head(length: length))
        client.run()
        client.acknowledge()
        server.run()
        move(length, from: server, to: client)
        server.run(.milliseconds(100))
        #expect(server.received.last?.acknowledgement == server.sequence)
        #expect(splice.world.firstServer.active == 0 && splice.world.frontConnections == 1)

        client.skip()
        server.skip()
        client.advance([.ack, .psh], World.get)
        #expect(!server.arrivals().flatMap(\.payload).isEmpty)
        let next = client.acknowledgement
        let answer = RawPeer.head(length: 5) + [UInt8](text: "hello")
        server.advance([.ack, .psh], answer)
        let came = client.arrivals()
        #expect(came.flatMap(\.payload) == answer && came.first?.sequence == next)
        splice.world.check()
    }

    @Test("more than 2 GiB each way through a tunnel")
    func tunnel() throws {
        let (world, client, server) = try TunnelScenarios.raw()
        move(2_200_000_000, from: server, to: client)
        move(2_200_000_000, from: client, to: server)
        client.skip()
        server.skip()
        client.advance([.ack, .psh], [UInt8](text: "ping"))
        #expect(server.arrivals().flatMap(\.payload) == [UInt8](text: "ping"))
        server.advance([.ack, .psh], [UInt8](text: "pong"))
        #expect(client.arrivals().flatMap(\.payload) == [UInt8](text: "pong"))
        #expect(world.firstServer.tunnels == 1)
        world.check()
    }
}
