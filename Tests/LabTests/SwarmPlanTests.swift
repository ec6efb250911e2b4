import Testing

@testable import Lab

@Suite("Lab: the plan of a swarm")
struct SwarmPlanTests {
    @Test("messages are due at even distances, the first at once, and none after the last")
    func due() {
        let plan = SwarmPlan(devices: 10, rate: 1000, seconds: 2)
        #expect(plan.messages == 2000)
        #expect(plan.due(after: -1) == 0)
        #expect(plan.due(after: 0) == 1)
        #expect(plan.due(after: 999_999) == 1)
        #expect(plan.due(after: 1_000_000) == 2)
        #expect(plan.due(after: 1_500_000_000) == 1501)
        #expect(plan.due(after: 60_000_000_000) == 2000)
        #expect(plan.dueTime(of: 1500) == 1_500_000_000)
        for number in [0, 1, 7, 333, 1999] { #expect(plan.due(after: plan.dueTime(of: number)) == number + 1) }
    }

    @Test("a generator rests until the next message is due, not for less than a millisecond or for too long")
    func rest() {
        let plan = SwarmPlan(devices: 10, rate: 100, seconds: 1)
        #expect(plan.rest(before: 1, after: 4_000_000) == 6_000_000)
        #expect(plan.rest(before: 1, after: 9_900_000) == 1_000_000)
        #expect(plan.rest(before: 1, after: 50_000_000) == 1_000_000)
        #expect(plan.rest(before: 50, after: 0) == 20_000_000)
        #expect(plan.rest(before: 100, after: 995_000_000) == 20_000_000)
    }

    @Test("an idle swarm has no messages")
    func idle() {
        let plan = SwarmPlan(devices: 10, seconds: 5)
        #expect(plan.messages == 0)
        #expect(plan.due(after: 1_000_000_000) == 0)
    }

    @Test("applications have their share of the devices, and every message has one", arguments: [(10, 10), (10, 3), (7, 1), (1000, 999)])
    func shares(devices: Int, applications: Int) {
        let plan = SwarmPlan(devices: devices, applications: applications)
        var counts = [Int](repeating: 0, count: applications)
        for device in 0..<devices { counts[plan.application(ofDevice: device)] += 1 }
        #expect(counts == (0..<applications).map { plan.devices(of: $0) })
        #expect(counts.reduce(0, +) == devices)
        #expect(counts.max().map { $0 - 1 } ?? 0 <= counts.min() ?? 0)
        #expect(Set((0..<applications).map { plan.application(of: $0) }).count == applications)
    }

    @Test("the warm-up's messages are those that are due before its end")
    func warmUp() {
        var plan = SwarmPlan(devices: 1, rate: 10, seconds: 2)
        plan.warmUp = 1
        #expect((0..<plan.messages).filter { plan.counts($0) } == Array(10..<20))
    }
}
