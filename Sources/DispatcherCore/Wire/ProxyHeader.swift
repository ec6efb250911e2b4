/// The header of the PROXY protocol, version 2 (haproxy.org, "The PROXY protocol", 2.2): tells a server whose connection it really is.
enum ProxyHeader {
    /// The longest one, for IPv6; bytes.
    static let capacity = 52

    /// Writes the header of a TCP connection.
    /// - Parameters:
    ///   - client: whose it is.
    ///   - service: the address and port that the client connected to, of the client's family.
    ///   - memory: `capacity` bytes at least.
    /// - Returns: the bytes written: 28 for IPv4, 52 for IPv6.
    static func write(client: Endpoint, service: Endpoint, into memory: UnsafeMutableRawBufferPointer) -> Int {
        let signature: StaticString = "\r\n\r\n\0\r\nQUIT\n"
        memory.copyMemory(from: UnsafeRawBufferPointer(start: signature.utf8Start, count: 12))
        let isIPv4 = client.address.isIPv4
        memory[12] = 0x21  // version 2, command PROXY
        memory[13] = isIPv4 ? 0x11 : 0x21  // IPv4 or IPv6, stream
        let length = isIPv4 ? 12 : 36
        memory.storeBytes(of: UInt16(length).bigEndian, toByteOffset: 14, as: UInt16.self)
        var offset = 16
        for address in [client.address, service.address] {
            if isIPv4 {
                memory.storeBytes(of: address.v4.bigEndian, toByteOffset: offset, as: UInt32.self)
                offset += 4
            } else {
                memory.storeBytes(of: address.high.bigEndian, toByteOffset: offset, as: UInt64.self)
                memory.storeBytes(of: address.low.bigEndian, toByteOffset: offset + 8, as: UInt64.self)
                offset += 16
            }
        }
        for port in [client.port, service.port] {
            memory.storeBytes(of: port.bigEndian, toByteOffset: offset, as: UInt16.self)
            offset += 2
        }
        return offset
    }
}
