/// Requests at even distances, whatever becomes of those before them.
public struct RequestPlan: Hashable, Sendable, Codable {
    /// Requests a second, above 0.
    public var rate: Double
    /// How long requests become due, in seconds.
    public var seconds: Double
    /// The requests that are due in the first seconds are not in the latencies (but in all counts).
    public var warmUp: Double

    public init(rate: Double, seconds: Double, warmUp: Double = 0) {
        self.rate = rate
        self.seconds = seconds
        self.warmUp = warmUp
    }

    /// The same times as a plan of messages has.
    var swarm: SwarmPlan {
        var plan = SwarmPlan(devices: 1, rate: rate, seconds: seconds)
        plan.warmUp = warmUp
        return plan
    }
}
