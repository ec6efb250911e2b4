import Testing

@testable import DispatcherCore

@Suite("Sender")
struct SenderTests {
    @Test(
        "own bytes of long ago are not taken for new ones when the sequence space has gone around",
        arguments: [2_200_000_000, 5_000_000_000])
    func wrap(bytes: Int) {
        let now = Instant(nanoseconds: 1_000_000_000)
        var sender = Sender(initial: SequenceNumber(7), segmentSize: 1_460)
        sender.edge = SequenceNumber(7) + 60_000
        #expect(sender.beginOwn() == 0)
        sender.appendOwn(300)
        #expect(sender.nextPiece(at: now)?.length == 300)
        _ = sender.acknowledge(SequenceNumber(7) + 300, isBare: true, at: now)

        var end = SequenceNumber(7) + 300
        var left = bytes
        while left > 0 {
            end += 50_000
            sender.noteForwarded(upTo: end, fin: false, at: now)
            sender.edge = end + 60_000
            #expect(sender.nextPiece(at: now) == nil)
            _ = sender.acknowledge(end, isBare: true, at: now)
            left -= 50_000
        }
        #expect(sender.streamEnd == end && !sender.hasUnacknowledgedOwn && sender.deadline == .distantFuture)
        #expect(sender.timedOut(at: now) == nil)
        #expect(sender.beginOwn() == 0 && sender.base == end)
        sender.appendOwn(10)
        #expect(sender.nextPiece(at: now)?.sequence == end)
    }

    @Test("D10 what was sent twice gives no round trip (Karn); the next that was not does")
    func karn() {
        var now = Instant(nanoseconds: 1_000_000_000)
        var sender = Sender(initial: SequenceNumber(1_000), segmentSize: 1_460)
        sender.edge = SequenceNumber(1_000) + 60_000
        _ = sender.beginOwn()
        sender.appendOwn(200)
        _ = sender.nextPiece(at: now)
        now = sender.deadline
        #expect(sender.timedOut(at: now)?.isRetransmission == true)
        now = now + .milliseconds(5)
        _ = sender.acknowledge(SequenceNumber(1_200), isBare: true, at: now)
        #expect(sender.roundTrip == .zero)
        _ = sender.beginOwn()
        sender.appendOwn(200)
        _ = sender.nextPiece(at: now)
        _ = sender.acknowledge(SequenceNumber(1_400), isBare: true, at: now + .milliseconds(30))
        #expect(sender.roundTrip == .milliseconds(30) && sender.timeout == Sender.minimumTimeout)
    }
}
