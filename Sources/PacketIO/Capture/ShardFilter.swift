import CLinux
public import DispatcherCore

/// The rule of `FrameShard` as a program for the kernel, which shares out the frames of an interface among the captures of all shards
/// (PACKET_FANOUT_CBPF). The kernel takes the result modulo the number of shards.
///
/// Loads are relative to the network header (SKF_NET_OFF): that is where the program sees the packet from.
public struct ShardFilter: Sendable {
    let program: [clinux_instruction]

    /// - Parameters:
    ///   - side: of the interface; nil = both sides share it.
    ///   - rule: which addresses and ports are ours toward the servers.
    public init(_ side: Side?, _ rule: FrameShard) {
        var code = Code()
        code.load(.half, Code.ancillaryProtocol)
        code.jump(ifEqual: 0x0800, else: "ipv6")

        code.load(.byte, Code.network + 9)
        code.jump(ifEqual: 6, else: "leader")
        code.load(.half, Code.network + 6)
        code.jump(ifAnyBit: 0x1FFF, to: "leader")
        code.loadHeaderLength(Code.network)
        code.share(.v4, side, rule)

        code.label("ipv6")
        code.jump(ifEqual: 0x86DD, else: "leader")
        code.load(.byte, Code.network + 6)
        code.jump(ifEqual: 6, else: "leader")
        code.share(.v6, side, rule)

        code.label("leader")
        code.returnConstant(0)
        if side == nil, rule.keepsClients {
            code.tellClients(.v4, rule)
            code.tellClients(.v6, rule)
        }
        program = code.assembled()
    }

    /// Where things stand in the headers of a family. What is behind the header of IPv4 is found by its length, which is in X.
    private enum Family: String {
        case v4 = "4"
        case v6 = "6"

        /// The words of an address, in order.
        func offsets(source: Bool) -> [UInt32] {
            switch self {
            case .v4: [source ? 12 : 16]
            case .v6: (0..<4).map { (source ? 8 : 24) + 4 * $0 }
            }
        }

        func port(source: Bool) -> UInt32 { (self == .v4 ? 0 : 40) + (source ? 0 : 2) }

        func addresses(_ all: [IPAddress]) -> [IPAddress] { all.filter { $0.isIPv4 == (self == .v4) } }
    }

    /// A classic BPF program under construction (linux/filter.h); jumps go forward to labels.
    private struct Code {
        enum Size: UInt16 { case word = 0x00, half = 0x08, byte = 0x10 }

        static let network = UInt32(bitPattern: -0x10_0000)
        static let ancillaryProtocol = UInt32(bitPattern: -0x1000)

        /// The words of an address.
        static func words(_ address: IPAddress) -> [UInt32] {
            let all = [address.high >> 32, address.high, address.low >> 32, address.low]
            return (address.isIPv4 ? all.suffix(1) : all[...]).map { UInt32(truncatingIfNeeded: $0) }
        }

        private var instructions: [clinux_instruction] = []
        private var labels: [String: Int] = [:]
        private var jumps: [(at: Int, whenTrue: String?, whenFalse: String?)] = []
        private var farJumps: [(at: Int, label: String)] = []

        // MARK: The rule

        /// Which shard a segment of TCP is for.
        mutating func share(_ family: Family, _ side: Side?, _ rule: FrameShard) {
            let other = "other\(family.rawValue)"
            if side != .client {
                let sources = family.addresses(rule.sources)
                if side == nil {
                    jump(ifNoneOf: sources, family, to: other)
                    loadPort(family, source: false)
                    jump(unlessIn: rule.ports, to: other)
                } else if rule.keepsClients {
                    jump(ifNoneOf: sources, family, to: other)
                }
                loadPort(family, source: false)
                returnValue()
                label(other)
            }
            switch side {
            case .client: returnHash(family, source: true)
            case .server: if rule.keepsClients { returnHash(family, source: false) }
            case nil:
                // The service addresses may be many: they stand at the end, where no jump must reach across them.
                if rule.keepsClients { jump(to: "client\(family.rawValue)") } else { returnHash(family, source: true) }
            }
        }

        /// On a shared interface: who is the client, where servers see their clients. It has sent what goes to a service address.
        mutating func tellClients(_ family: Family, _ rule: FrameShard) {
            let client = "client of \(family.rawValue)"
            label("client\(family.rawValue)")
            for (place, address) in family.addresses(rule.services).enumerated() {
                let next = "\(client), \(place)"
                compare(address, family, else: next)
                jump(to: client)
                label(next)
            }
            returnHash(family, source: false)
            label(client)
            returnHash(family, source: true)
        }

