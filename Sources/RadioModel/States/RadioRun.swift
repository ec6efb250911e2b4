/// A device's traffic, taken through the states of its radio.
public struct RadioRun: Equatable, Sendable {
    /// How many stretches a time line may have.
    public static let stretchLimit = 100_000

    /// All that counts.
    public let whole: RadioUse
    /// The same in stretches of equal length, but for the last; empty unless they were asked for.
    public let stretches: [RadioUse]
    /// Every change of state, also outside of what counts.
    public let changes: [RadioChange]
    /// Packets before and after what counts. Those before it still decide the state in which it begins.
    public let packetsOutside: Int

    /// - Parameters:
    ///   - packets: in order of time. Before the first the radio is IDLE.
    ///   - from: the first instant that counts; nil: the first packet's.
    ///   - until: the first instant that counts no more; nil: when the radio is IDLE again after the last packet.
    ///   - stretch: the length of the parts of the time line; nil: none is made.
    /// - Throws: `RadioError` when the rules cannot be, nothing is left to count, or the time line has too many parts.
    public init(
        _ packets: [RadioPacket], rules: NetworkRules, from: Duration? = nil, until: Duration? = nil, stretch: Duration? = nil
    ) throws(RadioError) {
        try rules.check()
        guard let begin = from ?? packets.first?.at else { throw RadioError("there is no packet, and no time from which to count") }
        var machine = RadioMachine(rules: rules)
        var changes: [RadioChange] = []
        for packet in packets { machine.receive(packet, into: &changes) }
        machine.settle(into: &changes)
        guard let end = until ?? changes.last?.at else { throw RadioError("there is no packet, and no time until which to count") }
        guard begin < end else {
            throw RadioError(
                "nothing is left to count: it begins \((begin - end).secondsText) s after its end; set the two times the other way")
        }
        var whole = RadioUse(from: begin, until: end)
        Self.fill(&whole, changes[...])
        packetsOutside = packets.count { !whole.add($0) }
        self.whole = whole
        self.changes = changes
        stretches = try stretch.map { length throws(RadioError) in try Self.stretches(of: whole, length, packets, changes) } ?? []
    }

    private static func fill(_ use: inout RadioUse, _ changes: ArraySlice<RadioChange>) {
        var (state, since) = (changes.first?.from ?? .idle, use.from)
        for change in changes {
            use.add(state, from: since, until: change.at)
            use.add(change)
            (state, since) = (change.to, max(change.at, use.from))
        }
        use.add(state, from: since, until: use.until)
    }

    private static func stretches(
        of whole: RadioUse, _ length: Duration, _ packets: [RadioPacket], _ changes: [RadioChange]
    ) throws(RadioError) -> [RadioUse] {
        guard length > .zero, (whole.until - whole.from) / length <= Double(stretchLimit) else {
            throw RadioError("a time line in steps of \(length.secondsText) s has more than \(stretchLimit) of them; make them longer")
        }
        var uses: [RadioUse] = []
        // The first change and packet that the next stretch may need: none is looked at for every stretch.
        var (change, packet) = (0, 0)
        var start = whole.from
        while start < whole.until {
            var use = RadioUse(from: start, until: min(start + length, whole.until))
            while change + 1 < changes.count, changes[change + 1].at < use.from { change += 1 }
            let end = changes[change...].firstIndex { $0.at >= use.until } ?? changes.count
            fill(&use, changes[change..<min(end + 1, changes.count)])
            while packet < packets.count, packets[packet].at < use.until {
                _ = use.add(packets[packet])
                packet += 1
            }
            uses.append(use)
            start = use.until
        }
        return uses
    }
}
