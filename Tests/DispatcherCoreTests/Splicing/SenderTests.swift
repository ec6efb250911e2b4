import Testing

@testable import DispatcherCore

extension Sender {
    /// Its transmission stays until the tests end.
    fileprivate init(initial: SequenceNumber, segmentSize: UInt16) {
        self.init(initial: initial, segmentSize: segmentSize, transmission: .allocate(capacity: 1))
    }
}

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

    @Test("who only forwards gives its transmission back, and knows of nothing but the ends of what is on its way")
    func forwardsOnly() {
        let now = Instant(nanoseconds: 1_000_000_000)
        let start = SequenceNumber(UInt32.max - 100)
        let (kept, blank) = (
            UnsafeMutablePointer<Transmission>.allocate(capacity: 1), UnsafeMutablePointer<Transmission>.allocate(capacity: 1)
        )
        blank.initialize(to: Transmission(initial: SequenceNumber(0), segmentSize: 536, timeout: .seconds(1)))
        defer {
            kept.deallocate()
            blank.deallocate()
        }
        var sender = Sender(initial: start, segmentSize: 1_460, transmission: kept)
        sender.edge = start + 60_000
        #expect(sender.beginOwn() == 0)
        sender.appendOwn(150)
        #expect(sender.nextPiece(at: now)?.length == 150)
        #expect(sender.acknowledge(start + 150, isBare: true, at: now) == 150)

        #expect(sender.forwardOnly(blank: blank) == kept && sender.transmission == blank && sender.onlyForwards)
        #expect(sender.deadline == .distantFuture && !sender.hasUnacknowledgedOwn)
        sender.noteForwarded(upTo: start + 1_150, fin: false, at: now)
        #expect(sender.flight == 1_000 && sender.streamEnd == start + 1_150 && !sender.ownIsInFlight)
        // Sent once more by whom it came from.
        sender.noteForwarded(upTo: start + 650, fin: false, at: now)
        #expect(sender.flight == 1_000)
        for _ in 0..<5 { #expect(sender.acknowledge(start + 150, isBare: true, at: now) == 0) }
        #expect(sender.nextPiece(at: now) == nil && sender.deadline == .distantFuture)
        #expect(sender.acknowledge(start + 900, isBare: false, at: now) == 750 && sender.flight == 250)
        #expect(sender.narrow(to: 1_000, at: now) && sender.segmentSize == 1_000 && !sender.narrow(to: 1_000, at: now))
        #expect(sender.nextPiece(at: now) == nil && sender.deadline == .distantFuture)
        #expect(sender.acknowledge(start + 1_150, isBare: true, at: now) == 250 && sender.flight == 0)
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

    // MARK: Recovery

    private let start = SequenceNumber(5_000)
    private var now: Instant { Instant(nanoseconds: 1_000_000_000) }

    /// A sender of segments of 1,000 bytes that has sent ten of them.
    private func tenSegments(sack: Bool = true, more: Int = 0) -> Sender {
        var sender = Sender(initial: start, segmentSize: 1_000)
        sender.edge = start + 60_000
        sender.sackPermitted = sack
        _ = sender.beginOwn()
        sender.appendOwn(10_000 + more)
        while sender.nextPiece(at: now, most: 1_000) != nil {}
        #expect(sender.highest == start + 10_000)
        return sender
    }

    private func blocks(_ ranges: Range<Int>...) -> SACKBlocks {
        var blocks = SACKBlocks()
        for range in ranges { blocks.append(SACKBlocks.Block(start: start + range.lowerBound, end: start + range.upperBound)) }
        return blocks
    }

    private func pieces(_ sender: inout Sender) -> [Range<Int>] {
        var found: [Range<Int>] = []
        while let piece = sender.nextPiece(at: now) {
            let from = piece.sequence.distance(from: start)
            found.append(from..<from + piece.length)
            #expect(piece.offset == piece.sequence.distance(from: sender.base))
        }
        return found
    }

    @Test("RFC 6675: every hole is sent again once, in order, and nothing that was reported")
    func holes() {
        var sender = tenSegments()
        _ = sender.acknowledge(start + 1_000, isBare: true, sack: blocks(2_000..<3_000), at: now)
        #expect(pieces(&sender).isEmpty)
        // Half of the flight is what may be under way: one hole goes at once, the other as reports come in.
        _ = sender.acknowledge(start + 1_000, isBare: true, sack: blocks(4_000..<7_000, 2_000..<3_000), at: now)
        #expect(pieces(&sender) == [1_000..<2_000])
        _ = sender.acknowledge(start + 1_000, isBare: true, sack: blocks(4_000..<9_000, 2_000..<3_000), at: now)
        // The end, of which nothing is known, goes once more when there is nothing else (NextSeg rule 4).
        #expect(pieces(&sender) == [3_000..<4_000, 9_000..<10_000])
        _ = sender.acknowledge(start + 1_000, isBare: true, sack: blocks(4_000..<10_000, 2_000..<3_000), at: now)
        #expect(pieces(&sender).isEmpty, "both are under way")
        _ = sender.acknowledge(start + 10_000, isBare: true, at: now)
        #expect(!sender.isRecovering && !sender.hasUnacknowledgedOwn && sender.scoreboard.isEmpty)
    }

    @Test("new bytes go out for what has left the path (RFC 3042): no more than two before anything counts as lost")
    func limitedTransmit() {
        var sender = tenSegments(sack: false, more: 10_000)
        for _ in 0..<2 {
            _ = sender.acknowledge(start, isBare: true, at: now)
            #expect(pieces(&sender).count == 1)
        }
        _ = sender.acknowledge(start, isBare: true, at: now)
        #expect(pieces(&sender).first == 0..<1_000, "the third: the first missing one")
    }

    @Test("RFC 6582: without reports each partial acknowledgement brings the next hole")
    func partial() {
        var sender = tenSegments(sack: false)
        for _ in 0..<3 { _ = sender.acknowledge(start, isBare: true, at: now) }
        #expect(pieces(&sender) == [0..<1_000])
        _ = sender.acknowledge(start + 4_000, isBare: true, at: now)
        #expect(pieces(&sender) == [4_000..<5_000])
        _ = sender.acknowledge(start + 10_000, isBare: true, at: now)
        #expect(!sender.isRecovering)
    }

    @Test("after a timeout everything counts as missing, also what was reported; reports that come again are heeded")
    func afterTimeout() {
        var sender = tenSegments()
        _ = sender.acknowledge(start, isBare: true, sack: blocks(2_000..<3_000), at: now)
        let first = sender.timedOut(at: sender.retransmitAt)
        #expect(first?.sequence == start && first?.length == 1_000 && sender.scoreboard.isEmpty)
        _ = sender.acknowledge(start + 1_000, isBare: true, sack: blocks(2_000..<3_000), at: now)
        #expect(pieces(&sender) == [1_000..<2_000, 3_000..<4_000])
    }

    @Test("RFC 8985 7: the probe comes before the timer, once; what it repairs unasked was a loss, what came twice was none")
    func probe() {
        for (duplicate, wantsHalf) in [(false, true), (true, false)] {
            var sender = tenSegments()
            _ = sender.acknowledge(start + 2_000, isBare: true, at: now + .milliseconds(20))
            let window = sender.congestionWindow
            #expect(sender.isProbeNext && sender.deadline == now + .milliseconds(20) + .milliseconds(40))
            let probe = sender.timedOut(at: sender.deadline)
            #expect(probe?.isTailProbe == true && probe?.sequence == start + 9_000 && probe?.length == 1_000)
            #expect(!sender.isProbeNext && sender.deadline == sender.retransmitAt)
            let cameTwice = blocks(9_000..<10_000)
            _ = sender.acknowledge(start + 10_000, isBare: true, sack: duplicate ? cameTwice : SACKBlocks(), at: now + .milliseconds(90))
            sender.appendOwn(500)
            _ = sender.nextPiece(at: now + .milliseconds(91))
            _ = sender.acknowledge(start + 10_500, isBare: true, at: now + .milliseconds(95))
            #expect((sender.congestionWindow < window) == wantsHalf, "from \(window) to \(sender.congestionWindow)")
        }
    }

    @Test("bytes that were forwarded become own ones: what is reported missing of them is ours to send")
    func adopt() {
        var sender = Sender(initial: start, segmentSize: 1_000)
        sender.edge = start + 60_000
        sender.sackPermitted = true
        sender.noteForwarded(upTo: start + 10_000, fin: false, at: now)
        _ = sender.acknowledge(start + 4_000, isBare: true, at: now)
        #expect(sender.deadline == .distantFuture)
        sender.adopt(from: start + 3_000, to: start + 10_000, at: now)
        #expect(sender.deadline != .distantFuture && sender.hasUnacknowledgedOwn && pieces(&sender).isEmpty)
        _ = sender.acknowledge(start + 4_000, isBare: true, sack: blocks(5_000..<9_000), at: now)
        #expect(pieces(&sender).first == 4_000..<5_000)
        #expect(sender.streamEnd == start + 10_000)
    }

    @Test("after a pause of a timeout the congestion window is the initial one again")
    func idle() {
        var sender = tenSegments()
        _ = sender.acknowledge(start + 10_000, isBare: true, at: now + .milliseconds(1))
        #expect(sender.congestionWindow > 10_000)
        sender.appendOwn(30_000)
        let later = now + .seconds(2)
        var sent = 0
        while let piece = sender.nextPiece(at: later) { sent += piece.length }
        #expect(sent == 10_000)
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
