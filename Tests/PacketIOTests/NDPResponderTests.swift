import DispatcherCore
import Testing

@testable import PacketIO

struct NDPResponderTests {
    private let service = IPAddress("fd77:1::100")!
    private let source = IPAddress("fd77:2::200")!
    private let client = IPAddress("fd77:1::11")!
    private let router = HardwareAddress(bits: 0x02_00_0A_4D_01_FE)

    private func arp() -> ARPResponder {
        ARPResponder(
            client: .init(hardwareAddress: TestFrames.ownHardware, addresses: [TestFrames.service.address, service]),
            server: .init(hardwareAddress: HardwareAddress(bits: 5), addresses: [source]))
    }

    private func question(for address: IPAddress, isProbe: Bool = false) -> NeighbourMessage {
        .solicitation(for: address, from: client, at: TestFrames.clientHardware, isProbe: isProbe)
    }

    @Test(arguments: [false, true]) func answersForTheAddressesOfItsSide(_ isProbe: Bool) {
        var responder = NDPResponder(beside: arp())
        let reply = responder.receive(question(for: service, isProbe: isProbe), on: .client)
        #expect(reply?.hardware == TestFrames.clientHardware)
        #expect(reply?.message.source == service && reply?.message.destination == client && reply?.message.target == service)
        #expect(reply?.message.hardware == TestFrames.ownHardware)
        #expect(reply?.message.isSolicited == true && reply?.message.overrides == true && reply?.message.isRouter == false)
        #expect(responder.counters[0].solicitationsAnswered == 1)
    }

    @Test func oneThatDoesNotSayWhereItIsIsAnsweredWhereItsFrameCameFrom() {
        var responder = NDPResponder(beside: arp())
        var question = question(for: service)
        question.hardware = nil
        question.sender = router
        #expect(responder.receive(question, on: .client)?.hardware == router)
    }

    @Test func isSilentAboutOtherAddresses() {
        var responder = NDPResponder(beside: arp())
        #expect(responder.receive(question(for: IPAddress("fd77:1::1")!), on: .client) == nil)
        #expect(responder.receive(question(for: source), on: .client) == nil)
        #expect(responder.receive(question(for: service), on: .server) == nil)
        var group = question(for: service)
        group.hardware = HardwareAddress(bits: 0x3333_0000_0001)
        #expect(responder.receive(group, on: .client) == nil)
        #expect(responder.counters[0].ignored == 3 && responder.counters[1].ignored == 1)
    }

    @Test func aHostThatIsAboutToTakeOurAddressIsToldBeforeAll() {
        var responder = NDPResponder(beside: arp())
        let reply = responder.receive(.duplicateCheck(of: service, at: router), on: .client)
        #expect(reply?.message.destination == .allNodes && reply?.message.overrides == true && reply?.message.isSolicited == false)
        #expect(responder.counters[0].conflicts == 0)
    }

    @Test func countsAHostThatClaimsOurAddress() {
        var responder = NDPResponder(beside: arp())
        #expect(responder.receive(.announcement(of: service, at: router), on: .client) == nil)
        #expect(responder.lastConflict == .init(address: service, hardwareAddress: router))
        let asks = NeighbourMessage.solicitation(for: client, from: service, at: router)
        #expect(responder.receive(asks, on: .client) == nil)
        #expect(responder.counters[0].conflicts == 2)
    }

    @Test func itsOwnMessagesAreNoConflict() {
        var responder = NDPResponder(beside: arp())
        let own = responder.announcements(on: .client)
        #expect(own.map(\.target) == [service])
        #expect(own[0].destination == .allNodes && own[0].overrides && !own[0].isSolicited && own[0].hardware == TestFrames.ownHardware)
        #expect(responder.receive(own[0], on: .client) == nil)
        #expect(responder.receive(.duplicateCheck(of: service, at: TestFrames.ownHardware), on: .client) == nil)
        #expect(responder.counters[0].conflicts == 0 && responder.counters[0].ignored == 2)
    }

    // MARK: Duplicates at the start

    private func conflict(_ message: NeighbourMessage) -> ARPResponder.Conflict? { message.conflict(with: arp().link(.client)) }

    @Test func whoAnswersOrAsksTheSameHasTheAddress() {
        let found = ARPResponder.Conflict(address: service, hardwareAddress: router)
        var answer = NeighbourMessage.announcement(of: service, at: router)
        #expect(conflict(answer) == found)
        answer.hardware = nil
        #expect(conflict(answer) == found)
        #expect(conflict(.duplicateCheck(of: service, at: router)) == found)
        #expect(conflict(.solicitation(for: client, from: service, at: router)) == found)
    }

    @Test func whoLooksForUsDoesNotHaveIt() {
        #expect(conflict(question(for: service)) == nil)
        #expect(conflict(.duplicateCheck(of: client, at: router)) == nil)
        #expect(conflict(.announcement(of: client, at: router)) == nil)
        // Our own question, come back over a bridge; and a dispatcher that ran here until a moment ago.
        #expect(conflict(.duplicateCheck(of: service, at: TestFrames.ownHardware)) == nil)
        #expect(conflict(.announcement(of: service, at: TestFrames.ownHardware)) == nil)
    }

    @Test func withoutIPv6NothingIsAskedAndNoTimePasses() throws {
        let start = MonotonicClock.now()
        let link = ARPResponder.Link(hardwareAddress: TestFrames.ownHardware, addresses: [TestFrames.service.address])
        #expect(try DuplicateCheck.run([.init(interface: "sluice-none", link: link)]).isEmpty)
        #expect(MonotonicClock.now() - start < .milliseconds(500))
    }
}
