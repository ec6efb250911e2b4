import Testing

@testable import DispatcherCore

@Suite("Moving the limit by the stored requests")
struct StoredControllerTests {
    private func stored(_ count: Int, failures: Int = 0) -> Performance {
        var figures = Performance()
        figures.stored = count
        figures.failures = failures
        return figures
    }

    @Test("more than the one number raise it by an eighth, fewer than the other lower it; in between it stays")
    func moves() {
        var controller = StoredController(raiseAbove: 10, lowerBelow: 2, initial: 4, minimum: 1, maximum: 64)
        #expect(controller.limit == 4 && controller.reason == .noMeasurement)
        #expect(controller.take(stored(10)) == 4 && controller.reason == .someStored)
        #expect(controller.take(stored(2)) == 4 && controller.reason == .someStored)
        #expect(controller.take(stored(11)) == 5 && controller.reason == .manyStored)
        #expect(controller.take(stored(1)) == 4 && controller.reason == .fewStored)
        controller.set(limit: 32)
        #expect(controller.take(stored(99)) == 36 && controller.take(stored(0)) == 31)
        #expect(controller.take(stored(99, failures: 3)) == 22 && controller.reason == .failures)
    }

    @Test("it stays between its bounds, and says when it is at the most")
    func bounds() {
        var controller = StoredController(raiseAbove: 10, lowerBelow: 2, initial: 100, minimum: 2, maximum: 20)
        #expect(controller.limit == 20 && controller.take(stored(50)) == 20 && controller.reason == .atBound)
        for _ in 0..<40 { _ = controller.take(stored(0)) }
        #expect(controller.limit == 2)
        controller.setBounds(minimum: 5, maximum: 6)
        #expect(controller.limit == 5)
        controller.restart(at: 100)
        #expect(controller.limit == 6 && controller.reason == .restarted)
    }

    /// Connections come at a rate and each lasts a while; what finds no room is stored.
    @Test("a queue that is fed settles between the two numbers, wherever it starts", arguments: [1, 8, 200])
    func settles(initial: Int) {
        var controller = StoredController(raiseAbove: 20, lowerBelow: 5, initial: initial, minimum: 1, maximum: 256)
        // 40 a window come; a connection lasts one window; those that waited too long have gone.
        var waiting = 0.0
        var limits: [Int] = []
        for _ in 0..<300 {
            waiting = min(max(0, waiting + 40 - Double(controller.limit)), 60)
            limits.append(controller.take(stored(Int(waiting))))
        }
        let late = limits.suffix(100)
        #expect(late.min()! >= 30 && late.max()! <= 52, "\(late)")
    }
}
