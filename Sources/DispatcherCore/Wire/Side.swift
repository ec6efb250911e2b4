/// The two legs of the dispatcher: where clients are, and where back-end servers are.
public enum Side: UInt8, CaseIterable, Sendable {
    case client
    case server

    @inlinable public var other: Side { self == .client ? .server : .client }
}
