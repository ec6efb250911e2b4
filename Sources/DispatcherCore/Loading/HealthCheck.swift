/// What became of a health check.
public enum CheckResult: UInt8, CaseIterable, Sendable {
    case good
    /// No connection came about: refused, or no answer to our SYN within `timeout`.
    case refused, noConnection
    /// The answer did not come within `timeout`; the connection closed before it; it cannot be understood; its status is not expected.
    case timeout, closed, malformed, status
    /// No port was free for it: nothing is known of the server.
    case noPort

    /// The value of the metric's label `result`.
    public var label: String { DropReason.kebab(String(describing: self)) }
}

/// What a health check has found of a server whose connections another engine forwards.
struct CheckFinding {
    var pool: Int
    var server: Endpoint
    /// nil = that is as it was.
    var isHealthy: Bool?
    /// The figure that the server reports of itself; nil = none.
    var report: Double?
}

/// The health checks of one server: when the next is due, and what those that were made say.
struct HealthCheck {
    /// When the next check begins; `distantFuture` = there are none.
    var next = Instant.distantFuture
    /// The back-end connection of the check that is under way; nil = none is.
    var place: Int?
    /// Good or bad ones in a row.
    private var good = 0
    private var bad = 0
    private(set) var results = InlineArray<8, UInt64>(repeating: 0)
    /// Reports that were no number.
    var reportsInvalid: UInt64 = 0

    /// Checks begin, or something else is asked: what was found before says nothing about that.
    mutating func begin() { (good, bad) = (0, 0) }

    /// Takes the result of a check.
    /// - Returns: whether the server is healthy now; nil when that is as it was.
    mutating func take(_ result: CheckResult, isHealthy: Bool, _ settings: HealthConfiguration) -> Bool? {
        results[Int(result.rawValue)] &+= 1
        switch result {
        case .noPort: return nil
        case .good:
            good += 1
            bad = 0
            return !isHealthy && good >= settings.rise ? true : nil
        default:
            bad += 1
            good = 0
            return isHealthy && bad >= settings.fall ? false : nil
        }
    }

    /// A figure as a server reports it: digits, with a fraction perhaps; nil = it is no number, or less than nothing.
    static func number(_ text: UnsafeRawBufferPointer) -> Double? {
        var whole = 0.0
        var unit = 0.0
        var digits = 0
        guard text.count <= 20 else { return nil }
        for byte in text {
            if byte == UInt8(ascii: "."), unit == 0 {
                unit = 1
            } else if (48...57).contains(byte) {
                digits += 1
                if unit == 0 {
                    whole = whole * 10 + Double(byte - 48)
                } else {
                    unit /= 10
                    whole += Double(byte - 48) * unit
                }
            } else {
                return nil
            }
        }
        return digits > 0 ? whole : nil
    }
}
