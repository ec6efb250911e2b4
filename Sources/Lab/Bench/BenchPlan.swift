/// How the connections of a benchmark are divided among processes.
public struct BenchPlan: Hashable, Sendable {
    /// Most connections of a process: it may have 20,000 descriptors on many systems, and needs some for itself.
    public static let connectionsPerProcess = 18_000

    /// The share of one process.
    public struct Part: Hashable, Sendable {
        public var connections: Int
        /// How many of them have the application that devices of all processes share.
        public var shared: Int
        /// The addresses that only this process connects from; empty: whatever the system chooses.
        public var sources: [String]
    }

    public let parts: [Part]

    /// - Parameters:
    ///   - connections: of all processes, at least 1.
    ///   - processes: nil: as many as are needed with `connectionsPerProcess`.
    ///   - shared: how many connections of all have the shared application.
    ///   - sources: divided among the processes; with fewer than processes, each address serves several.
    public init(connections: Int, processes: Int? = nil, shared: Int = 0, sources: [String] = []) {
        let needed = (connections + Self.connectionsPerProcess - 1) / Self.connectionsPerProcess
        let count = min(max(processes ?? needed, 1), connections)
        parts = (0..<count).map { number in
            let own = sources.enumerated().filter { $0.offset % count == number }.map(\.element)
            return Part(
                connections: Self.share(of: connections, number, count), shared: Self.share(of: shared, number, count),
                sources: own.isEmpty && !sources.isEmpty ? [sources[number % sources.count]] : own)
        }
    }

    /// The part of `whole` that number `number` of `count` has: parts differ by one at most, and are the whole together.
    static func share(of whole: Int, _ number: Int, _ count: Int) -> Int {
        whole / count + (number < whole % count ? 1 : 0)
    }

    /// The load of part `number` when there are `rate` messages a second in all.
    ///
    /// Each has an equal part of the rate; their first ones are due one after the other, so that all together are due at even distances.
    func load(_ number: Int, rate: Double, start: UInt64) -> (rate: Double, start: UInt64) {
        (rate / Double(parts.count), start + UInt64(Double(number) / rate * 1e9))
    }
}
