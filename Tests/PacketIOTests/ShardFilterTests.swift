import CLinux
import Testing

@testable import DispatcherCore
@testable import PacketIO

/// The kernel's program and the engines' rule must say the same of every frame: here the program is interpreted as the kernel would
/// (linux/filter.h); the lab has the kernel itself do it.
@Suite("Sharing frames out among shards")
struct ShardFilterTests {
    /// How interfaces and addresses lie.
    struct Layout: CustomTestStringConvertible, Sendable {
        var shares = false
        /// Whether servers see their clients' own addresses.
        var keeps = false
        var services = 1

        var testDescription: String { (shares ? "one interface" : "two interfaces") + (keeps ? ", \(services) services, keep" : "") }
        var sides: [Side] { shares ? [.client] : Side.allCases }
        func program(_ side: Side, _ rule: FrameShard) -> [clinux_instruction] { ShardFilter(shares ? nil : side, rule).program }

        static let all = [
            Layout(), Layout(shares: true), Layout(keeps: true), Layout(shares: true, keeps: true),
            // More than a jump of eight bits could reach across.
            Layout(shares: true, keeps: true, services: 120),
        ]
    }

    private static func configuration(_ layout: Layout) -> EngineConfiguration {
        var configuration = EngineConfiguration()
        configuration.sidesShareInterface = layout.shares
        let listen = (0..<layout.services).flatMap { number in
            [
                Endpoint(address: IPAddress(v4: 0x0A4D_0164 + UInt32(number)), port: 80),
                Endpoint(address: IPAddress(high: 0xFD77_0001_0000_0000, low: 0x100 + UInt64(number)), port: 443),
            ]
        }
        configuration.services = [ServiceConfiguration(name: "s", listen: listen, routes: [RouteConfiguration(pool: 0)])]
        configuration.pools = [PoolConfiguration(name: "p", servers: [])]
        configuration.pools[0].l4.source = layout.keeps ? .keep : .rewrite
        configuration.sourceAddresses = [
            IPAddress(v4: 0x0A4D_02C8), IPAddress(high: 0xFD77_0002_0000_0000, low: 0x200),
        ]
        return configuration
    }

    @Test("program and rule agree on any frame but errors of ICMP, which the leader hands on", arguments: Layout.all, [2, 3, 5])
    func agree(layout: Layout, shards: Int) {
        let rule = FrameShard(Self.configuration(layout), count: shards)
        var random = SeededRandom(seed: 0x5AA2D)
        var seen = [Int](repeating: 0, count: shards)
        for side in layout.sides {
            let program = layout.program(side, rule)
            #expect(program.count < 4_096 && program.allSatisfy { $0.code != 0 || $0.value != 0 })
            for _ in 0..<20_000 {
                let frame = Self.frame(&random, rule)
                let index = FrameShard.isICMP(frame.span.bytes) ? 0 : rule.index(of: frame.span.bytes, on: side)
                let said = Int(Self.run(program, frame) % UInt32(shards))
                guard index == said else {
                    Issue.record("\(index) by the rule, \(said) by the program, side \(side): \(frame)")
                    return
                }
                seen[index] += 1
            }
        }
        let least = seen.min() ?? 0
        #expect(least > 1_500, "\(seen): each shard has its part")
    }

    @Test(
        "what a server sends to a client that it sees comes to the shard of that client's own segments",
        arguments: Layout.all.filter(\.keeps), [2, 3, 5])
    func kept(layout: Layout, shards: Int) {
        let rule = FrameShard(Self.configuration(layout), count: shards)
        var random = SeededRandom(seed: 0xC11E)
        var seen = [Int](repeating: 0, count: shards)
        for number in 0..<600 {
            let isIPv4 = number % 2 == 0
            func any(_ four: UInt32, _ six: UInt64) -> Endpoint {
                let low = random.next()
                return Endpoint(
                    address: isIPv4 ? IPAddress(v4: four | UInt32(low & 0xFF)) : IPAddress(high: six, low: low | 1),
                    port: UInt16(truncatingIfNeeded: low >> 32))
            }
            let client = any(0xC612_0000, 0x2001_0DB8_0000_0000)
            let server = any(0x0A4D_0300, 0xFD77_0003_0000_0000)
            let service = Endpoint(address: rule.services.last { $0.isIPv4 == isIPv4 }!, port: 80)
            let up = TestFrames.tcp(from: client, to: service)
            let down = TestFrames.tcp(from: server, to: client)
            let ours = Endpoint(address: rule.sources.first { $0.isIPv4 == isIPv4 }!, port: UInt16(rule.ports.lowerBound + number))
            let rewritten = TestFrames.tcp(from: server, to: ours)
            let shard = rule.index(of: up.span.bytes, on: .client)
            let serverSide = layout.shares ? Side.client : .server
            #expect(rule.index(of: down.span.bytes, on: serverSide) == shard)
            #expect(rule.index(of: rewritten.span.bytes, on: serverSide) == Int(ours.port) % shards, "to an address of ours by its port")
            // What the server, or a router, says of the client's own segment to it.
            let error = Self.error(about: down)
            #expect(rule.index(of: error.span.bytes, on: serverSide) == shard)
            // And the client's side of what we have sent to it.
            let other = Self.error(about: up)
            #expect(rule.index(of: other.span.bytes, on: .client) == shard)
            for (frame, side) in [(up, Side.client), (down, serverSide), (rewritten, serverSide)] {
                #expect(Int(Self.run(layout.program(side, rule), frame) % UInt32(shards)) == rule.index(of: frame.span.bytes, on: side))
            }
            seen[shard] += 1
        }
        #expect(seen.allSatisfy { $0 > 600 / shards / 2 }, "\(seen)")
    }

