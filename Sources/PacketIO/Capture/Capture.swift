import CLinux
import CPcap
public import DispatcherCore
import Glibc

/// The frames that one interface takes in, by libpcap in immediate mode (tcp.md, "Devices").
///
/// The frame that `dispatch` hands out lies in the ring that the kernel shares: it is gone when the callback returns. A slot of the ring
/// takes a packet of the interface's MTU; what is longer comes beside it (`LongFrames`).
public struct Capture: ~Copyable {
    /// Bytes that a filter lets pass of a frame: more than the longest one has. It must not be what a slot takes, or the kernel takes the
    /// frame to have no more.
    static let filteredLength: Int32 = 262_144
    /// The largest IP packet that is whole in every capture, bytes: a loopback device takes larger ones.
    public static let largestPacket = LongFrames.mostSlot - LongFrames.slotHeader - Frame.ethernetHeaderLength

    let handle: OpaquePointer
    private let name: String
    private let long: UnsafeMutablePointer<LongFrames>
    private let ahead: UnsafeMutablePointer<FramesAhead>?
    /// Through which the kernel is a member of groups; -1 = of none.
    private var membership: Int32 = -1

    /// Opens a live capture.
    /// - Parameters:
    ///   - interface: an Ethernet interface that is up.
    ///   - filter: a libpcap expression; only what it lets pass takes a slot of the ring.
    ///   - memory: bytes of the ring and of the frames beside it. Without CAP_NET_ADMIN the ring has it all, in slots of 64 KiB.
    /// - Throws: `CaptureError`; `notPermitted` without CAP_NET_RAW.
    public init(interface: String, filter: String, memory: Int) throws(CaptureError) {
        var reason = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        guard let handle = pcap_create(interface, &reason) else {
            throw CaptureError(.failed, "cannot capture on \(interface): \(String(nulTerminated: reason))")
        }
        do throws(CaptureError) {
            // Without that right the kernel lets only a few frames lie beside the ring.
            let slot =
                clinux_may_force_receive_buffer() != 0
                ? LongFrames.slotLength(mtu: try NetworkInterface(named: interface).mtu) : LongFrames.mostSlot
            let queues = slot < LongFrames.mostSlot
            try Self.activate(handle, interface: interface, filter: filter, memory: queues ? memory / 4 : memory, slot: slot)
            // What came before has passed the filter in libpcap only, and nothing of it is queued.
            let long = queues ? try LongFrames(of: handle, memory: memory / 4 * 3) : LongFrames()
            self.init(handle: handle, name: interface, long: long, ahead: FramesAhead(of: handle, slotLength: slot))
        } catch {
            pcap_close(handle)
            throw error
        }
    }

    /// Reads the frames of a capture file as if they came in on an interface; no permission is needed.
    /// - Throws: `CaptureError` (`failed`, `notEthernet`, `badFilter`).
    public init(file: String, filter: String? = nil) throws(CaptureError) {
        var reason = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        guard let handle = pcap_open_offline(file, &reason) else {
            throw CaptureError(.failed, "cannot read the capture file \(file): \(String(nulTerminated: reason))")
        }
        do throws(CaptureError) {
            try Self.requireEthernet(handle, file)
            if let filter, try !PacketFilter(filter).install(on: handle) { throw Self.failure(handle, "cannot filter \(file)") }
        } catch {
            pcap_close(handle)
            throw error
        }
        self.init(handle: handle, name: file, long: LongFrames())
    }

    private init(handle: OpaquePointer, name: String, long: LongFrames, ahead: FramesAhead? = nil) {
        self.handle = handle
        self.name = name
        self.long = .allocate(capacity: 1)
        self.long.initialize(to: long)
        self.ahead = ahead.map { ahead in
            let place = UnsafeMutablePointer<FramesAhead>.allocate(capacity: 1)
            place.initialize(to: ahead)
            return place
        }
    }

    deinit {
        pcap_close(handle)
        long.pointee.deallocate()
        long.deallocate()
        ahead?.deallocate()
        if membership >= 0 { close(membership) }
    }

