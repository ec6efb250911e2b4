import DispatcherCore
import Testing

/// The simulator's clients and servers against each other: what fails here is the simulator's fault.
@Suite("Simulator: endpoints against each other")
struct DirectNetworkTests {
    @Test("a clean link carries requests without a retransmission")
    func clean() {
        let network = DirectNetwork()
        let exchanges = [
            network.exchange(.get(), .length(200_000)), network.exchange(.post(5_000), .chunked(30_000, size: 700)),
            network.exchange(.get(), .length(0)),
        ]
        let client = network.client(exchanges)
        network.run()
        #expect(client.endpoint.retransmitted == 0)
        #expect(network.server.requestsServed == 3)
        #expect(client.endpoint.end == .finished)
    }

    @Test("every kind of response arrives")
    func kinds() {
        let network = DirectNetwork()
        var head = RequestPlan()
        head.method = "HEAD"
        var interim = ResponsePlan.length(500)
        interim.interim = 2
        var none = ResponsePlan()
        none.status = 204
        none.framing = .none
        var close = ResponsePlan()
        close.framing = .untilClose(40_000)
        var longHead = ResponsePlan.length(10)
        longHead.headSize = 9_000
        network.client([
            network.exchange(head, .length(1_000)), network.exchange(.get(), interim), network.exchange(.get(), none),
            network.exchange(.get(), longHead), network.exchange(.get(), close),
        ])
        network.client([network.exchange(), network.exchange(), network.exchange()]) { $0.pipeline = 3 }
        network.client([network.exchange(.post(300))]) { $0.writeSize = 1 }
        network.client([network.exchange(.get(), .length(90_000))]) { $0.ending = .halfClose }
        var switching = ResponsePlan()
        switching.status = 101
        switching.framing = .switching
        network.client([network.exchange(.upgrade(up: 20_000, down: 30_000), switching)])
        network.run()
    }

    @Test("a client that leaves early is noticed by nobody else")
    func abort() {
        let network = DirectNetwork()
        let one = network.client([network.exchange(.get(), .length(500_000))]) { $0.ending = .abort(after: 100_000) }
        network.client([network.exchange(.get(), .length(50_000))])
        network.run(expectComplete: false)
        #expect(one.outcome == .aborted)
        #expect(network.clients[1].outcome == .complete)
    }

    @Test("a slow reader closes its window, is probed as Linux probes, and gets every byte")
    func slowReader() {
        let network = DirectNetwork()
        var options = TestTCPOptions()
        options.receiveBuffer = 8_000
        options.reader = .paced(bytes: 2_000, interval: .milliseconds(700))
        let client = network.client([network.exchange(.get(), .length(60_000))], options: options)
        var probes = 0
        var connection: TestTCPEndpoint?
        network.server.onRequest = { _ in connection = network.server.connections[0].endpoint }
        network.simulation.run(for: .seconds(5))
        probes = connection?.probesSent ?? 0
        network.run()
        #expect(probes > 0)
        #expect(client.outcome == .complete)
    }

    @Test("streams stay exact under every impairment", arguments: SimulationSeed.many(40))
    func impaired(seed: UInt64) {
        var random = SimulationRandom(seed: seed)
        var impairments = Impairments.clean(.microseconds(Int64(random.within(20...20_000))))
        impairments.loss = Double(random.below(20)) / 100
        impairments.duplication = Double(random.below(6)) / 100
        impairments.reordering = Double(random.below(10)) / 100
        impairments.corruption = Double(random.below(3)) / 100
        impairments.jitter = .microseconds(Int64(random.below(500)) + 1)
        if random.chance(0.5) { impairments.merging = 0.5 }
        let network = DirectNetwork(seed: seed, impairments: impairments)
        for _ in 0..<4 {
            let exchanges = (0..<random.within(1...4)).map { _ in network.exchange(.get(), .length(random.below(60_000))) }
            network.client(exchanges) { $0.pipeline = random.within(1...3) }
        }
        network.run(atMost: .seconds(3_000))
    }

    @Test("M09 the same seed gives the same capture, byte for byte; another seed does not")
    func replay() {
        func capture(_ seed: UInt64) -> CaptureFile {
            var impairments = Impairments.clean(.milliseconds(3))
            impairments.loss = 0.05
            impairments.duplication = 0.05
            impairments.reordering = 0.05
            impairments.corruption = 0.02
            let network = DirectNetwork(seed: seed, impairments: impairments)
            network.client([network.exchange(.get(), .length(100_000)), network.exchange(.post(3_000))])
            network.client([network.exchange(.get(), .chunked(20_000, size: 999))])
            network.run()
            return network.capture
        }
        let first = capture(7)
        #expect(first.count > 100)
        #expect(first.bytes == capture(7).bytes)
        #expect(first.digest != capture(8).digest)
    }
}
