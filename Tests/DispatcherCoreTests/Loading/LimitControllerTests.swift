import Testing

@testable import DispatcherCore

@Suite("One controller for a server")
struct LimitControllerTests {
    private func window(_ limit: Int, seconds: Double, stored: Int = 0) -> Performance {
        var figures = Performance()
        figures.length = .seconds(1)
        figures.limit = limit
        figures.responses = 100
        figures.allResponses = 100
        figures.responseTimes = Interval(nanoseconds: Int64(seconds * 1e11))
        figures.hadQueue = true
        figures.stored = stored
        return figures
    }

    @Test("fixed: nothing but a person moves it, between its bounds")
    func fixed() {
        var controller = LimitController(.fixed, initial: 300, minimum: 2, maximum: 256)
        #expect(controller.limit == 256 && controller.state == .fixed && controller.band == nil && controller.elasticity == nil)
        var figures = window(256, seconds: 9)
        figures.failures = 5
        #expect(controller.take(figures) == 256 && controller.reason == .fixed)
        controller.setLimit(1)
        #expect(controller.limit == 2)
        controller.setLimit(40)
        controller.setBounds(minimum: 2, maximum: 30)
        #expect(controller.limit == 30)
        controller.restart(at: 8)
        #expect(controller.limit == 8 && controller.state == .fixed)
        #expect(controller.setBand(low: 1, high: 2) == false)
    }

    @Test("held: its states follow the metric; the band and the limit can be set")
    func held() {
        var controller = LimitController(
            .hold(.averageResponseTime, low: 0.010, high: 0.020), initial: 10, minimum: 1, maximum: 20)
        #expect(controller.state == .noMeasurement && controller.band?.low == 0.010 && controller.band?.high == 0.020)
        #expect(controller.take(window(10, seconds: 0.015)) == 10 && controller.state == .hold)
        #expect(controller.take(window(10, seconds: 0.080)) == 6 && controller.state == .lower && controller.reason == .above)
        #expect(controller.take(window(6, seconds: 0.005)) == 7 && controller.state == .raise && controller.reason == .below)
        #expect(controller.setBand(low: 0.004, high: 0.006) == true)
        #expect(controller.take(window(7, seconds: 0.005)) == 7 && controller.state == .hold)
        for (low, high) in [(0.5, 0.2), (0, 1), (-1, 1), (nil, nil), (.nan, 1)] as [(Double?, Double?)] {
            #expect(controller.setBand(low: low, high: high) == false)
        }
        #expect(controller.band?.high == 0.006)
        controller.setLimit(19)
        #expect(controller.limit == 19 && controller.state == .noMeasurement && controller.reason == .set)
        var calm = window(19, seconds: 0.001)
        calm.hadQueue = false
        #expect(controller.take(calm) == 19 && controller.state == .notSaturated)
        controller.restart(at: 4)
        #expect(controller.limit == 4 && controller.reason == .restarted)
    }

