import DispatcherCore
import Testing

/// Words that scenarios share.
extension World {
    static let get = [UInt8](text: "GET /x/1 HTTP/1.1\r\nHost: test.example\r\n\r\n")

    /// One raw client and one raw server; everything end to end ([0063]) unless `configure` says otherwise.
    static func raw(servers: Int = 1, configure: (inout EngineConfiguration) -> Void = { _ in }) -> (World, RawPeer, RawPeer) {
        let world = World(servers: 0, rawServers: servers) { configuration in
            configuration.tcp.tailCustody = 0
            configure(&configuration)
        }
        return (world, world.rawClient(), world.rawServer())
    }

    /// Accounts and violations of a run whose peers are raw (they never say goodbye, so nothing comes to rest).
    func check(sourceLocation: SourceLocation = #_sourceLocation) {
        simulation.run(for: .milliseconds(1))
        dispatcher.checker.checkAccounts(dispatcher.snapshot.counters)
        report(sourceLocation)
    }

    func dropped(_ reason: DropReason, on side: Side = .client) -> Int {
        Int(dispatcher.snapshot.counters.dropped[Int(side.rawValue)][Int(reason.rawValue)])
    }

    func emitted(_ kind: EmissionKind, on side: Side = .client) -> Int {
        Int(dispatcher.snapshot.counters.emitted[Int(side.rawValue)][Int(kind.rawValue)])
    }

    func retransmitted(_ kind: EmissionKind, on side: Side) -> Int {
        Int(dispatcher.snapshot.counters.retransmitted[Int(side.rawValue)][Int(kind.rawValue)])
    }

    func refused(_ reason: RefusalReason) -> Int { Int(dispatcher.snapshot.counters.refused[Int(reason.rawValue)]) }

    var frontConnections: Int { dispatcher.snapshot.services[0].frontConnections }
    var firstServer: Snapshot.Server { dispatcher.snapshot.pools[0].servers[0] }

    /// A frame that no endpoint would write, straight onto the client's link.
    func inject(_ frame: [UInt8], from peer: RawPeer) { peer.host.transmit(frame) }
}

extension RawPeer {
    /// A segment as a frame of this host, for a test that changes its bytes.
    func frame(_ segment: TestSegment) -> [UInt8] { segment.frame(from: host.hardware, to: host.gateway) }

    /// The response head that raw servers send.
    static func head(length: Int) -> [UInt8] { [UInt8](text: "HTTP/1.1 200 OK\r\nContent-Length: \(length)\r\n\r\n") }

    /// Payload bytes, by number of segments and in all.
    var payloadReceived: Int { received.map(\.payload.count).reduce(0, +) }

    /// Acknowledges everything that came in order.
    func acknowledge() { send(.ack) }
}

/// A raw client's request that a raw server has received: the start of every scenario about responses.
struct Spliced {
    let world: World
    let client: RawPeer
    let server: RawPeer
    /// The request as the server got it.
    let request: [UInt8]
    /// X0 and B0: where the response begins in both sequence spaces.
    var clientStart: UInt32
    var serverStart: UInt32

    init?(
        request bytes: [UInt8] = World.get, clientWindow: UInt16 = 65_535, options: [UInt8]? = nil, serverOptions: [UInt8]? = nil,
        clientSequence: UInt32 = 1_000, serverSequence: UInt32 = 500_000, configure: (inout EngineConfiguration) -> Void = { _ in }
    ) {
        let world = World(servers: 0, rawServers: 1) { configuration in
            configuration.tcp.tailCustody = 0
            configure(&configuration)
        }
        self.init(
            world, world.rawClient(sequence: clientSequence), world.rawServer(sequence: serverSequence), request: bytes,
            clientWindow: clientWindow, options: options, serverOptions: serverOptions)
    }

    init?(
        _ world: World, _ client: RawPeer, _ server: RawPeer, request bytes: [UInt8], clientWindow: UInt16 = 65_535,
        options: [UInt8]? = nil, serverOptions: [UInt8]? = nil
    ) {
        self.world = world
        self.client = client
        self.server = server
        client.window = clientWindow
        if let options {
            client.send(.syn) { $0.options = options }
            client.sequence &+= 1
            guard let answer = client.arrivals().last, answer.flags == [.syn, .ack] else { return nil }
            client.acknowledgement = answer.sequence &+ 1
            client.send(.ack)
        } else if client.open() == nil {
            return nil
        }
        var from = server.acknowledgement
        var isSent = false
        if server.remote.port == 0 {
            var syn = server.accept(within: .milliseconds(20), options: serverOptions)
            if syn == nil {
                // A pool that opens connections on request.
                client.advance([.ack, .psh], bytes)
                isSent = true
                syn = server.accept(options: serverOptions)
            }
            guard let syn else { return nil }
            from = syn.sequence &+ 1
        }
        if !isSent {
            server.skip()
            client.advance([.ack, .psh], bytes)
        }
        _ = server.arrivals()
        request = server.stream(from: from)
        guard !request.isEmpty else { return nil }
        clientStart = client.acknowledgement
        serverStart = server.sequence
        client.skip()
    }

    /// What reached the client since the last look.
    func clientArrivals(_ time: Interval = .milliseconds(5)) -> [TestSegment] { client.arrivals(after: time) }
    func serverArrivals(_ time: Interval = .milliseconds(5)) -> [TestSegment] { server.arrivals(after: time) }
}
