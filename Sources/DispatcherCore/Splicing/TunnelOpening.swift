/// How a tunnel came about, times in microseconds: for the record of its end.
struct TunnelOpening {
    private(set) var receiving: UInt32 = 0
    private(set) var queueing: UInt32 = 0
    private(set) var connecting: UInt32 = 0
    private(set) var responding: UInt32 = 0
    private(set) var queuePosition: UInt32 = 0
    private(set) var retries: UInt8 = 0

    init() {}

    init(_ front: FrontConnection) {
        receiving = Self.microseconds(from: front.started, to: front.headComplete)
        queueing = Self.microseconds(from: front.queued, to: front.slotTaken)
        connecting = UInt32(clamping: front.connectTime.nanoseconds / 1_000)
        responding = Self.microseconds(from: front.sent, to: front.responded)
        queuePosition = front.queuePosition
        retries = front.retries
    }

    private static func microseconds(from start: Instant, to end: Instant) -> UInt32 { UInt32(clamping: (end - start).nanoseconds / 1_000) }
}
