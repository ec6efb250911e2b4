/// Figures of a capture since it was opened.
public struct CaptureStatistics: Equatable, Sendable {
    /// Frames that passed the filter (`ps_recv`).
    public var received: UInt64 = 0
    /// Frames lost because the ring was full (`ps_drop`): an alarm.
    public var dropped: UInt64 = 0
    /// Frames longer than `Capture.snapshotLength`.
    public var truncated: UInt64 = 0

    public init() {}
}
