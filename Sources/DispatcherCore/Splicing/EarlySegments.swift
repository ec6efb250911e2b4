/// Segments that look as if they had overtaken the end of their handshake (`SYNCookie.Verdict.early`), remembered so that this ends.
///
/// What was overtaken follows within a client's first timeout. A segment that comes again after that, and alone, is of a connection of an
/// earlier process, whose number fits the first part of a cookie by chance, one time in 256: its client is owed a RST.
struct EarlySegments {
    /// The least first timeout of a client is shorter, and its repetitions begin with what is missing (RFC 6298 2.1, 5.4).
    static let patience = Interval.seconds(1)
    private static let places = 128

    private struct Entry {
        var tag: UInt64 = 0
        var since = Instant.distantPast
    }

    /// By tag; a newer one takes an older one's place.
    private var entries = InlineArray<128, Entry>(repeating: Entry())

    /// Whether the segment may still be early; false when the same one came `patience` ago or before.
    mutating func mayBeEarly(_ segment: Segment, key: SipKey, at now: Instant) -> Bool {
        let ports = UInt64(segment.source.port) << 16 | UInt64(segment.destination.port)
        let numbers = UInt64(segment.sequence.value) << 32 | UInt64(segment.acknowledgement.value)
        let source = segment.source.address
        let destination = segment.destination.address
        let tag = key.hash24(source.high, source.low, destination.high, destination.low, ports, numbers) | 1
        let place = Int(truncatingIfNeeded: tag >> 32) & (Self.places - 1)
        guard entries[place].tag == tag else {
            entries[place] = Entry(tag: tag, since: now)
            return true
        }
        return now - entries[place].since < Self.patience
    }
}
