import Foundation

/// What the person, or the program, who runs a benchmark is told while it runs.
public struct BenchTeller: Sendable {
    /// Something that counts has happened; encoded as one JSON object.
    public var event: @Sendable (BenchEvent) -> Void
    /// How far it is: often, each replaces the last.
    public var progress: @Sendable (String) -> Void

    public init(event: @escaping @Sendable (BenchEvent) -> Void, progress: @escaping @Sendable (String) -> Void) {
        self.event = event
        self.progress = progress
    }
}

/// What has happened in a benchmark.
public struct BenchEvent: Sendable, Encodable {
    public enum Name: String, Sendable, Encodable {
        case connecting, connected, begins, ended, sharing, shared
    }

    public let event: Name
    /// Connections of all processes.
    public var connections: Int?
    /// Of the load that begins or has ended.
    public var rate: Double?
    public var seconds: Double?
    public var isShared: Bool?
    public var step: BenchStep?

    init(_ event: Name) {
        self.event = event
    }
}
