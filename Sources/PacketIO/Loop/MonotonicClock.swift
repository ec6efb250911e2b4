public import DispatcherCore
import Glibc

/// The clock whose instants the engines are driven by.
public enum MonotonicClock {
    /// CLOCK_MONOTONIC.
    public static func now() -> Instant { read(CLOCK_MONOTONIC) }

    /// What must be added to a monotonic instant to get nanoseconds since 1970. It changes when the system's clock is set.
    public static func offsetToRealTime() -> Interval { read(CLOCK_REALTIME) - read(CLOCK_MONOTONIC) }

    @inline(__always) private static func read(_ clock: clockid_t) -> Instant {
        var time = timespec()
        clock_gettime(clock, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
    }
}
