public import DispatcherCore

/// The loop as the dispatcher runs it.
public typealias LiveLoop = PollLoop<L73Dispatcher, RawTransmitter>

extension PollLoop where Engine == L73Dispatcher, Sink == RawTransmitter {
    /// `run`, compiled for these types in this module: the packet path has no witness tables.
    public mutating func runLive() throws(CaptureError) { try run() }
}
