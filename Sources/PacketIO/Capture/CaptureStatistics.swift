/// Figures of a capture since it was opened.
public struct CaptureStatistics: Equatable, Sendable {
    /// Frames that passed the filter (`ps_recv`).
    public var received: UInt64 = 0
    /// Frames lost because the ring was full (`ps_drop`), or the memory for what is longer than a slot: an alarm.
    public var dropped: UInt64 = 0
    /// Frames that are not whole, because they are longer than the largest IP packet or were cut by who wrote the file.
    public var truncated: UInt64 = 0

    public init() {}
}
