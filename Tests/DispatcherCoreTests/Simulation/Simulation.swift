import DispatcherCore

/// A virtual clock with its event heap. Events happen in order of (time, order of scheduling), so a run is a function of its seed.
final class Simulation {
    private struct Event {
        var time: Instant
        var order: UInt64
        var action: () -> Void

        func isBefore(_ other: Event) -> Bool { time == other.time ? order < other.order : time < other.time }
    }

    /// Virtual time begins well after `Instant.distantPast`.
    static let start = Instant(nanoseconds: 10_000_000_000)

    let seed: UInt64
    let random: SimulationRandom
    private(set) var now = Simulation.start
    private var heap: [Event] = []
    private var scheduled: UInt64 = 0
    private(set) var eventsRun = 0
    /// What was found wrong, in order; a run is good when this is empty.
    private(set) var violations: [String] = []
    /// A run with more events than this does not end by itself.
    var eventLimit = 5_000_000

    init(seed: UInt64) {
        self.seed = seed
        random = SimulationRandom(seed: seed)
    }

    var isIdle: Bool { heap.isEmpty }
    var nextEvent: Instant { heap.first?.time ?? .distantFuture }
    /// Virtual time since the start.
    var elapsed: Interval { now - Self.start }

    func violation(_ text: @autoclosure () -> String) {
        if violations.count < 20 { violations.append("[\(milliseconds(elapsed)) ms] \(text())") }
    }

    func at(_ time: Instant, _ action: @escaping () -> Void) {
        precondition(time >= now, "an event in the past")
        scheduled += 1
        heap.append(Event(time: time, order: scheduled, action: action))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    func after(_ delay: Interval, _ action: @escaping () -> Void) { at(now + delay, action) }

    private func pop() -> Event {
        heap.swapAt(0, heap.count - 1)
        let event = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].isBefore(heap[least]) { least = child }
            guard least != parent else { break }
            heap.swapAt(parent, least)
            parent = least
        }
        return event
    }

    /// Runs every event up to `end`, which is then the time.
    func run(until end: Instant) {
        while let first = heap.first, first.time <= end { step() }
        if now < end { now = end }
    }

    func run(for time: Interval) { run(until: now + time) }

    /// Runs until `condition` holds or `limit` has passed; returns whether it holds.
    @discardableResult
    func run(atMost limit: Interval, until condition: () -> Bool) -> Bool {
        let end = now + limit
        while !condition() {
            guard let first = heap.first, first.time <= end else {
                if now < end { now = end }
                return condition()
            }
            step()
        }
        return true
    }

    private func step() {
        let event = pop()
        now = event.time
        eventsRun += 1
        guard eventsRun < eventLimit else {
            // Two ends that answer each other for ever, or time that stands still: the rest of the run is given up.
            if eventsRun == eventLimit { violation("\(eventLimit) events and no end") }
            heap.removeAll()
            return
        }
        event.action()
    }

    /// Nothing happens any more.
    func end() { heap.removeAll() }

    func milliseconds(_ interval: Interval) -> String {
        let micros = interval.nanoseconds / 1_000
        return "\(micros / 1_000).\(String(1_000 + micros % 1_000).dropFirst())"
    }
}

/// A timer that can be armed again and cancelled; it fires once each time.
final class SimulationTimer {
    private unowned let simulation: Simulation
    private var token = 0
    private(set) var deadline: Instant?
    var action: () -> Void = {}

    init(_ simulation: Simulation) { self.simulation = simulation }

    var isArmed: Bool { deadline != nil }

    func arm(at time: Instant) {
        token += 1
        deadline = time
        let mine = token
        simulation.at(time) { [weak self] in
            guard let self, token == mine, deadline != nil else { return }
            deadline = nil
            action()
        }
    }

    func arm(after delay: Interval) { arm(at: simulation.now + delay) }

    func cancel() {
        token += 1
        deadline = nil
    }
}
