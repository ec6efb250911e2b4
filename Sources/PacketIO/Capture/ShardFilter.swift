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
        if side != .client {
            if side == nil {
                code.jump(ifNoneOf: rule.sources.filter(\.isIPv4).map(Code.words), to: "client4")
                code.load(.half, Code.network + 2, behindHeader: true)
                code.jump(unlessIn: rule.ports, to: "client4")
            }
            code.load(.half, Code.network + 2, behindHeader: true)
            code.returnValue()
        }
        if side != .server {
            code.label("client4")
            code.load(.word, Code.network + 12)
            code.store(0)
            code.load(.half, Code.network, behindHeader: true)
            code.returnHash(words: [0])
        }

        code.label("ipv6")
        code.jump(ifEqual: 0x86DD, else: "leader")
        code.load(.byte, Code.network + 6)
        code.jump(ifEqual: 6, else: "leader")
        if side != .client {
            if side == nil {
                code.jump(ifNoneOf: rule.sources.filter { !$0.isIPv4 }.map(Code.words), to: "client6")
                code.load(.half, Code.network + 42)
                code.jump(unlessIn: rule.ports, to: "client6")
            }
            code.load(.half, Code.network + 42)
            code.returnValue()
        }
        if side != .server {
            code.label("client6")
            for word in 0..<4 {
                code.load(.word, Code.network + 8 + 4 * UInt32(word))
                code.store(UInt32(word))
            }
            code.load(.half, Code.network + 40)
            code.returnHash(words: [0, 1, 2, 3])
        }
        code.label("leader")
        code.returnConstant(0)
        program = code.assembled()
    }

    /// A classic BPF program under construction (linux/filter.h); jumps go forward to labels.
    private struct Code {
        enum Size: UInt16 { case word = 0x00, half = 0x08, byte = 0x10 }

        static let network = UInt32(bitPattern: -0x10_0000)
        static let ancillaryProtocol = UInt32(bitPattern: -0x1000)

        /// Where the destination address stands in its header, and the words that are there when it is this one.
        static func words(_ address: IPAddress) -> (offsets: [UInt32], words: [UInt32]) {
            guard !address.isIPv4 else { return ([16], [UInt32(truncatingIfNeeded: address.low)]) }
            let words = [address.high >> 32, address.high, address.low >> 32, address.low].map { UInt32(truncatingIfNeeded: $0) }
            return ([24, 28, 32, 36], words)
        }

        private var instructions: [clinux_instruction] = []
        private var labels: [String: Int] = [:]
        private var jumps: [(at: Int, whenTrue: String?, whenFalse: String?)] = []

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

        mutating func store(_ cell: UInt32) { add(0x02, cell) }

        mutating func jump(ifEqual value: UInt32, else other: String) {
            jumps.append((instructions.count, nil, other))
            add(0x15, value)
        }

        mutating func jump(ifAnyBit bits: UInt32, to label: String) {
            jumps.append((instructions.count, label, nil))
            add(0x45, bits)
        }

        /// A is a number outside of the range.
        mutating func jump(unlessIn range: ClosedRange<Int>, to label: String) {
            jumps.append((instructions.count, nil, label))
            add(0x35, UInt32(range.lowerBound))
            jumps.append((instructions.count, label, nil))
            add(0x25, UInt32(range.upperBound))
        }

        /// Unless the words at some offsets are those of one of the addresses.
        mutating func jump(ifNoneOf addresses: [(offsets: [UInt32], words: [UInt32])], to label: String) {
            let found = "one of \(instructions.count)"
            for (place, address) in addresses.enumerated() {
                let next = place + 1 == addresses.count ? label : "\(found), \(place + 1)"
                self.label("\(found), \(place)")
                for (offset, word) in zip(address.offsets, address.words) {
                    load(.word, Code.network &+ offset)
                    jump(ifEqual: word, else: next)
                }
                if place + 1 < addresses.count {
                    jumps.append((instructions.count, found, found))
                    add(0x15, 0)
                }
            }
            if addresses.isEmpty {
                jumps.append((instructions.count, label, label))
                add(0x15, 0)
            }
            self.label(found)
        }

        mutating func returnConstant(_ value: UInt32) { add(0x06, value) }
        /// Returns A.
        mutating func returnValue() { add(0x16) }

        /// Adds the words in those cells to A, and returns the product's upper half (`FrameShard.ofClient`).
        mutating func returnHash(words cells: [UInt32]) {
            for cell in cells {
                add(0x61, cell)
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
            return finished
        }
    }
}
