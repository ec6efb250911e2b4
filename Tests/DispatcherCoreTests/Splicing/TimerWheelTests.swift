import Testing

@testable import DispatcherCore

@Suite("Timer wheel")
struct TimerWheelTests {
    /// Nanoseconds of a tick.
    static let tick: Int64 = 1 << 20

    @Test("a slot with very many timers is dealt out in pieces, and each fires once, in time")
    func pieces() {
        let count = 3 * TimerWheel.mostDealt + 100
        var wheel = TimerWheel(capacity: count)
        // All lie in one slot of the third level, far apart in the finer ones.
        let first = Int64(5 * 4_096) * Self.tick
        for id in 0..<count { wheel.arm(id, by: Instant(nanoseconds: first + Int64(id % 4_000) * Self.tick)) }
        let now = Instant(nanoseconds: first)
        let nothing = wheel.next(at: now)
        let deadline = wheel.deadline
        #expect(nothing == nil && deadline <= now)
        // Of what still waits to be dealt out one is taken away, and one is wanted sooner.
        wheel.disarm(0)
        wheel.arm(2, by: now)
        var answers = 1
        while wheel.deadline <= now, answers < 10 {
            answers += 1
            let early = wheel.next(at: now)
            #expect(early == nil)
        }
        #expect(answers == 4)
        let next = Instant(nanoseconds: first + Self.tick)
        var fired = [Int](repeating: 0, count: count)
        while let id = wheel.next(at: next) { fired[id] += 1 }
        #expect(fired == [0, 1, 1] + [Int](repeating: 0, count: count - 3))
        let end = Instant(nanoseconds: first + 4_001 * Self.tick)
        for _ in 0..<10 { while let id = wheel.next(at: end) { fired[id] += 1 } }
        let last = wheel.deadline
        #expect(fired == [0] + [Int](repeating: 1, count: count - 1))
        #expect(last == .distantFuture)
    }

    @Test("no timer fires early, late, twice or not at all", arguments: 1...8 as ClosedRange<UInt64>)
    func model(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        func below(_ bound: Int64) -> Int64 { Int64(random.next() % UInt64(bound)) }
        let count = 4_000
        var wheel = TimerWheel(capacity: count)
        var due = [Int64?](repeating: nil, count: count)
        var now: Int64 = 1_000_000_000
        _ = wheel.next(at: Instant(nanoseconds: now))
        for step in 0..<400 {
            // Mostly near each other, so that many share a slot.
            for _ in 0..<50 {
                let id = Int(below(Int64(count)))
                if below(4) == 0 {
                    wheel.disarm(id)
                    due[id] = nil
                } else {
                    let by = now + 30_000_000_000 + below(step % 2 == 0 ? 2_000_000_000 : 90_000_000_000)
                    wheel.arm(id, by: Instant(nanoseconds: by))
                    due[id] = min(due[id] ?? .max, by)
                }
            }
            if step % 10 == 0 { now += below(20_000_000_000) }
            now += below(300_000_000)
            while wheel.deadline.nanoseconds <= now {
                while let id = wheel.next(at: Instant(nanoseconds: now)) {
                    #expect((due[id] ?? .max) <= now, "\(id) early or twice")
                    due[id] = nil
                }
            }
            let late = due.filter { ($0 ?? .max) <= now - 2 * Self.tick }
            #expect(late.isEmpty, "\(late.count) late at \(now)")
            let armed = wheel.count
            #expect(armed == due.count { $0 != nil })
        }
    }
}
