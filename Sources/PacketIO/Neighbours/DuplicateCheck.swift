import CLinux
import DispatcherCore
import Glibc

/// Duplicate address detection for our IPv6 addresses, before they are served (RFC 4862 5.4): each is asked for once, without a source
/// of ours; who answers within a second, or asks the same, has it.
public enum DuplicateCheck {
    /// An interface, and what is ours on it.
    public struct Target: Sendable {
        public var interface: String
        public var link: ARPResponder.Link

        public init(interface: String, link: ARPResponder.Link) {
            self.interface = interface
            self.link = link
        }
    }

    /// RetransTimer (RFC 4861 section 10), after the one question that DupAddrDetectTransmits stands for (RFC 4862 5.1).
    static let wait = Interval.seconds(1)
    /// Frames wait a second here at most, and are all of neighbour discovery.
    private static let memory = 4 << 20
    private static let filter = "icmp6 and (ip6[40] == 135 or ip6[40] == 136)"

    /// Takes a second, unless there is no IPv6 address.
    /// - Returns: every address that another host has, each once.
    /// - Throws: `CaptureError`, as a `Capture` does; `failed` when an address cannot be asked for.
    public static func run(_ targets: [Target]) throws(CaptureError) -> [ARPResponder.Conflict] {
        var checks: [Check] = []
        for target in targets where target.link.addresses.contains(where: { !$0.isIPv4 }) {
            var capture = try Capture(interface: target.interface, filter: filter, memory: memory)
            _ = try capture.joinGroups(of: target.link.addresses)
            checks.append(Check(capture, target.link))
        }
        guard !checks.isEmpty else { return [] }
        for check in checks { try check.ask() }
        let end = MonotonicClock.now() + wait
        while true {
            let left = end - MonotonicClock.now()
            guard left > .zero else { return checks.flatMap(\.conflicts) }
            var descriptors = checks.map { pollfd(fd: $0.capture.frames.descriptor, events: Int16(POLLIN), revents: 0) }
            _ = clinux_ppoll(&descriptors, UInt(descriptors.count), left.nanoseconds)
            for check in checks { try check.read() }
        }
    }

    /// One interface.
    private final class Check {
        let capture: Capture
        let link: ARPResponder.Link
        private(set) var conflicts: [ARPResponder.Conflict] = []

        init(_ capture: consuming Capture, _ link: ARPResponder.Link) {
            self.capture = capture
            self.link = link
        }

        func ask() throws(CaptureError) {
            for address in link.addresses where !address.isIPv4 {
                let message = NeighbourMessage.duplicateCheck(of: address, at: link.hardwareAddress)
                guard capture.frames.inject(message) else {
                    throw CaptureError(.failed, "cannot ask whether another host has the address \(address)")
                }
            }
        }

        func read() throws(CaptureError) {
            let count = capture.frames.dispatch(limit: 256) { frame in
                guard NeighbourMessage.isNeighbourDiscovery(frame), case .message(let message) = NeighbourMessage.parse(frame),
                    let conflict = message.conflict(with: link), !conflicts.contains(where: { $0.address == conflict.address })
                else { return }
                conflicts.append(conflict)
            }
            if count < 0 { throw capture.frames.failure }
        }
    }
}

extension CapturedFrames {
    /// Sends a message of neighbour discovery.
    /// - Parameter to: the frame's destination, unless the message goes to a group.
    func inject(_ message: NeighbourMessage, to hardware: HardwareAddress = .none) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: NeighbourMessage.mostFrameLength, alignment: 8) { frame in
            message.writeFrame(to: hardware, into: frame)
            return inject(UnsafeRawBufferPointer(rebasing: frame[..<message.frameLength]))
        }
    }
}
