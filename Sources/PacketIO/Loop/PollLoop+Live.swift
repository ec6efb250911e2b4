public import DispatcherCore

/// The loop as the dispatcher runs it, by the way that packets leave. Each is compiled for its types in this module: the packet path
/// has no witness tables.
public enum LiveLoop: ~Copyable {
    case raw(PollLoop<Dispatcher, RawTransmitter>)
    case packet(PollLoop<Dispatcher, PacketTransmitter>)

    /// Runs until the message `quit`, or until a capture fails.
    /// - Throws: `CaptureError` of the capture that failed.
    public consuming func run() throws(CaptureError) {
        switch consume self {
        case .raw(var loop): try loop.run()
        case .packet(var loop): try loop.run()
        }
    }
}
