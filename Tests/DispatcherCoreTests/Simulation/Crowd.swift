import DispatcherCore
import Glibc

/// Clients that go on asking until they are told to stop.
final class Crowd {
    /// How many answers came, and of those of the servers how many within a second of the request; own answers of the dispatcher by status.
    private(set) var answered = 0
    private(set) var inTime = 0
    private(set) var refused: [Int: Int] = [:]
    private(set) var isStopped = false
    /// What each asks for.
    var request = RequestPlan.get()
    var response = ResponsePlan.length(100)
    /// Requests of one connection.
    var requests = 10

    private unowned let world: World
    private var random: SimulationRandom
    private var hosts: [TestHost] = []
    private var busy = 0
    private var ports = 20_000

    init(_ world: World) {
        self.world = world
        random = world.simulation.random.fork("crowd")
    }

    var isFinished: Bool { isStopped && busy == 0 }
    func stop() { isStopped = true }

    /// So many who ask for the next as soon as they have the last.
    func ask(_ count: Int) {
        for _ in 0..<count {
            let host = world.nextClientHost()
            world.simulation.after(.milliseconds(Int64(random.below(100)))) { [self] in connect(host, requests: requests, goesOn: true) }
        }
    }

    /// So many requests a second from as many connections, whatever becomes of the others.
    func come(_ rate: Double) {
        if hosts.isEmpty { hosts = (0..<50).map { _ in world.nextClientHost() } }
        arrive(rate)
    }

    private func arrive(_ rate: Double) {
        let unit = Double(random.next() >> 11) * 0x1p-53
        world.simulation.after(Interval(nanoseconds: Int64(-log(1 - unit) / rate * 1e9))) { [weak self] in
            guard let self, !isStopped else { return }
            connect(hosts[random.below(hosts.count)], requests: 1, goesOn: false)
            arrive(rate)
        }
    }

    private func connect(_ host: TestHost, requests: Int, goesOn: Bool) {
        guard !isStopped else { return }
        var script = ClientScript()
        script.exchanges = (0..<requests).map { _ in world.exchange(request, response) }
        (script.acceptsErrors, script.mayFail) = ([500, 502, 503, 504], true)
        ports = ports < 60_000 ? ports + 1 : 20_001
        let begun = world.simulation.now
        var asked = begun
        let client = world.client(on: host, port: UInt16(ports), script: script, options: TestTCPOptions())
        busy += 1
        client.onAnswered = { [unowned self] _ in
            answered += 1
            if world.simulation.now - asked <= .seconds(1) { inTime += 1 }
            asked = world.simulation.now
        }
        client.onFinished = { [unowned self, unowned client] in
            busy -= 1
            if client.outcome != .complete { refused[0, default: 0] += 1 }
            if goesOn {
                world.simulation.after(client.outcome == .complete ? .microseconds(50) : .milliseconds(100)) { [weak self] in
                    self?.connect(host, requests: requests, goesOn: true)
                }
            }
        }
    }

    /// Nobody asks any more; waits for the last answers.
    func end() {
        stop()
        if !world.simulation.run(atMost: .seconds(600), until: { self.isFinished }) {
            world.simulation.violation("a crowd that does not end")
        }
    }
}
