import CPcap

/// A compiled libpcap expression for Ethernet frames.
public struct PacketFilter: ~Copyable {
    private var program = bpf_program()

    /// - Throws: `CaptureError` (`badFilter`) with libpcap's own reason.
    public init(_ expression: String) throws(CaptureError) {
        // A handle without a device compiles for any Ethernet device, and needs no permission.
        guard let handle = pcap_open_dead(DLT_EN10MB, Capture.filteredLength) else {
            throw CaptureError(.failed, "libpcap has no memory for a filter")
        }
        defer { pcap_close(handle) }
        guard pcap_compile(handle, &program, expression, 1, PacketFilter.noNetmask) == 0 else {
            throw CaptureError(.badFilter, "the filter \"\(expression)\" does not compile: \(String(cString: pcap_geterr(handle)))")
        }
    }

    deinit {
        var program = program
        pcap_freecode(&program)
    }

    /// PCAP_NETMASK_UNKNOWN: only `ip broadcast` would need the mask.
    static let noNetmask: UInt32 = 0xFFFF_FFFF

    /// Whether the filter lets a frame pass, decided without a device.
    public func passes(_ frame: [UInt8]) -> Bool {
        var program = program
        return frame.withUnsafeBufferPointer { bytes in
            var header = pcap_pkthdr()
            header.caplen = UInt32(bytes.count)
            header.len = UInt32(bytes.count)
            return pcap_offline_filter(&program, &header, bytes.baseAddress) != 0
        }
    }

    /// Hands the program to a capture; the kernel drops what it does not let pass.
    func install(on handle: OpaquePointer) -> Bool {
        var program = program
        return pcap_setfilter(handle, &program) == 0
    }
}
