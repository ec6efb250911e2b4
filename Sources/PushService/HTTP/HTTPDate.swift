import Glibc
import NIOPosix
import Synchronization

/// The value of the field Date (RFC 9110, section 5.6.7): made once a second on each thread, not for each answer.
enum HTTPDate {
    private final class Last: Sendable {
        let date = Mutex<(second: time_t, text: String)>((-1, ""))
    }

    private static let last = ThreadSpecificVariable<Last>()

    /// The time now.
    static var now: String {
        let second = time(nil)
        let last = Self.last.currentValue ?? Last()
        if Self.last.currentValue == nil { Self.last.currentValue = last }
        return last.date.withLock { date in
            if date.second != second { date = (second, text(second)) }
            return date.text
        }
    }

    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// The time `second`, in seconds since 1970 UTC.
    static func text(_ second: time_t) -> String {
        var second = second
        var parts = tm()
        gmtime_r(&second, &parts)
        func two(_ number: CInt) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let date = "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(parts.tm_year + 1900)"
        return "\(date) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }
}
