/// The initial sequence number of a front-end connection, in which the whole SYN is remembered (RFC 4987 3.6), so that no state is kept
/// until the handshake completes.
///
/// From the high bits down: 2 bits of a counter of 64 s ticks, 3 bits MSS class, 4 bits the client's window scale (15 = none), 1 bit
/// SACK permitted, then 22 bits of keyed hash in two parts: 8 over (addresses, ports, full tick, those 10 bits), and 14 over the same, to which the
/// client's initial sequence number is added. The first part alone tells an early segment from a foreign one. The number is added and not
/// hashed with the rest, so that an early segment within 16 KiB of the first one never passes: it would begin the stream in the wrong place,
/// and by chance one in 16,384 would.
struct SYNCookie {
    /// The MSS classes; a client's MSS is rounded down to one. An absent one counts as 536 (RFC 9293 MUST-15).
    static let classes: InlineArray<8, UInt16> = [48, 536, 1220, 1360, 1400, 1440, 1460, 8960]
    private static let tickLength = Interval.seconds(64)

    private let key: SipKey

    init(key: SipKey) { self.key = key }

    /// What a cookie says about the client's SYN.
    struct Contents: Equatable {
        var segmentSize: UInt16
        /// nil = the option was absent.
        var windowScale: UInt8?
        var sackPermitted: Bool
        /// The client's initial sequence number.
        var clientInitial: SequenceNumber
    }

    enum Verdict: Equatable {
        case good(Contents)
        /// The cookie is ours but this is not the first segment behind it: it has overtaken the one that is (data, a FIN, or the
        /// acknowledgement of a repeated SYN-ACK).
        case early
        case bad
    }

    private static func tick(at now: Instant) -> UInt64 { UInt64(max(0, now.nanoseconds)) / UInt64(tickLength.nanoseconds) }

    private static func sizeClass(_ size: UInt16) -> UInt32 {
        if size == 0 { return 1 }
        var found: UInt32 = 0
        for index in 0..<classes.count where classes[index] <= size { found = UInt32(index) }
        return found
    }

    private func halves(client: Endpoint, service: Endpoint, tick: UInt64, data: UInt32, clientInitial: SequenceNumber) -> (UInt32, UInt32)
    {
        let ports = UInt64(client.port) << 48 | UInt64(service.port) << 32 | UInt64(data)
        let first = key.hash24(
            client.address.high, client.address.low, service.address.high, service.address.low, ports, tick)
        let second = key.hash24(first, client.address.low, service.address.low, ports, tick, 1 << 63)
        return (UInt32(truncatingIfNeeded: first) & 0xFF, (UInt32(truncatingIfNeeded: second) &+ clientInitial.value) & 0x3FFF)
    }

    /// The number to answer a SYN with.
    func make(for segment: Segment, at now: Instant) -> SequenceNumber {
        let tick = Self.tick(at: now)
        let scale = segment.options.windowScale == 255 ? 15 : UInt32(segment.options.windowScale)
        let data = Self.sizeClass(segment.options.maximumSegmentSize) << 5 | scale << 1 | (segment.options.sackPermitted ? 1 : 0)
        let (first, second) = halves(
            client: segment.source, service: segment.destination, tick: tick, data: data, clientInitial: segment.sequence)
        return SequenceNumber(UInt32(tick & 3) << 30 | data << 22 | first << 14 | second)
    }

    /// Judges the ACK that should complete a handshake; its tick must be this one or the last.
    func check(_ segment: Segment, at now: Instant) -> Verdict {
        let cookie = (segment.acknowledgement - 1).value
        let current = Self.tick(at: now)
        let age = (current &- UInt64(cookie >> 30)) & 3
        guard age <= 1, age <= current else { return .bad }
        let data = cookie >> 22 & 0xFF
        let clientInitial = segment.sequence - 1
        let (first, second) = halves(
            client: segment.source, service: segment.destination, tick: current - age, data: data, clientInitial: clientInitial)
        // Both differences are formed before any is judged: the time taken says nothing about which half was wrong.
        let firstWrong = (cookie >> 14 & 0xFF) ^ first
        let secondWrong = (cookie & 0x3FFF) ^ second
        if firstWrong | secondWrong == 0 {
            let scale = UInt8(data >> 1 & 15)
            return .good(
                Contents(
                    segmentSize: Self.classes[Int(data >> 5)], windowScale: scale == 15 ? nil : min(scale, 14),
                    sackPermitted: data & 1 == 1, clientInitial: clientInitial))
        }
        return firstWrong == 0 ? .early : .bad
    }
}

/// Initial sequence numbers toward servers (RFC 6528): a clock of 4 microseconds plus a keyed hash of the flow.
struct InitialSequence {
    private let key: SipKey

    init(key: SipKey) { self.key = key }

    /// - Parameter floor: the last number that this port used before; the new one lies beyond it, so that a server in TIME_WAIT takes it.
    func make(source: Endpoint, destination: Endpoint, floor: SequenceNumber?, at now: Instant) -> SequenceNumber {
        let hash = key.hash24(
            source.address.high, source.address.low, destination.address.high, destination.address.low,
            UInt64(source.port) << 16 | UInt64(destination.port), 0)
        let clock = UInt32(truncatingIfNeeded: now.nanoseconds / 4_000)
        let number = SequenceNumber(UInt32(truncatingIfNeeded: hash) &+ clock)
        guard let floor, number.isAtOrBefore(floor + 1) else { return number }
        return floor + 2
    }
}
