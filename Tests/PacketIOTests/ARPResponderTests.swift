import DispatcherCore
import Testing

@testable import PacketIO

struct ARPResponderTests {
    private let service = TestFrames.service.address
    private let source = TestFrames.source.address

    private func responder() -> ARPResponder {
        ARPResponder(
            client: .init(hardwareAddress: TestFrames.ownHardware, addresses: [service]),
            server: .init(hardwareAddress: HardwareAddress(bits: 5), addresses: [source]))
    }

    @Test("K03 one reply, with the hardware address of the side, for each question about an address of it")
    func answersForTheAddressesOfItsSide() {
        var responder = responder()
        let reply = responder.receive(TestFrames.request(for: service), on: .client)
        #expect(
            reply
                == ARPPacket(
                    operation: .reply, senderHardware: TestFrames.ownHardware, senderAddress: service,
                    targetHardware: TestFrames.clientHardware, targetAddress: TestFrames.client.address))
        #expect(responder.counters[0].requestsAnswered == 1)
    }

    @Test func isSilentAboutOtherAddresses() {
        var responder = responder()
        #expect(responder.receive(TestFrames.request(for: IPAddress("10.77.1.1")!), on: .client) == nil)
        #expect(responder.receive(TestFrames.request(for: source), on: .client) == nil)
        #expect(responder.receive(TestFrames.request(for: service), on: .server) == nil)
        #expect(responder.counters[0].ignored == 2)
        #expect(responder.counters[1].ignored == 1)
    }

    @Test func answersAProbeWithoutSenderAddress() {
        var responder = responder()
        var probe = TestFrames.request(for: service)
        probe.senderAddress = IPAddress(v4: 0)
        #expect(responder.receive(probe, on: .client)?.operation == .reply)
    }

    @Test(arguments: [ARPPacket.Operation.request, .reply]) func countsAHostThatClaimsOurAddress(_ operation: ARPPacket.Operation) {
        var responder = responder()
        var claim = TestFrames.request(for: service)
        claim.operation = operation
        claim.senderAddress = service
        #expect(responder.receive(claim, on: .client) == nil)
        #expect(responder.counters[0].conflicts == 1)
        #expect(responder.lastConflict == .init(address: service, hardwareAddress: TestFrames.clientHardware))
    }

    @Test func itsOwnAnnouncementIsNoConflict() {
        var responder = responder()
        let announcement = responder.announcements(on: .client)[0]
        #expect(responder.receive(announcement, on: .client) == nil)
        #expect(responder.counters[0].conflicts == 0)
    }

    @Test func repliesAreNotAnswered() {
        var responder = responder()
        var reply = TestFrames.request(for: service)
        reply.operation = .reply
        #expect(responder.receive(reply, on: .client) == nil)
    }

    @Test("K03 each address of a side is announced") func announcesEachAddressOfASide() {
        let announcements = responder().announcements(on: .server)
        #expect(announcements.count == 1)
        #expect(announcements[0].operation == .request)
        #expect(announcements[0].senderAddress == source && announcements[0].targetAddress == source)
        #expect(announcements[0].senderHardware == HardwareAddress(bits: 5) && announcements[0].targetHardware == .none)
    }

    @Test func leavesOutAddressesThatHaveNoARP() {
        let link = ARPResponder.Link(hardwareAddress: TestFrames.ownHardware, addresses: [IPAddress("fd77:1::100")!, service])
        #expect(ARPResponder(client: link, server: link).announcements(on: .client).map(\.senderAddress) == [service])
    }
}
