extension Frame {
    /// The ends of a TCP segment in a frame, if it looks like one: nothing is checked but that it is there.
    @inline(__always)
    static func ends(of bytes: RawSpan) -> (source: Endpoint, destination: Endpoint)? {
        guard bytes.byteCount >= ethernetHeaderLength + 24 else { return nil }
        let ip = ethernetHeaderLength
        switch bytes.uint16(12) {
        case 0x0800:
            guard bytes.byte(ip) == 0x45, bytes.byte(ip + 9) == 6 else { return nil }
            let ports = ip + 20
            return (
                Endpoint(address: IPAddress(v4: bytes.uint32(ip + 12)), port: bytes.uint16(ports)),
                Endpoint(address: IPAddress(v4: bytes.uint32(ip + 16)), port: bytes.uint16(ports + 2))
            )
        case 0x86DD:
            guard bytes.byteCount >= ip + 44, bytes.byte(ip + 6) == 6 else { return nil }
            let ports = ip + 40
            return (
                Endpoint(address: IPAddress(high: bytes.uint64(ip + 8), low: bytes.uint64(ip + 16)), port: bytes.uint16(ports)),
                Endpoint(address: IPAddress(high: bytes.uint64(ip + 24), low: bytes.uint64(ip + 32)), port: bytes.uint16(ports + 2))
            )
        default: return nil
        }
    }
}
