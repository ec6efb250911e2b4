import DispatcherCore
import Testing

@testable import DispatcherService

struct ShutdownTests {
    private let start = Instant(nanoseconds: 1_000_000_000)

    @Test func waitsUntilTheEngineIsDrained() {
        let shutdown = Shutdown(at: start, drain: .seconds(10))
        #expect(shutdown.next(at: start, isDrained: false) == .wait(milliseconds: 50))
        #expect(shutdown.next(at: start + .seconds(9), isDrained: true) == .quit)
    }

    @Test func abortsWhenTheTimeIsOver() {
        let shutdown = Shutdown(at: start, drain: .seconds(10))
        #expect(shutdown.next(at: start + .milliseconds(9_990), isDrained: false) == .wait(milliseconds: 10))
        #expect(shutdown.next(at: start + .seconds(10), isDrained: false) == .abort)
        #expect(Shutdown(at: start, drain: .zero).next(at: start, isDrained: false) == .abort)
    }

    @Test func aSecondSignalEndsTheWait() {
        var shutdown = Shutdown(at: start, drain: .seconds(10))
        shutdown.hurry()
        #expect(shutdown.next(at: start, isDrained: false) == .abort)
    }
}
