public import DispatcherCore

/// Where an engine's packets go. The owner empties the egress afterwards.
public protocol PacketSink: ~Copyable {
    mutating func send(_ egress: borrowing Egress)
    /// Figures by side.
    func statistics(of side: Side) -> TransmitStatistics
}

/// Figures of a transmitter since it was opened.
public struct TransmitStatistics: Equatable, Sendable {
    /// Packets handed to the kernel; pieces of a split segment count each.
    public var packets: UInt64 = 0
    /// Calls into the kernel.
    public var calls: UInt64 = 0
    /// Packets that the kernel did not take, by errno; only those that occurred.
    public var errors: [(code: Int32, count: UInt64)] = []

    public init() {}

    public var failed: UInt64 { errors.reduce(0) { $0 + $1.count } }

    public static func == (a: TransmitStatistics, b: TransmitStatistics) -> Bool {
        a.packets == b.packets && a.calls == b.calls && a.errors.elementsEqual(b.errors) { $0 == $1 }
    }
}
