/// What a swarm does: how many devices and applications there are, and when which message is due.
///
/// The load is open-loop: messages are due at even distances, whatever becomes of those before them.
public struct SwarmPlan: Hashable, Sendable {
    /// How many devices connect and register, at least 1.
    public var devices: Int
    /// How many applications there are, 1...devices. Device d registers application d modulo this, so that each has its share of devices.
    public var applications: Int
    /// Messages a second; 0: none.
    public var rate: Double
    /// How long messages become due, in seconds.
    public var seconds: Double
    /// The messages that are due in the first seconds are not in the latencies (but in all counts).
    public var warmUp: Double = 0
    /// Connections of application servers; each carries one message at a time.
    public var connections = 256
    /// The length of a message's text, in bytes.
    public var size = 100

    /// A plan whose parts have their defaults where none is given.
    public init(devices: Int, applications: Int? = nil, rate: Double = 0, seconds: Double = 0) {
        self.devices = devices
        self.applications = applications ?? devices
        self.rate = rate
        self.seconds = seconds
    }

    /// How many messages there are in all.
    public var messages: Int { rate > 0 ? Int((rate * seconds).rounded(.down)) : 0 }

    /// How many messages are due `elapsed` nanoseconds after the start: the first at once.
    public func due(after elapsed: Int64) -> Int {
        guard elapsed >= 0, messages > 0 else { return 0 }
        return min(messages, Int(Double(elapsed) / 1e9 * rate) + 1)
    }

    /// When message `number` (0...) is due, in nanoseconds after the start.
    public func dueTime(of number: Int) -> Int64 {
        Int64(Double(number) / rate * 1e9)
    }

    /// How long a generator that has posted all messages before number `next` may rest, `elapsed` nanoseconds after the start: until that one
    /// is due, at least a millisecond, and at most `longest` nanoseconds, so that the end of everything is noticed.
    public func rest(before next: Int, after elapsed: Int64, longest: Int64 = 20_000_000) -> Int64 {
        next < messages ? min(longest, max(1_000_000, dueTime(of: next) - elapsed)) : longest
    }

    /// Whether the latency of message `number` counts.
    public func counts(_ number: Int) -> Bool {
        dueTime(of: number) >= Int64(warmUp * 1e9)
    }

    /// The application that message `number` goes to, 0..<applications: one after the other.
    public func application(of number: Int) -> Int {
        number % applications
    }

    /// The application of device `number` (0..<devices).
    public func application(ofDevice number: Int) -> Int {
        number % applications
    }

    /// How many devices have registered `application`.
    public func devices(of application: Int) -> Int {
        devices / applications + (application < devices % applications ? 1 : 0)
    }
}