        // MARK: Instructions

        private mutating func add(_ code: UInt16, _ value: UInt32 = 0, _ jumpTrue: UInt8 = 0, _ jumpFalse: UInt8 = 0) {
            instructions.append(clinux_instruction(code: code, jump_true: jumpTrue, jump_false: jumpFalse, value: value))
        }

        mutating func label(_ name: String) { labels[name] = instructions.count }

        /// BPF_LD with BPF_ABS, or BPF_IND behind the length in X.
        mutating func load(_ size: Size, _ offset: UInt32, behindHeader: Bool = false) {
            add(0x00 | size.rawValue | (behindHeader ? 0x40 : 0x20), offset)
        }

        /// BPF_LDX with BPF_MSH: X is the length of the IPv4 header.
        mutating func loadHeaderLength(_ offset: UInt32) { add(0xB1, offset) }

        private mutating func store(_ cell: UInt32) { add(0x02, cell) }

        mutating func jump(ifEqual value: UInt32, else other: String) {
            jumps.append((instructions.count, nil, other))
            add(0x15, value)
        }

        mutating func jump(ifAnyBit bits: UInt32, to label: String) {
            jumps.append((instructions.count, label, nil))
            add(0x45, bits)
        }

        /// A is a number outside of the range.
        private mutating func jump(unlessIn range: ClosedRange<Int>, to label: String) {
            jumps.append((instructions.count, nil, label))
            add(0x35, UInt32(range.lowerBound))
            jumps.append((instructions.count, label, nil))
            add(0x25, UInt32(range.upperBound))
        }

        mutating func jump(to label: String) {
            farJumps.append((instructions.count, label))
            add(0x05)
        }

        private mutating func loadPort(_ family: Family, source: Bool) {
            load(.half, Self.network + family.port(source: source), behindHeader: family == .v4)
        }

        /// Unless the destination is this address.
        private mutating func compare(_ address: IPAddress, _ family: Family, else other: String) {
            for (offset, word) in zip(family.offsets(source: false), Self.words(address)) {
                load(.word, Self.network &+ offset)
                jump(ifEqual: word, else: other)
            }
        }

        /// Unless the destination is one of the addresses.
        private mutating func jump(ifNoneOf addresses: [IPAddress], _ family: Family, to label: String) {
            let found = "one of \(instructions.count)"
            for (place, address) in addresses.enumerated() {
                let isLast = place + 1 == addresses.count
                let next = isLast ? label : "\(found), \(place)"
                compare(address, family, else: next)
                guard !isLast else { continue }
                jump(to: found)
                self.label(next)
            }
            if addresses.isEmpty { jump(to: label) }
            self.label(found)
        }

        mutating func returnConstant(_ value: UInt32) { add(0x06, value) }
        /// Returns A.
        private mutating func returnValue() { add(0x16) }

        /// Returns the hash of the source, or the destination, as that of a client (`FrameShard.ofClient`).
        private mutating func returnHash(_ family: Family, source: Bool) {
            let offsets = family.offsets(source: source)
            for (cell, offset) in offsets.enumerated() {
                load(.word, Self.network + offset)
                store(UInt32(cell))
            }
            loadPort(family, source: source)
            for cell in offsets.indices {
                add(0x61, UInt32(cell))
                add(0x0C)
            }
            add(0x24, FrameShard.multiplier)
            add(0x74, 16)
            returnValue()
        }

        func assembled() -> [clinux_instruction] {
            var finished = instructions
            for jump in jumps {
                func distance(_ label: String?) -> UInt8 {
                    guard let label else { return 0 }
                    guard let target = labels[label], target > jump.at, target - jump.at - 1 < 256 else {
                        preconditionFailure("no place for a jump to \(label)")
                    }
                    return UInt8(target - jump.at - 1)
                }
                finished[jump.at].jump_true = distance(jump.whenTrue)
                finished[jump.at].jump_false = distance(jump.whenFalse)
            }
            for jump in farJumps {
                guard let target = labels[jump.label], target > jump.at else { preconditionFailure("no place for a jump to \(jump.label)") }
                finished[jump.at].value = UInt32(target - jump.at - 1)
            }
            return finished
        }
    }
}
