import NIOCore

/// A rate with room for bursts.
public struct RateLimit: Hashable, Sendable {
    /// Requests a second that are let through on the long run, more than 0.
    public let rate: Double
    /// Requests that are let through at once after a pause, at least 1.
    public let burst: Double

    /// `rate` requests a second, `burst` at once.
    public init(rate: Double, burst: Double) {
        self.rate = rate
        self.burst = burst
    }
}

/// A token bucket for each client address: an IPv4 address or an IPv6 /64.
///
/// At most 100,000 buckets are kept; a forgotten one is full again.
final class RateLimiter: Sendable {
    static let bucketLimit = 100_000

    private struct Bucket {
        var tokens: Double
        var updated: NIODeadline
    }

    private let limit: RateLimit
    private let buckets: TwoGenerationCache<IPAddress, Bucket>

    init(_ limit: RateLimit, bucketLimit: Int = RateLimiter.bucketLimit) {
        self.limit = limit
        buckets = TwoGenerationCache(limit: bucketLimit)
    }

    /// Lets a request of `address` through: nil; or says after how many seconds to try again.
    func refuses(_ address: IPAddress, now: NIODeadline = .now()) -> Int? {
        buckets.update(address.limitKey) { bucket in
            var tokens = limit.burst
            if let bucket {
                tokens = min(limit.burst, bucket.tokens + Double((now - bucket.updated).nanoseconds) / 1e9 * limit.rate)
            }
            guard tokens >= 1 else {
                bucket = Bucket(tokens: tokens, updated: now)
                return max(1, Int(((1 - tokens) / limit.rate).rounded(.up)))
            }
            bucket = Bucket(tokens: tokens - 1, updated: now)
            return nil
        }
    }

    var bucketCount: Int { buckets.count }
}
