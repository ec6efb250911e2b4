import DispatcherCore
import Testing

@testable import PacketIO

struct NeighbourTableTests {
    private let address = IPAddress("10.77.2.11")!
    private let hardware = HardwareAddress(bits: 0x02_00_0A_4D_02_0B)
    private let other = HardwareAddress(bits: 0x02_00_0A_4D_02_0C)

    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: 1_000_000_000_000) + .milliseconds(milliseconds) }

    private func table(capacity: Int = 16) -> NeighbourTable { NeighbourTable(capacity: capacity, key: SipKey(1, 2)) }

    /// Lets time pass step by step, as a loop does, and notes what is to be done when.
    private func run(_ table: inout NeighbourTable, until end: Instant) -> [(at: Instant, event: NeighbourTable.Event)] {
        var seen: [(at: Instant, event: NeighbourTable.Event)] = []
        while table.nextDeadline <= end {
            let now = table.nextDeadline
            table.advance(to: now)
            while let event = table.nextEvent() { seen.append((now, event)) }
        }
        return seen
    }

    private func events(_ table: inout NeighbourTable) -> [NeighbourTable.Event] {
        var seen: [NeighbourTable.Event] = []
        while let event = table.nextEvent() { seen.append(event) }
        return seen
    }

    /// A table that has learned the one address at 0.
    private func learned() -> NeighbourTable {
        var table = table()
        _ = table.find(address, at: at(0))
        table.confirm(address, hardware, isNew: false, at: at(0))
        _ = events(&table)
        return table
    }

    @Test func anUnknownNeighbourIsAskedForOnce() {
        var table = table()
        let first = table.find(address, at: at(0))
        let second = table.find(address, at: at(500))
        #expect(first == .waits(entry: 0) && second == first)
        #expect(events(&table) == [.ask(address, of: .broadcast)])
        #expect(table.nextDeadline == at(1_000))
    }

    @Test func anAnswerResolvesIt() {
        var table = table()
        _ = table.find(address, at: at(0))
        _ = events(&table)
        table.confirm(address, hardware, isNew: false, at: at(10))
        #expect(events(&table) == [.resolved(entry: 0, hardware)])
        #expect(table.find(address, at: at(20)) == .at(hardware))
        #expect(events(&table) == [])
    }

    @Test func silenceIsAFailureAfterThreeQuestionsASecondApart() {
        var table = table()
        _ = table.find(address, at: at(0))
        _ = events(&table)
        let seen = run(&table, until: at(3_500))
        #expect(seen.map(\.at) == [at(1_000), at(2_000), at(3_000)])
        #expect(seen.map(\.event) == [.ask(address, of: .broadcast), .ask(address, of: .broadcast), .lost(entry: 0)])
        #expect(table.failures == 1 && table.lastFailure == address)
        // It is left alone for a second, and not asked more often than that.
        #expect(table.find(address, at: at(3_500)) == .unresolved)
        #expect(run(&table, until: at(4_500)).isEmpty)
        #expect(table.count == 0)
        #expect(table.find(address, at: at(4_500)) == .waits(entry: 0))
        #expect(events(&table) == [.ask(address, of: .broadcast)])
    }

    @Test func aLateAnswerIsTaken() {
        var table = table()
        _ = table.find(address, at: at(0))
        _ = events(&table)
        _ = run(&table, until: at(3_200))
        table.confirm(address, hardware, isNew: false, at: at(3_300))
        #expect(events(&table) == [])
        #expect(table.find(address, at: at(3_400)) == .at(hardware))
    }

    @Test func oneInUseIsProbedBeforeItsTimeIsOver() {
        var table = learned()
        _ = table.find(address, at: at(30_000))
        let seen = run(&table, until: at(57_500))
        #expect(seen.map(\.at) == [at(55_000), at(56_000), at(57_000)])
        #expect(seen.allSatisfy { $0.event == .ask(address, of: hardware) })
        // It is still trusted, and an answer makes it so for another minute.
        #expect(table.find(address, at: at(57_500)) == .at(hardware))
        table.confirm(address, hardware, isNew: false, at: at(57_600))
        #expect(events(&table) == [])
        #expect(table.nextDeadline <= at(57_600 + 55_000))
        _ = table.find(address, at: at(60_000))
        #expect(run(&table, until: at(112_000)).isEmpty)
        #expect(table.find(address, at: at(112_000)) == .at(hardware))
    }

    @Test func oneThatDoesNotAnswerProbesIsAskedForAnew() {
        var table = learned()
        _ = table.find(address, at: at(30_000))
        _ = run(&table, until: at(59_900))
        let seen = run(&table, until: at(60_000))
        #expect(seen.map(\.event) == [.ask(address, of: .broadcast)])
        #expect(table.find(address, at: at(60_100)) == .waits(entry: 0))
        table.confirm(address, other, isNew: false, at: at(60_200))
        #expect(events(&table) == [.resolved(entry: 0, other)])
    }

    @Test func oneThatNobodyUsesIsForgottenUnasked() {
        var table = learned()
        #expect(run(&table, until: at(60_000)).isEmpty)
        #expect(table.count == 0 && table.nextDeadline == .distantFuture)
    }

    @Test func theHardwareMayChange() {
        var table = learned()
        table.overhear(address, other, at: at(1_000))
        #expect(table.find(address, at: at(1_100)) == .at(other))
        // What others are told does not prolong the trust.
        let seen = run(&table, until: at(55_000))
        #expect(seen.map(\.event) == [.ask(address, of: other)])
    }

    @Test func whatOthersAreToldAnswersUsToo() {
        var table = table()
        _ = table.find(address, at: at(0))
        _ = events(&table)
        table.overhear(address, hardware, at: at(5))
        #expect(events(&table) == [.resolved(entry: 0, hardware)])
    }

    @Test func onlyThoseWhoAskUsAreLearned() {
        var table = table()
        table.overhear(address, hardware, at: at(0))
        table.confirm(address, hardware, isNew: false, at: at(0))
        #expect(table.count == 0)
        table.confirm(address, hardware, isNew: true, at: at(0))
        #expect(table.count == 1)
        #expect(table.find(address, at: at(1)) == .at(hardware))
    }

    // MARK: Advertisements (RFC 4861 7.2.5)

    @Test func anAdvertisementResolvesWhoIsAskedFor() {
        var table = table()
        _ = table.find(address, at: at(0))
        _ = events(&table)
        table.hearAdvertisement(address, nil, isSolicited: true, overrides: true, at: at(5))
        #expect(table.find(address, at: at(6)) == .waits(entry: 0), "one that does not say where resolves nothing")
        table.hearAdvertisement(address, hardware, isSolicited: true, overrides: false, at: at(10))
        #expect(events(&table) == [.resolved(entry: 0, hardware)])
        #expect(table.find(address, at: at(20)) == .at(hardware))
    }

    @Test func oneThatNobodyWaitsForMakesNoEntry() {
        var table = table()
        table.hearAdvertisement(address, hardware, isSolicited: false, overrides: true, at: at(0))
        #expect(table.count == 0)
    }

    @Test func anAnswerWithoutTheOptionConfirmsWhatIsKnown() {
        var table = learned()
        table.hearAdvertisement(address, nil, isSolicited: true, overrides: false, at: at(50_000))
        #expect(table.find(address, at: at(100_000)) == .at(hardware))
        #expect(run(&table, until: at(100_000)).isEmpty, "trusted for another minute")
    }

    @Test func oneThatOverridesReplacesButIsNotTrustedLonger() {
        var table = learned()
        table.hearAdvertisement(address, other, isSolicited: false, overrides: true, at: at(30_000))
        #expect(table.find(address, at: at(30_001)) == .at(other))
        let first = run(&table, until: at(55_000)).first
        #expect(first?.event == .ask(address, of: other))
    }

    @Test func oneThatDoesNotOverrideCausesAProbe() {
        var table = learned()
        _ = table.find(address, at: at(29_000))
        table.hearAdvertisement(address, other, isSolicited: true, overrides: false, at: at(30_000))
        #expect(table.find(address, at: at(30_000)) == .at(hardware))
        let seen = run(&table, until: at(35_000))
        #expect(seen.map(\.at) == [at(30_000), at(31_000), at(32_000), at(35_000)])
        #expect(seen.dropLast().allSatisfy { $0.event == .ask(address, of: hardware) })
        #expect(seen.last?.event == .ask(address, of: .broadcast), "the known one does not answer: everybody is asked")
    }

    @Test func thoseWhoAskUsFillHalfOfTheTable() {
        var table = table()
        for number in 0..<100 { table.confirm(IPAddress(v4: UInt32(number + 1)), hardware, isNew: true, at: at(0)) }
        #expect(table.count == 8)
        for number in 0..<8 { _ = table.find(IPAddress(v4: UInt32(number + 1_000)), at: at(0)) }
        #expect(events(&table).count == 8)
        #expect(table.find(address, at: at(0)) == .full)
    }

    @Test func entriesAreFoundWhateverCameAndWent() {
        var table = table(capacity: 64)
        var random = SystemRandomNumberGenerator()
        var live: Set<UInt32> = []
        for step in 0..<4_000 {
            let number = UInt32.random(in: 1...90, using: &random)
            let now = at(Int64(step) * 1_000)
            // What nobody uses is gone after a minute: 60 steps.
            table.advance(to: now)
            let found = table.find(IPAddress(v4: number), at: now)
            if found == .full { live.insert(number) } else { live.remove(number) }
            table.confirm(IPAddress(v4: number), HardwareAddress(bits: UInt64(number)), isNew: false, at: now)
            _ = events(&table)
            if found != .full { #expect(table.find(IPAddress(v4: number), at: now) == .at(HardwareAddress(bits: UInt64(number)))) }
            #expect(table.count <= 64)
        }
    }
}