    @Test("stored requests and a metric together: the lower limit counts, and the other one waits near it")
    func together() {
        var controller = LimitController(
            .storedHolding(raiseAbove: 10, lowerBelow: 2, .averageResponseTime, low: 0.010, high: 0.020), initial: 16, minimum: 1,
            maximum: 256)
        for _ in 0..<50 { #expect(controller.take(window(16, seconds: 0.015, stored: 100)) == 16) }
        #expect(controller.state == .hold && controller.band?.low == 0.010)
        // Few are stored now: the limit falls at once, though the queue was long for long.
        var limits: [Int] = []
        for _ in 0..<4 { limits.append(controller.take(window(16, seconds: 0.015, stored: 0))) }
        #expect(limits.last! < 16 && controller.state == .lower && controller.reason == .fewStored, "\(limits)")
    }

    @Test("what cannot be controlled says why")
    func faults() {
        #expect(LimitControl.fixed.fault == nil && LimitControl.optimiseThroughput.fault == nil)
        #expect(LimitControl.hold(.throughput, low: 1, high: nil).fault == nil)
        #expect(LimitControl.hold(.throughput, low: nil, high: nil).fault != nil)
        #expect(LimitControl.hold(.requestRate, low: 2, high: 2).fault != nil)
        #expect(LimitControl.stored(raiseAbove: 10, lowerBelow: 2).fault == nil)
        #expect(LimitControl.stored(raiseAbove: 2, lowerBelow: 10).fault != nil)
        #expect(LimitControl.stored(raiseAbove: 2, lowerBelow: -1).fault != nil)
        #expect(LimitControl.storedHolding(raiseAbove: 5, lowerBelow: 1, .requestRate, low: 3, high: 2).fault != nil)
    }

    @Test("optimised: raises, compares, holds; low demand and failures are told apart")
    func optimised() {
        var model = ServerModel(optimise: 3)
        var controller = LimitController(.optimiseThroughput, initial: 1, minimum: 1, maximum: 256)
        var states: [LimitController.State: Int] = [:]
        for _ in 0..<300 {
            _ = controller.take(model.countedWindow(limit: controller.limit))
            states[controller.state, default: 0] += 1
        }
        #expect(states[.raise, default: 0] >= 4 && states[.probe, default: 0] >= 8 && states[.hold, default: 0] >= 100, "\(states)")
        #expect(controller.elasticity.map { abs($0) < 0.3 } == true && controller.band == nil)
        model.demand = 1
        _ = controller.take(model.countedWindow(limit: controller.limit))
        #expect(controller.state == .notSaturated)
        var figures = model.countedWindow(limit: controller.limit)
        figures.failures = 1
        _ = controller.take(figures)
        #expect(controller.state == .lower && controller.reason == .failures)
    }

    private static let controls: [LimitControl] =
        [.fixed, .optimiseThroughput, .stored(raiseAbove: 10, lowerBelow: 2)]
        + Metric.allCases.flatMap { metric in
            [
                .hold(metric, low: 0.5, high: 20), .hold(metric, low: 1, high: nil), .hold(metric, low: nil, high: 3),
                .storedHolding(raiseAbove: 3, lowerBelow: 0, metric, low: 1, high: 5),
            ]
        }

    @Test("whatever the figures, and whatever is ordered: the limit stays between its bounds", arguments: controls)
    func anything(control: LimitControl) {
        var random = SeededRandom(seed: 7)
        func below(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
        var (minimum, maximum) = (1, 256)
        var controller = LimitController(control, initial: 8, minimum: minimum, maximum: maximum)
        for _ in 0..<4_000 {
            switch below(40) {
            case 0: controller.setLimit(below(600) - 20)
            case 1: controller.restart(at: below(600) - 20)
            case 2:
                minimum = 1 + below(40)
                maximum = minimum + below(300)
                controller.setBounds(minimum: minimum, maximum: maximum)
            case 3: _ = controller.setBand(low: below(2) == 0 ? nil : Double(below(50)), high: Double(below(100)))
            default:
                var figures = Performance()
                figures.length = Interval(nanoseconds: Int64(below(5)) * 500_000_000)
                figures.limit = controller.limit
                figures.responses = below(3) == 0 ? 0 : below(10_000)
                figures.allResponses = figures.responses + below(100)
                figures.bytes = UInt64(below(4)) * UInt64(below(1_000_000_000))
                figures.packets = UInt64(below(1_000))
                figures.responseTimes = .milliseconds(Int64(below(1_000_000)))
                figures.longestResponseTime = .milliseconds(Int64(below(10_000)))
                figures.failures = below(30) == 0 ? below(5) : 0
                figures.meanOutstanding = Double(below(300))
                figures.hadQueue = below(2) == 0
                figures.stored = below(20)
                figures.reported = [nil, .nan, .infinity, -1, 0, Double(below(30))][below(6)]
                let limit = controller.take(figures)
                #expect(limit == controller.limit)
            }
            #expect((minimum...maximum).contains(controller.limit), "\(control), \(controller.reason)")
            #expect(controller.elasticity.map(\.isFinite) != false)
        }
    }
}