    /// Sees to it that solicitations for IPv6 addresses, and what is sent to all nodes, get here: the device takes in the groups' frames,
    /// and the kernel becomes a member of the groups, so that it reports them to switches that listen for that (MLD, RFC 3810 and
    /// RFC 4541). The capture is promiscuous, but a device need not be.
    /// - Parameter addresses: those of IPv4 have no groups.
    /// - Returns: whether the kernel reports them: it does not where IPv6 is switched off.
    /// - Throws: `CaptureError`.
    public mutating func joinGroups(of addresses: [IPAddress]) throws(CaptureError) -> Bool {
        let groups = Set(addresses.filter { !$0.isIPv4 }.map(\.solicitedNodeGroup))
        guard !groups.isEmpty else { return true }
        let index = try NetworkInterface(named: name).index
        for group in groups.union([.allNodes]) {
            var hardware = (group.groupHardware.bits << 16).bigEndian
            guard clinux_join_hardware_group(pcap_fileno(handle), index, &hardware) == 0 else {
                throw CaptureError(
                    .failed, "\(name) does not take in the group \(group.groupHardware): \(String(cString: strerror(errno)))")
            }
        }
        if membership < 0 { membership = clinux_group_socket() }
        guard membership >= 0 else { return false }
        return groups.reduce(true) { all, group in
            var bytes = (group.high.bigEndian, group.low.bigEndian)
            return clinux_join_group(membership, index, &bytes) == 0 && all
        }
    }

    /// Becomes one of several captures among which the kernel shares out the frames. What came before, for all of them, is thrown away.
    /// - Parameters:
    ///   - group: the number that the first one got; nil = this is the first.
    ///   - filter: which of them gets a frame, in the order in which they join.
    /// - Returns: the group's number.
    /// - Throws: `CaptureError`.
    public func share(group: Int32? = nil, _ filter: ShardFilter) throws(CaptureError) -> Int32 {
        let made = filter.program.withUnsafeBufferPointer {
            clinux_join_fanout(pcap_fileno(handle), group ?? -1, $0.baseAddress, Int32($0.count))
        }
        guard made >= 0 else {
            throw CaptureError(
                .failed,
                "the kernel does not share out the frames of \(name) among shards (PACKET_FANOUT): \(String(cString: strerror(errno)))")
        }
        while frames.dispatch(limit: 1_024, { _ in }) > 0 {}
        return made
    }

    private static func activate(
        _ handle: OpaquePointer, interface: String, filter: String, memory: Int, slot: Int
    ) throws(CaptureError) {
        pcap_set_snaplen(handle, Int32(slot - LongFrames.slotHeader))
        pcap_set_immediate_mode(handle, 1)
        pcap_set_promisc(handle, 1)
        pcap_set_buffer_size(handle, Int32(clamping: memory))
        let status = pcap_activate(handle)
        guard status >= 0 else { throw activationFailure(handle, interface, status) }
        try requireEthernet(handle, interface)
        guard clinux_ignore_outgoing(pcap_fileno(handle)) == 0 else {
            throw CaptureError(
                .failed,
                "cannot keep our own frames out of the capture on \(interface) (PACKET_IGNORE_OUTGOING, Linux 4.20 or newer): \(String(cString: strerror(errno)))"
            )
        }
        // A loopback device shows each frame twice; where the option above has no effect this sorts the copies out.
        pcap_setdirection(handle, PCAP_D_IN)
        guard try PacketFilter(filter).install(on: handle) else { throw failure(handle, "cannot filter on \(interface)") }
        var reason = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        guard pcap_setnonblock(handle, 1, &reason) == 0 else {
            throw CaptureError(.failed, "cannot poll the capture on \(interface): \(String(nulTerminated: reason))")
        }
    }

    private static func requireEthernet(_ handle: OpaquePointer, _ name: String) throws(CaptureError) {
        let type = pcap_datalink(handle)
        guard type == DLT_EN10MB else {
            let described = pcap_datalink_val_to_description_or_dlt(type).map { String(cString: $0) } ?? "type \(type)"
            throw CaptureError(
                .notEthernet, "\(name) gives frames of \(described), not Ethernet; name an Ethernet, veth, bridge or VLAN interface instead"
            )
        }
    }

    private static func activationFailure(_ handle: OpaquePointer, _ interface: String, _ status: Int32) -> CaptureError {
        switch status {
        case PCAP_ERROR_PERM_DENIED, PCAP_ERROR_PROMISC_PERM_DENIED:
            CaptureError(.notPermitted, "capturing on \(interface) needs CAP_NET_RAW; start as root or grant that capability")
        case PCAP_ERROR_NO_SUCH_DEVICE: CaptureError(.noSuchInterface, "the interface \(interface) does not exist")
        case PCAP_ERROR_IFACE_NOT_UP: CaptureError(.interfaceDown, "the interface \(interface) is down; ip link set \(interface) up")
        default: failure(handle, "cannot capture on \(interface)")
        }
    }

    static func failure(_ handle: OpaquePointer, _ what: String) -> CaptureError {
        CaptureError(.failed, "\(what): \(String(cString: pcap_geterr(handle)))")
    }

    /// The reading end, without ownership: so that a loop may change itself while it reads.
    var frames: CapturedFrames { CapturedFrames(handle: handle, name: name, long: long, ahead: ahead) }

    public var statistics: CaptureStatistics { frames.statistics }
}

extension String {
    init(nulTerminated bytes: [CChar]) {
        self.init(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