    @Test("only where servers see their clients a program looks for those, and on the client side never", arguments: [false, true])
    func unchanged(shares: Bool) {
        func length(_ layout: Layout, _ side: Side) -> Int {
            layout.program(side, FrameShard(Self.configuration(layout), count: 2)).count
        }
        for side in Layout(shares: shares).sides {
            let plain = length(Layout(shares: shares), side)
            #expect(length(Layout(shares: shares, services: 50), side) == plain)
            let kept = length(Layout(shares: shares, keeps: true), side)
            #expect(side == .client && !shares ? kept == plain : kept > plain)
        }
    }

    @Test("the rule goes on for kept clients under a configuration that keeps none any more")
    func succeeded() {
        let kept = FrameShard(Self.configuration(Layout(keeps: true)), count: 3)
        #expect(kept.succeeded(by: Self.configuration(Layout())).keepsClients)
        #expect(FrameShard(Self.configuration(Layout()), count: 3).succeeded(by: Self.configuration(Layout(keeps: true))).keepsClients)
    }

    @Test(
        "an error of ICMP is for the shard that has the connection of the segment that it quotes", arguments: Layout.all, [2, 3, 5])
    func quoted(layout: Layout, shards: Int) {
        let rule = FrameShard(Self.configuration(layout), count: shards)
        var random = SeededRandom(seed: 0x1C3F)
        var others = 0
        for side in layout.sides {
            for _ in 0..<2_000 {
                var frame = Self.frame(&random, rule)
                let isIPv4 = frame[12] == 8
                guard [0x0800, 0x86DD].contains(Int(frame[12]) << 8 | Int(frame[13])), frame[isIPv4 ? 23 : 20] == 6 else { continue }
                if isIPv4 { (frame[20], frame[21]) = (0, 0) }
                let index = rule.index(of: frame.span.bytes, on: side)
                let error = Self.error(about: frame)
                let (isICMP, said) = (FrameShard.isICMP(error.span.bytes), rule.index(of: error.span.bytes, on: side))
                #expect(isICMP && said == index, "\(frame)")
                others += index == 0 ? 0 : 1
                // One that is cut short, or no error, is the leader's.
                let short = Array(error[..<(isIPv4 ? 60 : 100)])
                let ofShort = rule.index(of: short.span.bytes, on: side)
                #expect(ofShort == 0)
            }
        }
        #expect(others > 100)
    }

    /// What a router says of our segment to the sender of this one: it quotes the same ends the other way round.
    private static func error(about frame: [UInt8]) -> [UInt8] {
        let isIPv4 = frame[12] == 8
        var error = [UInt8](repeating: 0, count: 14) + [UInt8](repeating: 0, count: isIPv4 ? 28 : 48)
        (error[12], error[13]) = (frame[12], frame[13])
        let (addresses, length) = isIPv4 ? (26, 4) : (22, 16)
        let ports = 14 + (isIPv4 ? Int(frame[14] & 15) * 4 : 40)
        var quote = [UInt8](repeating: 0, count: isIPv4 ? 28 : 48)
        if isIPv4 {
            (error[14], error[23], error[34]) = (0x45, 1, 3)
            (quote[0], quote[9]) = (0x45, 6)
        } else {
            (error[14], error[20], error[54]) = (0x60, 58, 2)
            (quote[0], quote[6]) = (0x60, 6)
        }
        let place = isIPv4 ? 12 : 8
        quote.replaceSubrange(place..<place + length, with: frame[addresses + length..<addresses + 2 * length])
        quote.replaceSubrange(place + length..<place + 2 * length, with: frame[addresses..<addresses + length])
        let own = isIPv4 ? 20 : 40
        quote.replaceSubrange(own..<own + 2, with: frame[ports + 2..<ports + 4])
        quote.replaceSubrange(own + 2..<own + 4, with: frame[ports..<ports + 2])
        return error + quote
    }

