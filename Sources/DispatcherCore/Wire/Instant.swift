/// A point of the monotonic clock that the owner of an engine hands in: nanoseconds since an arbitrary start.
///
/// The core reads no clock; whoever drives it does (`CLOCK_MONOTONIC`, or a test's virtual clock).
public struct Instant: Comparable, Hashable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Before every instant that a clock can give.
    public static let distantPast = Instant(nanoseconds: 0)
    /// After every instant that a clock can give; as a deadline: none.
    public static let distantFuture = Instant(nanoseconds: .max)

    @inlinable public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }
    @inlinable public static func - (a: Instant, b: Instant) -> Interval { Interval(nanoseconds: a.nanoseconds &- b.nanoseconds) }
    /// Saturates at `distantFuture`.
    @inlinable public static func + (a: Instant, b: Interval) -> Instant {
        let (sum, overflow) = a.nanoseconds.addingReportingOverflow(b.nanoseconds)
        return overflow ? .distantFuture : Instant(nanoseconds: sum)
    }
}

/// A length of time in nanoseconds.
public struct Interval: Comparable, Hashable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static let zero = Interval(nanoseconds: 0)
    public static func microseconds(_ n: Int64) -> Interval { Interval(nanoseconds: n * 1_000) }
    public static func milliseconds(_ n: Int64) -> Interval { Interval(nanoseconds: n * 1_000_000) }
    public static func seconds(_ n: Int64) -> Interval { Interval(nanoseconds: n * 1_000_000_000) }

    public var milliseconds: Int64 { nanoseconds / 1_000_000 }

    @inlinable public static func < (a: Interval, b: Interval) -> Bool { a.nanoseconds < b.nanoseconds }
    @inlinable public static func + (a: Interval, b: Interval) -> Interval { Interval(nanoseconds: a.nanoseconds &+ b.nanoseconds) }
    @inlinable public static func - (a: Interval, b: Interval) -> Interval { Interval(nanoseconds: a.nanoseconds &- b.nanoseconds) }
    @inlinable public static func * (a: Interval, b: Int64) -> Interval { Interval(nanoseconds: a.nanoseconds &* b) }
    @inlinable public static func / (a: Interval, b: Int64) -> Interval { Interval(nanoseconds: a.nanoseconds / b) }
}
