import Foundation
import Glibc

/// What a machine knows of the time: its clock, which people and NTP set, and the time since it booted, which nobody does.
struct MachineTime: Sendable {
    /// Milliseconds since 1970 UTC.
    var wall: Int64
    /// Milliseconds since the boot, with those in which the machine was suspended.
    var sinceBoot: Int64
    /// Names the boot; nil: unknown.
    var boot: String?

    private static let bootIdentifier = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
        .trimmingCharacters(in: .whitespacesAndNewlines)

    /// This machine, now.
    static var now: MachineTime {
        MachineTime(wall: milliseconds(CLOCK_REALTIME), sinceBoot: milliseconds(CLOCK_BOOTTIME), boot: bootIdentifier)
    }

    private static func milliseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
