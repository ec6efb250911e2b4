/// An IP packet that goes over a device's radio.
public struct RadioPacket: Equatable, Sendable {
    /// Seen from the device.
    public enum Direction: Equatable, Sendable {
        /// The device sends.
        case up
        /// The device receives.
        case down
    }

    /// Since 1970 or since any other instant, the same for all packets of a run.
    public var at: Duration
    /// Bytes of the IP packet, header included.
    public var bytes: Int
    public var direction: Direction

    public init(at: Duration, bytes: Int, direction: Direction) {
        self.at = at
        self.bytes = bytes
        self.direction = direction
    }
}
