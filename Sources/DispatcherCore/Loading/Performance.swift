/// What is measured of a server, and may be held ([0038], claims 5-8 and 45-49).
public enum Metric: String, CaseIterable, Sendable {
    /// Responses a second.
    case requestRate = "request-rate"
    /// Seconds from the dispatch of a request to the head of its response: the mean, and the longest.
    case averageResponseTime = "average-response-time"
    case maximumResponseTime = "maximum-response-time"
    /// Response bytes a second.
    case throughput
    /// Packets a second that the server sent (l4/3).
    case packetThroughput = "packet-throughput"
    /// What the server says of itself, in its own unit ([0039]).
    case reported

    /// Whether it rises with the number of permissible connections wherever that number is. A rate does so only left of its peak.
    public var risesWithLoad: Bool {
        switch self {
        case .averageResponseTime, .maximumResponseTime, .reported: true
        case .requestRate, .throughput, .packetThroughput: false
        }
    }
}

/// What a server did in one performance window: of requests that were dispatched since its limit last changed ([0038], [0039]).
public struct Performance: Sendable {
    public var length = Interval.zero
    /// The number of permissible connections that was enforced.
    public var limit = 0
    /// Responses whose head came to requests that were dispatched under this limit; and to all of them, which is what a rate counts:
    /// just after a change of the limit the server is still busy with requests from before.
    public var responses = 0
    public var allResponses = 0
    public var responseTimes = Interval.zero
    public var longestResponseTime = Interval.zero
    /// Requests that left the server, in whatever way, and how long they were outstanding.
    public var departures = 0
    public var outstandingTimes = Interval.zero
    /// Timeouts, resets, refused responses, the server's own 5xx.
    public var failures = 0
    /// Bytes of responses, and packets from the server (l4/3).
    public var bytes: UInt64 = 0
    public var packets: UInt64 = 0
    /// Connection requests that are stored at the end of the window (l4/3, [0052]).
    public var stored = 0
    /// Requests outstanding: the mean over time, and the most.
    public var meanOutstanding = 0.0
    public var mostOutstanding = 0
    /// Whether requests waited for an idle server, for half of the window at least.
    public var hadQueue = false
    /// What the server last said of itself; nil = nothing.
    public var reported: Double?

    public init() {}

    var seconds: Double { Double(length.nanoseconds) / 1e9 }
    /// Responses a second.
    public var requestRate: Double { seconds > 0 ? Double(allResponses) / seconds : 0 }
    /// Bytes a second.
    public var throughput: Double { seconds > 0 ? Double(bytes) / seconds : 0 }
    /// Packets a second.
    public var packetThroughput: Double { seconds > 0 ? Double(packets) / seconds : 0 }

    /// A metric's figure; nil when nothing is known of it. Rates are a second, times in seconds.
    public subscript(metric: Metric) -> Double? {
        switch metric {
        case .requestRate: requestRate
        case .throughput: throughput
        case .packetThroughput: packetThroughput
        case .averageResponseTime: responses > 0 ? Double(responseTimes.nanoseconds) / Double(responses) / 1e9 : nil
        case .maximumResponseTime: responses > 0 ? Double(longestResponseTime.nanoseconds) / 1e9 : nil
        case .reported: reported
        }
    }

    /// Whether the limit, and not the demand, decided how much the server did.
    public var isSaturated: Bool { hadQueue || meanOutstanding >= 0.9 * Double(limit) }

    /// How far Little's law is missed, N = X R with R the time that a request was outstanding, as a part of N; nil when nothing left.
    /// Over a window that is long beside those times it is near zero, or the measurement is wrong.
    public var littleError: Double? {
        guard departures > 0, meanOutstanding > 0, length > .zero else { return nil }
        let product = Double(outstandingTimes.nanoseconds) / Double(length.nanoseconds)
        return abs(meanOutstanding - product) / meanOutstanding
    }
}
