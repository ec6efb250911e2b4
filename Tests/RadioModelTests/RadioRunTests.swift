import RadioModel
import Testing

@Suite("Radio: sums")
struct RadioRunTests {
    @Test("time and units of a small and a large packet")
    func sums() throws {
        let run = try RadioRun([up(0), down(0.5, 60), down(1_000, 600)], rules: rules())
        // 0 to 32 FACH, to 332 PCH, to 1,000 IDLE, to 1,007 DCH, to 1,037 FACH, to 1,337 PCH.
        #expect(run.whole.time[.idle] == .seconds(668))
        #expect(run.whole.time[.pch] == .seconds(600))
        #expect(run.whole.time[.fach] == .seconds(62))
        #expect(run.whole.time[.dch] == .seconds(7))
        #expect(run.whole.units(.standard) == 668 + 1_200 + 2_480 + 700)
        #expect(run.whole.units(.dch, .standard) == 700)
        #expect(run.whole.promotions == [.init(.idle, .fach): 1, .init(.idle, .dch): 1])
        #expect(run.whole.pages == 1 && run.whole.promotionCount == 2)
        // The second T3 ends when all does: at the first instant that counts no more.
        #expect(run.whole.releasesByT1 == 1 && run.whole.releasesByT2 == 2 && run.whole.releasesByT3 == 1)
        #expect(run.whole.until == .seconds(1_337))
        #expect(run.whole.packetsUp == 1 && run.whole.bytesUp == 100 && run.whole.packetsDown == 2 && run.whole.bytesDown == 660)
        #expect(run.packetsOutside == 0 && run.stretches.isEmpty)
    }

    @Test("what counts: silence before and after does, packets outside do not, but they decide the state")
    func window() throws {
        let quiet = try RadioRun([up(100)], rules: rules(), from: .zero, until: .seconds(1_000))
        #expect(quiet.whole.time[.idle] == .seconds(100 + 1_000 - 432))
        #expect(quiet.whole.time[.fach] == .seconds(32) && quiet.whole.time[.pch] == .seconds(300))

        let inside = try RadioRun([up(100), up(140), up(200)], rules: rules(), from: .seconds(110), until: .seconds(150))
        // FACH since 100, until 132; PCH until 140; FACH.
        #expect(inside.whole.time[.fach] == .seconds(22 + 10) && inside.whole.time[.pch] == .seconds(8))
        #expect(inside.whole.promotions == [.init(.pch, .fach): 1] && inside.whole.releasesByT2 == 1)
        #expect(inside.whole.packetsUp == 1 && inside.packetsOutside == 2)

        let after = try RadioRun([up(0)], rules: rules(), from: .seconds(5_000), until: .seconds(5_010))
        #expect(after.whole.time[.idle] == .seconds(10) && after.whole.packetsUp == 0)
        let none = try RadioRun([], rules: rules(), from: .zero, until: .seconds(10))
        #expect(none.whole.time[.idle] == .seconds(10))
        #expect(throws: RadioError.self) { _ = try RadioRun([], rules: rules()) }
        #expect(throws: RadioError.self) { _ = try RadioRun([up(0)], rules: rules(), from: .seconds(10), until: .seconds(10)) }
    }

    @Test("a time line adds up to the whole")
    func timeline() throws {
        var random = SeededGenerator(seed: 3)
        let packets = Traffic.random(&random)
        for stretch in [Duration.seconds(7), .seconds(60), .seconds(100_000)] {
            let run = try RadioRun(packets, rules: rules(), from: .seconds(50), until: .seconds(4_000), stretch: stretch)
            #expect(run.stretches.first?.from == run.whole.from && run.stretches.last?.until == run.whole.until)
            for (one, next) in zip(run.stretches, run.stretches.dropFirst()) {
                #expect(one.until == next.from && one.until - one.from == stretch)
            }
            for state in RadioState.allCases {
                #expect(run.stretches.reduce(.zero) { $0 + $1.time[state] } == run.whole.time[state])
            }
            for use in run.stretches {
                #expect(RadioState.allCases.reduce(.zero) { $0 + use.time[$1] } == use.until - use.from)
            }
            #expect(run.stretches.map(\.promotionCount).reduce(0, +) == run.whole.promotionCount)
            #expect(run.stretches.map(\.pages).reduce(0, +) == run.whole.pages)
            #expect(run.stretches.map(\.releasesByT2).reduce(0, +) == run.whole.releasesByT2)
            #expect(run.stretches.map(\.bytesUp).reduce(0, +) == run.whole.bytesUp)
            #expect(run.stretches.map(\.packetsDown).reduce(0, +) == run.whole.packetsDown)
        }
        #expect(throws: RadioError.self) { _ = try RadioRun(packets, rules: rules(), stretch: .milliseconds(1)) }
        #expect(throws: RadioError.self) { _ = try RadioRun(packets, rules: rules(), stretch: .zero) }
    }