    @Test("clients with one address and following ports are spread evenly", arguments: [2, 4, 7])
    func even(shards: Int) {
        var counts = [Int](repeating: 0, count: shards)
        for port in UInt16(32_768)..<60_999 { counts[FrameShard.ofClient(bits: 0x0A4D_010B, port: port, count: shards)] += 1 }
        let mean = Double(counts.reduce(0, +)) / Double(shards)
        #expect(counts.allSatisfy { abs(Double($0) - mean) < 0.02 * mean }, "\(counts)")
    }

    /// TCP mostly, with options before it at times, from and to addresses that the rule knows and others; cut short at times.
    private static func frame(_ random: inout SeededRandom, _ rule: FrameShard) -> [UInt8] {
        func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }
        var frame = (0..<120).map { _ in UInt8(truncatingIfNeeded: below(256)) }
        func put(_ value: UInt64, _ count: Int, at offset: Int) {
            for place in 0..<count { frame[offset + place] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - place))) }
        }
        let isOurs = below(2) == 0
        let isServices = below(2) == 0
        let service = 2 * below(rule.services.count / 2)
        let port =
            below(3) == 0 ? below(65_536) : below(2) == 0 ? rule.ports.lowerBound - 1 + below(3) : rule.ports.upperBound - 1 + below(2)
        switch below(10) {
        case 0: put([0x0806, 0x8100, 0x86DD, 0x0800][below(4)], 2, at: 12)
        case 1...5:
            put(0x0800, 2, at: 12)
            let words = 5 + below(4)
            frame[14] = UInt8(0x40 + words)
            frame[23] = below(8) == 0 ? [1, 17, 50][below(3)] : 6
            put(below(8) == 0 ? UInt64(below(65_536)) : 0x4000, 2, at: 20)
            if isOurs {
                put(rule.sources[0].low & 0xFFFF_FFFF, 4, at: 30)
            } else if isServices {
                put(rule.services[service].low, 4, at: 30)
            }
            put(UInt64(port), 2, at: 14 + 4 * words + 2)
        default:
            put(0x86DD, 2, at: 12)
            frame[20] = below(8) == 0 ? [58, 17, 44][below(3)] : 6
            if isOurs || isServices {
                let address = isOurs ? rule.sources[1] : rule.services[service + 1]
                put(address.high, 8, at: 38)
                put(address.low, 8, at: 46)
            }
            put(UInt64(port), 2, at: 14 + 42)
        }
        return frame
    }

    /// - Returns: what the program returns; 0 where it reads beyond the frame, as in the kernel.
    private static func run(_ program: [clinux_instruction], _ frame: [UInt8]) -> UInt32 {
        var (a, x): (UInt32, UInt32) = (0, 0)
        var cells = [UInt32](repeating: 0, count: 16)
        var place = 0
        /// Ancillary loads, and those behind the network header.
        func load(_ size: Int, _ offset: UInt32, _ index: UInt32) -> UInt32? {
            if offset == UInt32(bitPattern: -0x1000) { return UInt32(frame[12]) << 8 | UInt32(frame[13]) }
            let from = 14 + Int(Int32(bitPattern: offset)) + 0x10_0000 + Int(index)
            guard from >= 0, from + size <= frame.count else { return nil }
            return frame[from..<from + size].reduce(0) { $0 << 8 | UInt32($1) }
        }
        while true {
            let step = program[place]
            place += 1
            switch step.code {
            case 0x20, 0x28, 0x30, 0x40, 0x48, 0x50:
                let size = [0x00: 4, 0x08: 2, 0x10: 1][Int(step.code & 0x18)] ?? 0
                guard let value = load(size, step.value, step.code & 0x40 != 0 ? x : 0) else { return 0 }
                a = value
            case 0xB1:
                guard let value = load(1, step.value, 0) else { return 0 }
                x = (value & 15) * 4
            case 0x02: cells[Int(step.value)] = a
            case 0x61: x = cells[Int(step.value)]
            case 0x0C: a = a &+ x
            case 0x24: a = a &* step.value
            case 0x74: a >>= step.value
            case 0x05: place += Int(step.value)
            case 0x15: place += Int(a == step.value ? step.jump_true : step.jump_false)
            case 0x45: place += Int(a & step.value != 0 ? step.jump_true : step.jump_false)
            case 0x35: place += Int(a >= step.value ? step.jump_true : step.jump_false)
            case 0x25: place += Int(a > step.value ? step.jump_true : step.jump_false)
            case 0x06: return step.value
            case 0x16: return a
            default:
                Issue.record("the interpreter does not know \(step.code)")
                return 0
            }
        }
    }
}
