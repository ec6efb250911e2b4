public import DispatcherCore
import Glibc

/// Records a run: what an engine was handed and what it answered, by side and direction, each in a file of its own. The two `-in`
/// files, the seed and the configuration are all that a `Replay` needs. With `transmit: packet` what went out has TCP checksums that
/// the kernel finishes: in the file they are the pseudo-header's sums.
public final class CaptureRecorder {
    private let incoming: [CaptureFileWriter]
    private let outgoing: [CaptureFileWriter]

    /// The file that holds what came in on a side.
    public static func incomingName(_ side: Side) -> String { "\(side)-in.pcap" }
    /// The file that holds what was sent to a side; link headers are made up.
    public static func outgoingName(_ side: Side) -> String { "\(side)-out.pcap" }

    /// - Parameter directory: must be there.
    /// - Throws: `CaptureError` (`failed`) when a file cannot be made.
    public init(directory: String) throws(CaptureError) {
        var incoming: [CaptureFileWriter] = []
        var outgoing: [CaptureFileWriter] = []
        for side in Side.allCases {
            incoming.append(try CaptureFileWriter(path: "\(directory)/\(Self.incomingName(side))"))
            outgoing.append(try CaptureFileWriter(path: "\(directory)/\(Self.outgoingName(side))"))
        }
        self.incoming = incoming
        self.outgoing = outgoing
    }

    public func record(_ frame: RawSpan, on side: Side, at now: Instant) {
        frame.withUnsafeBytes { incoming[Int(side.rawValue)].write($0, at: now) }
    }

    public func record(_ egress: borrowing Egress, at now: Instant) {
        for index in 0..<egress.count {
            let packet = egress[index]
            outgoing[Int(packet.side.rawValue)].write(
                packet: UnsafeRawBufferPointer(egress.bytes(of: packet)), packet.payload, at: now)
        }
    }
}