    @Test("chance traffic under chance rules: the same as a model that counts ticks", arguments: 0..<60 as Range<UInt64>)
    func ticks(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let packets = Traffic.random(&random)
        let rules = Traffic.randomRules(&random)
        let run = try RadioRun(packets, rules: rules, from: .zero, until: .milliseconds(Int64(TickModel.end) * 10))
        var model = TickModel(rules: rules)
        model.run(packets)
        for state in RadioState.allCases {
            #expect(run.whole.time[state] == .milliseconds(Int64(model.ticks[state] * 10)), "seed \(seed), \(state.name)")
        }
        #expect(run.whole.promotionCount == model.promotions, "seed \(seed)")
        #expect(run.whole.pages == model.pages, "seed \(seed)")
        #expect(
            run.whole.releasesByT1 + run.whole.releasesByT2 + run.whole.releasesByT3 + run.whole.releasesByFastDormancy == model.releases,
            "seed \(seed)")
    }
}

/// Traffic and rules on a raster of 10 ms.
enum Traffic {
    static func random(_ random: inout SeededGenerator) -> [RadioPacket] {
        var at: Int64 = 0
        var packets: [RadioPacket] = []
        while true {
            // Bursts, pauses of the timers' order, and long silence.
            let pauses: [ClosedRange<Int64>] = [0...5, 0...100, 300...800, 2_500...4_000, 20_000...50_000]
            at += Int64.random(in: pauses.randomElement(using: &random)!, using: &random)
            guard at < TickModel.end else { return packets }
            packets.append(
                RadioPacket(
                    at: .milliseconds(at * 10), bytes: Int.random(in: 40...(Bool.random(using: &random) ? 300 : 900), using: &random),
                    direction: Bool.random(using: &random) ? .up : .down))
        }
    }

    static func randomRules(_ random: inout SeededGenerator) -> NetworkRules {
        var rules = NetworkRules()
        rules.t1 = .milliseconds(Int64.random(in: 1...1_000, using: &random) * 10)
        rules.t2 = .milliseconds(Int64.random(in: 1...4_000, using: &random) * 10)
        rules.t3 = .milliseconds(Int64.random(in: 1...40_000, using: &random) * 10)
        rules.hasPCH = Bool.random(using: &random)
        if Bool.random(using: &random) { rules.fastDormancy = .milliseconds(Int64.random(in: 1...1_500, using: &random) * 10) }
        rules.thresholdUp = Int.random(in: 0...800, using: &random)
        rules.thresholdDown = Int.random(in: 0...800, using: &random)
        rules.fachRate = Int.random(in: 1...100, using: &random) * 100
        rules.idlePromotion = NetworkRules.IdlePromotion.allCases.randomElement(using: &random)!
        rules.idleDelay = .milliseconds(Int64.random(in: 0...300, using: &random) * 10)
        return rules
    }
}

/// The same rules, told in another way: it counts ticks of 10 ms one after the other and computes nothing ahead.
struct TickModel {
    static let end = 200_000

    let rules: NetworkRules
    var ticks = PerState(repeating: 0)
    var promotions = 0
    var pages = 0
    var releases = 0

    private var state = RadioState.idle
    /// Ticks without traffic; ticks in the state without traffic; ticks until the way out of IDLE is done.
    private var (silence, stay, delay) = (0, 0, 0)
    private var waiting = (up: 0, down: 0)

    init(rules: NetworkRules) { self.rules = rules }

    private static func ticks(_ time: Duration) -> Int { Int((time / .milliseconds(10)).rounded()) }

    mutating func run(_ packets: [RadioPacket]) {
        var rest = packets[...]
        for tick in 0..<Self.end {
            if tick > 0 { pass() }
            while let packet = rest.first, Self.ticks(packet.at) == tick { take(rest.removeFirst(), packet.bytes) }
            ticks[state] += 1
        }
    }

    private mutating func pass() {
        if delay > 0 {
            delay -= 1
            return
        }
        silence += 1
        stay += 1
        if state == .fach {
            waiting = (max(0, waiting.up - rules.fachRate / 100), max(0, waiting.down - rules.fachRate / 100))
        }
        if state >= .fach, let wish = rules.fastDormancy, silence == Self.ticks(wish) {
            lower(to: rules.hasPCH ? .pch : .idle)
        } else if state == .dch, stay == Self.ticks(rules.t1) {
            lower(to: .fach)
        } else if state == .fach, stay == Self.ticks(rules.t2) {
            lower(to: rules.hasPCH ? .pch : .idle)
        } else if state == .pch, stay == Self.ticks(rules.t3) {
            lower(to: .idle)
        }
    }

    private mutating func lower(to target: RadioState) {
        (state, stay, waiting) = (target, 0, (0, 0))
        releases += 1
    }

    private mutating func take(_ packet: RadioPacket, _ bytes: Int) {
        let limit = packet.direction == .up ? rules.thresholdUp : rules.thresholdDown
        if state < .fach {
            if packet.direction == .down { pages += 1 }
            promotions += 1
            if state == .idle { delay = Self.ticks(rules.idleDelay) }
            let bySize: RadioState = bytes > limit ? .dch : .fach
            switch (state, rules.idlePromotion) {
            case (.idle, .fach): state = .fach
            case (.idle, .dch): state = .dch
            default: state = bySize
            }
            waiting = (0, 0)
        }
        if state == .fach {
            if packet.direction == .up { waiting.up += bytes } else { waiting.down += bytes }
            if (packet.direction == .up ? waiting.up : waiting.down) > limit {
                state = .dch
                promotions += 1
            }
        }
        (silence, stay) = (0, 0)
    }
}
