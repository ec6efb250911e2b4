import Testing

@testable import Lab

@Suite("Lab: how a benchmark is divided among processes")
struct BenchPlanTests {
    @Test(
        "no process has more than it may, and all have what was asked for",
        arguments: [(1, 1), (18_000, 1), (18_001, 2), (150_000, 9), (200_000, 12)])
    func shares(connections: Int, processes: Int) {
        let plan = BenchPlan(connections: connections, shared: connections * 2 / 3)
        #expect(plan.parts.count == processes)
        #expect(plan.parts.map(\.connections).reduce(0, +) == connections)
        #expect(plan.parts.map(\.shared).reduce(0, +) == connections * 2 / 3)
        #expect(
            plan.parts.allSatisfy {
                $0.connections >= 1 && $0.connections <= BenchPlan.connectionsPerProcess && $0.shared <= $0.connections
            })
    }

    @Test("no process is without a connection")
    func few() {
        #expect(BenchPlan(connections: 3, processes: 10).parts.map(\.connections) == [1, 1, 1])
    }

    @Test("each address is one process's own while there are enough of them")
    func sources() {
        let addresses = (1...7).map { "127.0.0.\($0)" }
        let plan = BenchPlan(connections: 30, processes: 3, sources: addresses)
        #expect(plan.parts.flatMap(\.sources).sorted() == addresses)
        #expect(plan.parts.allSatisfy { !$0.sources.isEmpty })
        let scarce = BenchPlan(connections: 30, processes: 3, sources: ["127.0.0.1", "127.0.0.2"])
        #expect(scarce.parts.map(\.sources) == [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1"]])
        #expect(BenchPlan(connections: 30, processes: 3).parts.allSatisfy { $0.sources.isEmpty })
    }

    @Test("messages of all processes together are due at even distances")
    func load() {
        let plan = BenchPlan(connections: 40, processes: 4)
        var due: [UInt64] = []
        for part in plan.parts.indices {
            let (rate, start) = plan.load(part, rate: 1000, start: 5_000_000_000)
            let own = SwarmPlan(devices: 10, rate: rate, seconds: 0.1)
            due += (0..<own.messages).map { start + UInt64(own.dueTime(of: $0)) }
        }
        #expect(due.sorted() == (0..<100).map { 5_000_000_000 + $0 * 1_000_000 })
    }
}

@Suite("Lab: the search for the highest rate")
struct RateSearchTests {
    /// Searches where every rate up to `capacity` holds; returns what was tried.
    private func search(_ search: inout RateSearch, capacity: Double) -> [Double] {
        var tried: [Double] = []
        while let rate = search.rate, tried.count < 1000 {
            tried.append(rate)
            search.tried(held: rate <= capacity)
        }
        return tried
    }

    @Test("ends near the highest that holds", arguments: [1000.0, 1700, 2950, 4400, 7900])
    func finds(capacity: Double) throws {
        var one = RateSearch(from: 1000, to: 8000, steps: 100)
        let tried = search(&one, capacity: capacity)
        let held = try #require(one.held)
        #expect(held <= capacity && held * 1.1 + 50 >= capacity, "\(held) of \(capacity)")
        #expect(tried.allSatisfy { $0 <= 8000 })
    }

    @Test("goes down when the lowest does not hold, and ends when nothing does")
    func down() {
        var one = RateSearch(from: 1000, to: 8000, steps: 100)
        _ = search(&one, capacity: 500)
        #expect(one.held.map { $0 <= 500 && $0 > 400 } ?? false)
        var none = RateSearch(from: 1000, to: 8000, steps: 100)
        #expect(search(&none, capacity: 0).count < 30)
        #expect(none.held == nil)
    }

    @Test("ends at the highest that is allowed, and after so many steps")
    func bounds() {
        var all = RateSearch(from: 1000, to: 3000, steps: 100)
        #expect(search(&all, capacity: 1e9) == [1000, 1500, 2250, 3000])
        #expect(all.held == 3000 && all.missed == nil)
        var few = RateSearch(from: 1000, to: 100_000, steps: 3)
        #expect(search(&few, capacity: 1e9).count == 3)
    }

    @Test("a rate that holds at the second try holds")
    func secondTry() {
        var one = RateSearch(from: 1000, to: 1500, steps: 10)
        one.tried(held: false)
        #expect(one.rate == 1000 && one.missed == nil)
        one.tried(held: true)
        #expect(one.held == 1000 && one.rate == 1500)
        one.tried(held: false)
        one.tried(held: false)
        #expect(one.missed == 1500)
    }
}
