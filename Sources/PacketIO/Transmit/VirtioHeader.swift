import DispatcherCore

/// What stands before an IP packet on a packet socket with PACKET_VNET_HDR: ten bytes that say what the kernel has to finish (struct
/// virtio_net_hdr, this machine's byte order; virtio 1.2, 5.1.6.2), then the Ethernet header. Both fit the headroom that an egress
/// leaves.
enum VirtioHeader {
    static let length = 10
    /// The virtio and the Ethernet header.
    static let wholeLength = length + Frame.ethernetHeaderLength

    private static let needsChecksum: UInt8 = 1
    private static let segmentTCPv4: UInt8 = 1
    private static let segmentTCPv6: UInt8 = 4
    /// Of the checksum field in a TCP header.
    private static let checksumOffset = 16

    /// Writes both headers before an IP packet; the destination's hardware address is left to be written.
    /// - Parameters:
    ///   - packet: with `wholeLength` bytes free before it.
    ///   - length: of the packet, bytes.
    ///   - segmentSize: as an egress has it; 0 = not a TCP segment.
    ///   - isPartial: whether the TCP checksum field holds the pseudo-header's sum only.
    /// - Returns: where the frame begins, its virtio header first.
    @inline(__always) static func write(
        before packet: UnsafeMutableRawPointer, length: Int, segmentSize: Int, isPartial: Bool, from source: HardwareAddress
    ) -> UnsafeMutableRawPointer {
        let frame = packet - wholeLength
        let isIPv4 = packet.load(as: UInt8.self) >> 4 == 4
        if isPartial {
            // An IPv6 packet of ours has no extension header.
            let ipHeader = isIPv4 ? Int(packet.load(as: UInt8.self) & 15) * 4 : 40
            let headers = ipHeader + Int(packet.load(fromByteOffset: ipHeader + 12, as: UInt8.self) >> 4) * 4
            // The kernel refuses a segmentation that would leave one segment.
            let isCut = length - headers > segmentSize
            frame.storeBytes(of: needsChecksum, as: UInt8.self)
            frame.storeBytes(of: isCut ? (isIPv4 ? segmentTCPv4 : segmentTCPv6) : 0, toByteOffset: 1, as: UInt8.self)
            store(isCut ? Frame.ethernetHeaderLength + headers : 0, at: 2, frame)
            store(isCut ? segmentSize : 0, at: 4, frame)
            store(Frame.ethernetHeaderLength + ipHeader, at: 6, frame)
            store(checksumOffset, at: 8, frame)
        } else {
            writeEmpty(frame)
        }
        writeEthernet(frame + Self.length, from: source, type: isIPv4 ? 0x0800 : 0x86DD)
        return frame
    }

    /// Payload bytes of each segment that a frame is to be cut into; 0 = it is not.
    @inline(__always) static func segmentSize(of frame: UnsafeMutableRawPointer) -> Int {
        Int(frame.loadUnaligned(fromByteOffset: 4, as: UInt16.self))
    }

    /// A header that leaves nothing to the kernel.
    static func writeEmpty(_ frame: UnsafeMutableRawPointer) {
        frame.storeBytes(of: 0, as: UInt64.self)
        frame.storeBytes(of: 0, toByteOffset: 8, as: UInt16.self)
    }

    /// Writes the destination into a frame that begins with a virtio header.
    @inline(__always) static func address(_ frame: UnsafeMutableRawPointer, to destination: HardwareAddress) {
        frame.storeBytes(of: UInt16(truncatingIfNeeded: destination.bits >> 32).bigEndian, toByteOffset: length, as: UInt16.self)
        frame.storeBytes(of: UInt32(truncatingIfNeeded: destination.bits).bigEndian, toByteOffset: length + 2, as: UInt32.self)
    }

    @inline(__always) private static func writeEthernet(_ at: UnsafeMutableRawPointer, from source: HardwareAddress, type: UInt16) {
        at.storeBytes(of: UInt16(truncatingIfNeeded: source.bits >> 32).bigEndian, toByteOffset: 6, as: UInt16.self)
        at.storeBytes(of: UInt32(truncatingIfNeeded: source.bits).bigEndian, toByteOffset: 8, as: UInt32.self)
        at.storeBytes(of: type.bigEndian, toByteOffset: 12, as: UInt16.self)
    }

    @inline(__always) private static func store(_ value: Int, at offset: Int, _ frame: UnsafeMutableRawPointer) {
        frame.storeBytes(of: UInt16(truncatingIfNeeded: value), toByteOffset: offset, as: UInt16.self)
    }
}
