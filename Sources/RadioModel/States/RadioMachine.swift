/// A change of a radio's state.
public struct RadioChange: Equatable, Sendable {
    public enum Cause: Equatable, Sendable {
        /// Traffic: up, the device asks for a channel; down, the network pages it or raises it.
        case traffic(RadioPacket.Direction)
        case t1, t2, t3, fastDormancy
    }

    public var at: Duration
    public var from: RadioState
    public var to: RadioState
    public var cause: Cause

    public init(at: Duration, from: RadioState, to: RadioState, cause: Cause) {
        self.at = at
        self.from = from
        self.to = to
        self.cause = cause
    }
}

/// The radio of one device: packets and time in, changes of state out. It begins IDLE, reads no clock, and draws no chances.
///
/// Traffic raises the state: IDLE and PCH become FACH or DCH by the size of the packet, FACH becomes DCH when what waits in a direction's
/// buffer is over its threshold. Silence lowers it: T1, T2, T3, or the device's own wish (fast dormancy). A timer that is due at the
/// instant of a packet ends before it.
public struct RadioMachine: Sendable {
    /// Bytes that wait in FACH in one direction.
    private struct Buffer: Sendable {
        var bytes = 0.0
        /// Until when it has been drained.
        var drainedUntil = Duration.zero
    }

    public let rules: NetworkRules
    public private(set) var state = RadioState.idle
    /// When the last traffic was through.
    private var quietSince = Duration.zero
    /// When the state's own timer began: then, or when the state was entered by an earlier timer's end.
    private var timerBegan = Duration.zero
    private var up = Buffer()
    private var down = Buffer()

    /// - Parameter rules: must pass `NetworkRules.check`.
    public init(rules: NetworkRules) { self.rules = rules }

    /// When silence next lowers the state; nil when it is IDLE.
    public var nextDeadline: Duration? { nextRelease?.at }

    private var nextRelease: RadioChange? {
        let timer: RadioChange
        switch state {
        case .idle: return nil
        case .pch: return RadioChange(at: timerBegan + rules.t3, from: .pch, to: .idle, cause: .t3)
        case .fach: timer = RadioChange(at: timerBegan + rules.t2, from: .fach, to: rules.rest, cause: .t2)
        case .dch: timer = RadioChange(at: timerBegan + rules.t1, from: .dch, to: .fach, cause: .t1)
        }
        guard let wish = rules.fastDormancy, quietSince + wish <= timer.at else { return timer }
        return RadioChange(at: quietSince + wish, from: state, to: rules.rest, cause: .fastDormancy)
    }

    /// Lets time pass until `now`, inclusive.
    public mutating func advance(to now: Duration, into changes: inout [RadioChange]) {
        while let release = nextRelease, release.at <= now {
            state = release.to
            timerBegan = release.at
            up = Buffer(bytes: 0, drainedUntil: release.at)
            down = up
            changes.append(release)
        }
    }

    /// Lets time pass until nothing changes any more.
    public mutating func settle(into changes: inout [RadioChange]) {
        while let deadline = nextDeadline { advance(to: deadline, into: &changes) }
    }

    /// Takes a packet; none may be earlier than the one before it.
    public mutating func receive(_ packet: RadioPacket, into changes: inout [RadioChange]) {
        advance(to: packet.at, into: &changes)
        let isOver = packet.bytes > rules.threshold(packet.direction)
        // A packet during the two seconds out of IDLE is through when they are over.
        var ready = max(packet.at, quietSince)
        switch state {
        case .idle:
            ready = packet.at + rules.idleDelay
            let isDedicated = rules.idlePromotion == .dch || rules.idlePromotion == .size && isOver
            raise(to: isDedicated ? .dch : .fach, by: packet, ready: ready, into: &changes)
        case .pch: raise(to: isOver ? .dch : .fach, by: packet, ready: ready, into: &changes)
        case .fach, .dch: break
        }
        if state == .fach, fills(with: packet) { raise(to: .dch, by: packet, ready: ready, into: &changes) }
        quietSince = ready
        timerBegan = ready
    }

    private mutating func raise(to target: RadioState, by packet: RadioPacket, ready: Duration, into changes: inout [RadioChange]) {
        changes.append(RadioChange(at: packet.at, from: state, to: target, cause: .traffic(packet.direction)))
        if state < .fach {
            up = Buffer(bytes: 0, drainedUntil: ready)
            down = up
        }
        state = target
    }

    /// Puts the packet into its direction's buffer; whether that is over the threshold then.
    private mutating func fills(with packet: RadioPacket) -> Bool {
        func put(into buffer: inout Buffer) -> Bool {
            if packet.at > buffer.drainedUntil {
                buffer.bytes = max(0, buffer.bytes - (packet.at - buffer.drainedUntil).seconds * Double(rules.fachRate))
                buffer.drainedUntil = packet.at
            }
            buffer.bytes += Double(packet.bytes)
            // A millionth of a byte is rounding.
            return buffer.bytes > Double(rules.threshold(packet.direction)) + 1e-6
        }
        return packet.direction == .up ? put(into: &up) : put(into: &down)
    }
}
