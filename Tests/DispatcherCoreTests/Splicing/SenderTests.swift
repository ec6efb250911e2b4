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

    @Test("acknowledged own bytes are dropped while others are added: offsets count from the first one that is kept")
    func drops() {
        let now = Instant(nanoseconds: 1_000_000_000)
        let start = SequenceNumber(UInt32.max - 4_000)
        var sender = Sender(initial: start, segmentSize: 1_000)
        sender.edge = start + 60_000
        #expect(sender.beginOwn() == 0 && sender.dropAcknowledged() == 0)
        sender.appendOwn(5_000)
        while sender.nextPiece(at: now) != nil {}
        _ = sender.acknowledge(start + 2_500, isBare: true, at: now)
        #expect(sender.dropAcknowledged() == 2_500 && sender.dropAcknowledged() == 0)
        #expect(sender.base == start + 2_500 && sender.hasUnacknowledgedOwn)
        let missing = sender.firstMissing(at: now)
        #expect(missing?.offset == 0 && missing?.sequence == start + 2_500)
        sender.appendOwn(700)
        let more = sender.nextPiece(at: now)
        #expect(more?.offset == 2_500 && more?.length == 700 && more?.sequence == start + 5_000)
        // A timeout sends again from the first one that is kept.
        #expect(sender.timedOut(at: sender.deadline)?.offset == 0)
        _ = sender.acknowledge(start + 5_700, isBare: true, at: now)
        #expect(sender.dropAcknowledged() == 3_200 && !sender.hasUnacknowledgedOwn)
        // All is acknowledged; what comes now follows it.
        sender.appendOwn(10)
        #expect(sender.nextPiece(at: now)?.offset == 0)
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

    @Test("a narrower path: own bytes in flight are sent again in smaller pieces, the congestion window stays, larger sizes change nothing")
    func narrow() {
        let now = Instant(nanoseconds: 1_000_000_000)
        var sender = Sender(initial: SequenceNumber(7), segmentSize: 1_460)
        sender.edge = SequenceNumber(7) + 60_000
        #expect(sender.beginOwn() == 0)
        sender.appendOwn(20_000)
        #expect(sender.nextPiece(at: now)?.length == 14_600)
        #expect(sender.nextPiece(at: now) == nil)
        _ = sender.acknowledge(SequenceNumber(7) + 1_460, isBare: true, at: now)
        #expect(sender.nextPiece(at: now)?.length == 2_920)
        for size: UInt16 in [1_460, 9_000] { #expect(sender.narrow(to: size, at: now) == false) }
        #expect(sender.nextPiece(at: now) == nil)
        #expect(sender.narrow(to: 1_360, at: now) == true)
        let piece = sender.nextPiece(at: now)
        #expect(piece?.sequence == SequenceNumber(7) + 1_460 && piece?.isRetransmission == true)
        #expect(piece?.length == 16_060 / 1_360 * 1_360, "whole segments of the window that there was")
        #expect(sender.narrow(to: 1_360, at: now) == false)
    }

    @Test("a narrower path: what others sent is theirs to repeat")
    func narrowForwarded() {
        let now = Instant(nanoseconds: 1_000_000_000)
        var sender = Sender(initial: SequenceNumber(7), segmentSize: 1_460)
        sender.edge = SequenceNumber(7) + 60_000
        sender.noteForwarded(upTo: SequenceNumber(7) + 5_000, fin: false, at: now)
        #expect(sender.isInFlight(SequenceNumber(7)) && sender.isInFlight(SequenceNumber(7) + 4_999))
        #expect(!sender.isInFlight(SequenceNumber(6)) && !sender.isInFlight(SequenceNumber(7) + 5_000))
        #expect(sender.narrow(to: 536, at: now) == true)
        #expect(sender.nextPiece(at: now) == nil)
        #expect(sender.deadline == .distantFuture)
    }
}
