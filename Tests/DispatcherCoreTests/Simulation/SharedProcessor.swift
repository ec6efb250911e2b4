import DispatcherCore
import Glibc

/// What a server's requests share: N of them at a time are served at `rate * N / (1 + contention (N-1) + coherency N (N-1))` a second in all,
/// each as fast as the others. Past its peak more at a time give less: it thrashes.
final class SharedProcessor {
    /// How much work a request is, beside others: the mean is one.
    enum Work { case constant, exponential }

    /// What it did over a stretch of time.
    struct Summary {
        var seconds = 0.0
        var completed = 0
        /// Requests in service: the mean over time, and the most.
        var mean = 0.0
        var most = 0

        /// Requests a second.
        var rate: Double { seconds > 0 ? Double(completed) / seconds : 0 }
    }

    private struct Job {
        let number: Int
        /// How much each must have been served when this one is done.
        let end: Double
        let done: () -> Void
    }

    let rate: Double
    let contention: Double
    let coherency: Double
    var work = Work.exponential
    /// How fast it is at the moment, as a part of what it is built for; zero = it stands still.
    var capacity = 1.0 {
        willSet { advance() }
        didSet { arm() }
    }

    private let simulation: Simulation
    private let timer: SimulationTimer
    private var random: SimulationRandom
    private var jobs: [Job] = []
    private var last = 0
    /// How much each has been served that has been there from the start, and at what time that was.
    private var served = 0.0
    private var servedAt: Instant
    private var completed = 0
    private var area = 0.0
    private var most = 0
    private var since: Instant

    /// - Parameter rate: requests a second of one at a time.
    init(_ simulation: Simulation, name: String, rate: Double, contention: Double, coherency: Double) {
        self.simulation = simulation
        self.rate = rate
        self.contention = contention
        self.coherency = coherency
        timer = SimulationTimer(simulation)
        random = simulation.random.fork("processor \(name)")
        servedAt = simulation.now
        since = simulation.now
        timer.action = { [unowned self] in complete() }
    }

    /// Requests a second that so many at a time get in all.
    func throughput(_ count: Int) -> Double {
        let count = Double(count)
        return rate * count / (1 + contention * (count - 1) + coherency * count * (count - 1))
    }

    /// The number at a time with which it does most.
    var peak: Int { (1...1_000).max { throughput($0) < throughput($1) }! }

    private var speed: Double { jobs.isEmpty ? 0 : capacity * throughput(jobs.count) / Double(jobs.count) }

    private func advance() {
        let seconds = Double((simulation.now - servedAt).nanoseconds) / 1e9
        servedAt = simulation.now
        served += seconds * speed
        area += seconds * Double(jobs.count)
    }

    private func arm() {
        guard let next = jobs.map(\.end).min(), speed > 0 else { return timer.cancel() }
        timer.arm(after: Interval(nanoseconds: Int64(max(0, next - served) / speed * 1e9) + 1))
    }

    private func complete() {
        advance()
        let done = jobs.filter { $0.end <= served + 1e-9 }
        jobs.removeAll { $0.end <= served + 1e-9 }
        completed += done.count
        arm()
        for job in done { job.done() }
    }

    /// Begins to serve a request.
    /// - Returns: what `leave` knows it by.
    func enter(_ done: @escaping () -> Void) -> Int {
        advance()
        last += 1
        let unit = Double(random.next() >> 11) * 0x1p-53
        jobs.append(Job(number: last, end: served + (work == .constant ? 1 : -log(1 - unit)), done: done))
        most = max(most, jobs.count)
        arm()
        return last
    }

    /// A request is given up.
    func leave(_ number: Int) {
        advance()
        jobs.removeAll { $0.number == number }
        arm()
    }

    /// What it did since the last call.
    func summary() -> Summary {
        advance()
        let seconds = Double((simulation.now - since).nanoseconds) / 1e9
        defer { (completed, area, most, since) = (0, 0, jobs.count, simulation.now) }
        return Summary(seconds: seconds, completed: completed, mean: seconds > 0 ? area / seconds : 0, most: most)
    }
}
