import RadioModel
import Testing

/// Every expected instant here is worked out by hand from chapter 2's rules.
@Suite("Radio: the state machine")
struct RadioMachineTests {
    @Test("a small packet: two seconds out of IDLE into FACH, then T2 and T3")
    func small() {
        let found = changes([up(10)], rules())
        #expect(words(found) == ["10 IDLE FACH", "42 FACH PCH", "342 PCH IDLE"])
        #expect(found.map(\.cause) == [.traffic(.up), .t2, .t3])
    }

    @Test("a large packet: DCH, then T1, T2 and T3 one after the other")
    func large() {
        let found = changes([down(10, 513)], rules())
        #expect(words(found) == ["10 IDLE DCH", "17 DCH FACH", "47 FACH PCH", "347 PCH IDLE"])
        #expect(found.map(\.cause) == [.traffic(.down), .t1, .t2, .t3])
    }

    @Test("PCH is left at once, by size")
    func fromPCH() {
        #expect(
            words(changes([up(0), up(100, 512), down(200, 513)], rules()))
                == [
                    "0 IDLE FACH", "32 FACH PCH", "100 PCH FACH", "130 FACH PCH", "200 PCH DCH", "205 DCH FACH", "235 FACH PCH",
                    "535 PCH IDLE",
                ])
    }

    @Test("each packet begins the timer of its state anew")
    func traffic() {
        // In FACH at 2 + 30; each packet within keeps it there.
        #expect(words(changes([up(0), up(20), up(45)], rules())) == ["0 IDLE FACH", "75 FACH PCH", "375 PCH IDLE"])
        // In DCH a small packet does as well.
        #expect(words(changes([up(0, 1_000), up(6)], rules())).prefix(2) == ["0 IDLE DCH", "11 DCH FACH"])
    }

    @Test("a packet at the instant when a timer ends comes after it")
    func sameInstant() {
        #expect(words(changes([up(0), up(32)], rules())).prefix(3) == ["0 IDLE FACH", "32 FACH PCH", "32 PCH FACH"])
        #expect(words(changes([up(0), up(31.999)], rules())).prefix(2) == ["0 IDLE FACH", "61.999 FACH PCH"])
    }

    @Test("what waits in FACH makes DCH when it is over the threshold of its direction; it drains at the channel's rate")
    func buffer() {
        // 300 and 300 at once are 600; half a second later the first is gone (4,000 bytes a second).
        #expect(words(changes([up(0, 10), up(5, 300), up(5, 300)], rules())).prefix(2) == ["0 IDLE FACH", "5 FACH DCH"])
        #expect(words(changes([up(0, 10), up(5, 300), up(5.5, 300)], rules())).prefix(2) == ["0 IDLE FACH", "35.5 FACH PCH"])
        // 300 less 22 ms are 212, and 300 are exactly the threshold; a millisecond less and it is over.
        #expect(words(changes([up(0, 10), up(5, 300), up(5.022, 300)], rules())).prefix(2) == ["0 IDLE FACH", "35.022 FACH PCH"])
        #expect(words(changes([up(0, 10), up(5, 300), up(5.021, 300)], rules())).prefix(2) == ["0 IDLE FACH", "5.021 FACH DCH"])
        // Each direction for itself, each with its own threshold.
        #expect(words(changes([up(0, 10), up(5, 300), down(5, 300)], rules())).prefix(2) == ["0 IDLE FACH", "35 FACH PCH"])
        let narrow = rules { $0.thresholdDown = 299 }
        #expect(words(changes([up(0, 10), up(5, 300), down(5, 300)], narrow)).prefix(2) == ["0 IDLE FACH", "5 FACH DCH"])
    }

    @Test("nothing drains during the two seconds out of IDLE, and timers begin after them")
    func idleDelay() {
        #expect(words(changes([up(0, 300), up(1, 300)], rules())).prefix(3) == ["0 IDLE FACH", "1 FACH DCH", "7 DCH FACH"])
        #expect(words(changes([up(0, 300), up(2.5, 300)], rules())).prefix(2) == ["0 IDLE FACH", "32.5 FACH PCH"])
        #expect(words(changes([up(0)], rules { $0.idleDelay = .zero })).prefix(2) == ["0 IDLE FACH", "30 FACH PCH"])
    }

    @Test("the network's rule for IDLE: by size, always FACH, always DCH")
    func idlePromotion() {
        let fach = rules { $0.idlePromotion = .fach }
        let dch = rules { $0.idlePromotion = .dch }
        #expect(words(changes([up(0)], dch)).prefix(2) == ["0 IDLE DCH", "7 DCH FACH"])
        #expect(words(changes([up(0)], fach)).prefix(2) == ["0 IDLE FACH", "32 FACH PCH"])
        // Too much for FACH: raised further at once.
        #expect(words(changes([up(0, 600)], fach)).prefix(3) == ["0 IDLE FACH", "0 FACH DCH", "7 DCH FACH"])
        // PCH goes by size whatever the rule is.
        #expect(words(changes([up(0), up(100)], dch)).suffix(3) == ["100 PCH FACH", "130 FACH PCH", "430 PCH IDLE"])
    }

    @Test("a network without PCH: T2 leads to IDLE")
    func noPCH() {
        #expect(
            words(changes([up(0), up(100)], rules { $0.hasPCH = false }))
                == ["0 IDLE FACH", "32 FACH IDLE", "100 IDLE FACH", "132 FACH IDLE"])
    }

    @Test("fast dormancy releases from DCH and FACH, to PCH, or to IDLE where there is none, if it is due before the timers")
    func fastDormancy() {
        let three = rules { $0.fastDormancy = .seconds(3) }
        let found = changes([up(0), up(100, 600)], three)
        #expect(words(found) == ["0 IDLE FACH", "5 FACH PCH", "100 PCH DCH", "103 DCH PCH", "403 PCH IDLE"])
        #expect(found.map(\.cause) == [.traffic(.up), .fastDormancy, .traffic(.up), .fastDormancy, .t3])
        // Later than T1: FACH for the rest of the time, counted from the traffic and not from T1.
        #expect(
            words(changes([up(0, 600)], rules { $0.fastDormancy = .seconds(12) })) == [
                "0 IDLE DCH", "7 DCH FACH", "14 FACH PCH", "314 PCH IDLE",
            ])
        let none = rules {
            $0.fastDormancy = .seconds(3)
            $0.hasPCH = false
        }
        #expect(words(changes([up(0)], none)) == ["0 IDLE FACH", "5 FACH IDLE"])
    }

    @Test("the next deadline tells when silence lowers the state")
    func deadline() {
        var machine = RadioMachine(rules: rules())
        var found: [RadioChange] = []
        #expect(machine.nextDeadline == nil)
        machine.receive(up(10), into: &found)
        #expect(machine.state == .fach && machine.nextDeadline == .seconds(42))
        machine.advance(to: .milliseconds(41_999), into: &found)
        #expect(machine.state == .fach)
        machine.advance(to: .seconds(42), into: &found)
        #expect(machine.state == .pch && machine.nextDeadline == .seconds(342))
        machine.advance(to: .seconds(1_000), into: &found)
        #expect(machine.state == .idle && machine.nextDeadline == nil && found.count == 3)
    }

    @Test(
        "rules that cannot be are refused",
        arguments: [
            rules { $0.t1 = .zero }, rules { $0.t2 = .seconds(-1) }, rules { $0.t3 = .seconds(8 * 86_400) },
            rules { $0.fastDormancy = .zero }, rules { $0.idleDelay = .seconds(61) }, rules { $0.thresholdUp = -1 },
            rules { $0.thresholdDown = 10_000_001 }, rules { $0.fachRate = 0 },
        ])
    func badRules(_ rules: NetworkRules) {
        #expect(throws: RadioError.self) { try rules.check() }
        #expect(throws: RadioError.self) { _ = try RadioRun([up(0)], rules: rules) }
    }

    @Test("the standard rules are the source's")
    func standard() throws {
        let rules = NetworkRules()
        try rules.check()
        #expect(Duration.seconds(5) <= rules.t1 && rules.t1 <= .seconds(20) && rules.t2 == .seconds(30))
        #expect(rules.t3 > rules.t1 && rules.t3 > rules.t2 && rules.idleDelay == .seconds(2))
        #expect(RadioState.allCases.map { RadioUnits.standard[$0] } == [1, 2, 40, 100])
    }
}
