import DispatcherCore

/// The simulator's own Internet checksum, written apart from the code under test.
enum TestChecksum {
    /// The sum of 16-bit words, an odd last byte padded with zero; folded to 16 bits.
    static func sum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.withUnsafeBytes { raw in
            var total: UInt64 = 0
            var index = 0
            while index + 4 <= raw.count {
                total &+= UInt64(UInt32(bigEndian: raw.loadUnaligned(fromByteOffset: index, as: UInt32.self)))
                index += 4
            }
            var last: UInt32 = 0
            for shift in stride(from: UInt32(24), through: 8, by: -8) where index < raw.count {
                last |= UInt32(raw[index]) << shift
                index += 1
            }
            total &+= UInt64(last)
            while total > 0xFFFF { total = (total & 0xFFFF) &+ (total >> 16) }
            return UInt32(total)
        }
    }

    static func fold(_ sum: UInt32) -> UInt16 {
        var sum = sum
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
        return UInt16(sum)
    }

    static func pseudoHeader(source: IPAddress, destination: IPAddress, length: Int) -> UInt32 {
        let words = [source.v4 >> 16, source.v4 & 0xFFFF, destination.v4 >> 16, destination.v4 & 0xFFFF, 6, UInt32(length)]
        return words.reduce(0, +)
    }
}

/// A TCP segment in an IPv4 packet in an Ethernet frame, as tests write and read it: every field open, nothing shared with `Wire/`'s
/// writers and parsers.
struct TestSegment {
    enum ChecksumKind { case full, partial, bad }

    var source: Endpoint
    var destination: Endpoint
    var sequence: UInt32 = 0
    var acknowledgement: UInt32 = 0
    var flags: SegmentFlags = []
    /// The four reserved bits beside the flags.
    var reserved: UInt8 = 0
    var window: UInt16 = 65_535
    /// Raw options; padded with zeros to four bytes on writing.
    var options: [UInt8] = []
    var payload: [UInt8] = []
    var checksum = ChecksumKind.full
    /// Overrides the data offset field, in words.
    var dataOffset: Int?
    var dontFragment = true
    var moreFragments = false
    var fragmentOffset = 0
    var timeToLive: UInt8 = 64
    var identification: UInt16 = 0

    var end: UInt32 {
        sequence &+ UInt32(payload.count) &+ (flags.contains(.syn) ? 1 : 0) &+ (flags.contains(.fin) ? 1 : 0)
    }

    static func maximumSegmentSize(_ size: Int) -> [UInt8] { [2, 4, UInt8(size >> 8), UInt8(size & 255)] }

    /// The option MSS; nil when absent or when the options are not well formed.
    var maximumSegmentSize: Int? { optionValue(of: 2).map { $0.reduce(0) { $0 << 8 | Int($1) } } }

    func optionValue(of kind: UInt8) -> [UInt8]? {
        var rest = options[...]
        while let first = rest.first, first != 0 {
            if first == 1 {
                rest = rest.dropFirst()
                continue
            }
            guard rest.count >= 2, case let length = Int(rest[rest.startIndex + 1]), length >= 2, length <= rest.count else { return nil }
            if first == kind { return Array(rest.dropFirst(2).prefix(length - 2)) }
            rest = rest.dropFirst(length)
        }
        return nil
    }

    func frame(from sender: HardwareAddress, to receiver: HardwareAddress) -> [UInt8] {
        var frame: [UInt8] = []
        let padded = options + [UInt8](repeating: 0, count: (4 - options.count % 4) % 4)
        let tcpLength = 20 + padded.count + payload.count
        frame.reserveCapacity(34 + tcpLength)
        for address in [receiver, sender] {
            for shift in stride(from: 40, through: 0, by: -8) { frame.append(UInt8(address.bits >> UInt64(shift) & 255)) }
        }
        func put16(_ value: Int) {
            frame.append(UInt8(value >> 8 & 255))
            frame.append(UInt8(value & 255))
        }
        func put32(_ value: UInt32) {
            put16(Int(value >> 16))
            put16(Int(value & 0xFFFF))
        }
        put16(0x0800)
        put16(0x4500)
        put16(20 + tcpLength)
        put16(Int(identification))
        put16((dontFragment ? 0x4000 : 0) | (moreFragments ? 0x2000 : 0) | fragmentOffset / 8)
        put16(Int(timeToLive) << 8 | 6)
        put16(0)
        put32(source.address.v4)
        put32(destination.address.v4)
        Self.store(~TestChecksum.fold(TestChecksum.sum(frame[14..<34])), at: 24, in: &frame)
        put16(Int(source.port))
        put16(Int(destination.port))
        put32(sequence)
        put32(acknowledgement)
        put16((dataOffset ?? 5 + padded.count / 4) << 12 | Int(reserved & 15) << 8 | Int(flags.rawValue))
        put16(Int(window))
        put32(0)
        frame += padded
        frame += payload
        let pseudo = TestChecksum.pseudoHeader(source: source.address, destination: destination.address, length: tcpLength)
        let full = ~TestChecksum.fold(pseudo + TestChecksum.sum(frame[34...]))
        switch checksum {
        case .full: Self.store(full, at: 50, in: &frame)
        case .partial: Self.store(TestChecksum.fold(pseudo), at: 50, in: &frame)
        case .bad: Self.store(full ^ 0x0100, at: 50, in: &frame)
        }
        return frame
    }

    static func store(_ value: UInt16, at offset: Int, in frame: inout [UInt8]) {
        frame[offset] = UInt8(value >> 8)
        frame[offset + 1] = UInt8(value & 255)
    }
}

extension TestSegment: CustomStringConvertible {
    var description: String {
        let names: [(SegmentFlags, String)] = [
            (.syn, "S"), (.fin, "F"), (.rst, "R"), (.psh, "P"), (.ack, "."), (.urg, "U"), (.ece, "E"), (.cwr, "W"),
        ]
        let letters = names.filter { flags.contains($0.0) }.map(\.1).joined()
        let acknowledged = flags.contains(.ack) ? " ack \(acknowledgement)" : ""
        let size = maximumSegmentSize.map { " mss \($0)" } ?? ""
        return "\(source) > \(destination) [\(letters)] seq \(sequence)\(acknowledged) win \(window)\(size) len \(payload.count)"
    }
}
