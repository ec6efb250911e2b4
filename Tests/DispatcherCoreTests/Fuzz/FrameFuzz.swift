import FuzzSupport

@testable import DispatcherCore

/// Frames: any bytes as a frame, and scripts of frames, most of them nearly right, to an engine with live connections.
enum FrameFuzz {
    static let target = FuzzTarget(name: "frames") { parse($0) + script($0) }

    // MARK: Any bytes

    static func parse(_ bytes: [UInt8]) -> [String] {
        func within(_ offset: Int, _ length: Int, _ what: String) -> [String] {
            offset >= Frame.ethernetHeaderLength && length >= 0 && offset + length <= bytes.count
                ? [] : ["\(what) at \(offset), \(length) bytes, in a frame of \(bytes.count)"]
        }
        switch Frame.parse(bytes.span.bytes) {
        case .segment(let segment):
            return within(segment.payloadOffset, segment.payloadLength, "payload")
                + (segment.payloadOffset >= 54 && segment.source.address.isUnicastSource ? [] : ["a segment that is none"])
        case .icmp(let message):
            if case .echoRequest(let offset, let length) = message.kind { return within(offset, length, "echo request") }
            return []
        case .datagram(_, _, let offset, let length): return within(offset, length, "datagram")
        case .arp: return bytes.count >= ARPPacket.frameLength ? [] : ["ARP in \(bytes.count) bytes"]
        case .bad: return []
        }
    }

    // MARK: Scripts

    private static let requests: [[UInt8]] = [
        World.get,
        [UInt8](text: "POST /x/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n0123456789"),
        [UInt8](text: "POST /x/3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        [UInt8](text: FuzzWorld.upgrade),
        [UInt8](text: "GET /x/5 HTTP/1.0\r\n\r\n"), [UInt8](text: "HEAD /x/6 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ]
    private static let responses: [[UInt8]] = [
        RawPeer.head(length: 10) + Array(repeating: 97, count: 10), RawPeer.head(length: 3_000) + Array(repeating: 98, count: 1_200),
        Array(repeating: 99, count: 1_400), [UInt8](text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        [UInt8](text: "0\r\n\r\n"),
        [UInt8](text: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
        [UInt8](text: "HTTP/1.1 100 Continue\r\n\r\n"), [UInt8](text: "HTTP/1.1 200 OK\r\n\r\nuntil the end"),
    ]

    private struct Players {
        let world: World
        let clients: [RawPeer]
        let server: RawPeer
    }

    static func script(_ bytes: [UInt8]) -> [String] {
        let small = FuzzWorld()
        let world = small.world
        world.isStrict = false
        let players = Players(
            world: world, clients: [world.rawClient(), world.rawClient(port: 40_001, sequence: 0xFFFF_FF00)], server: world.rawServer())
        var input = FuzzInput(bytes)
        for _ in 0..<48 where !input.isEmpty { step(&input, players) }
        return small.faults()
    }

    private static func step(_ input: inout FuzzInput, _ players: Players) {
        let code = input.byte()
        let client = players.clients[Int(code >> 7)]
        switch code & 15 {
        case 0: players.world.dispatcher.receive(SimulatedFrame(bytes: input.take(Int(input.byte())), damage: .tampered), on: .client)
        case 1: players.world.dispatcher.receive(SimulatedFrame(bytes: input.take(Int(input.byte())), damage: .tampered), on: .server)
        case 2: inject(bent(client, &input), players.world, .client)
        case 3: inject(bent(players.server, &input), players.world, .server)
        case 4, 5: send(client, requests, &input)
        case 6, 7: send(players.server, responses, &input)
        case 8: client.open()
        case 9: if players.server.accept(within: .milliseconds(20)) != nil { players.server.skip() }
        case 10: client.advance([.ack, .psh], requests[Int(input.byte()) % requests.count])
        case 11: players.server.advance([.ack, .psh], responses[Int(input.byte()) % responses.count])
        case 12: client.acknowledge()
        case 13: players.server.acknowledge()
        case 14: players.world.simulation.run(for: .milliseconds(Int64(input.byte())))
        default: players.world.simulation.run(for: .milliseconds(100 * Int64(input.byte())))
        }
        if code & 64 == 0 { players.world.simulation.run(for: .milliseconds(1)) }
    }

    private static func inject(_ frame: [UInt8], _ world: World, _ side: Side) {
        world.dispatcher.receive(SimulatedFrame(bytes: frame, damage: .tampered), on: side)
    }

    /// A segment of this peer with some bytes changed, and perhaps its checksums made good again.
    private static func bent(_ peer: RawPeer, _ input: inout FuzzInput) -> [UInt8] {
        var frame = peer.frame(peer.segment([.ack, .psh], input.take(Int(input.byte() & 15))))
        let changes = input.byte()
        for _ in 0..<changes & 7 {
            let at = Int(input.byte())
            let value = input.byte()
            if at < frame.count { frame[at] = value }
        }
        if changes & 8 != 0, frame.count >= 54, frame[14] == 0x45, Int(frame[16]) << 8 | Int(frame[17]) == frame.count - 14 {
            SegmentMerger.repairChecksum(&frame)
        }
        return frame
    }

    /// A segment with any flags and numbers near the right ones.
    private static func send(_ peer: RawPeer, _ texts: [[UInt8]], _ input: inout FuzzInput) {
        let how = input.byte()
        let flags = SegmentFlags(rawValue: input.byte())
        var payload: [UInt8] = []
        switch how & 3 {
        case 1: payload = texts[Int(input.byte()) % texts.count]
        case 2: payload = input.take(Int(input.byte()))
        case 3: payload = Array(repeating: input.byte(), count: Int(input.uint16() % 9_000))
        default: break
        }
        var segment = peer.segment(flags, payload)
        if how & 4 != 0 { segment.sequence &+= UInt32(truncatingIfNeeded: Int(Int8(bitPattern: input.byte()))) }
        if how & 8 != 0 {
            segment.acknowledgement = peer.acknowledgement &+ UInt32(truncatingIfNeeded: Int(Int8(bitPattern: input.byte())))
        }
        if how & 16 != 0 { segment.sequence &+= input.uint32() }
        if how & 32 != 0 { segment.acknowledgement &+= input.uint32() }
        if how & 64 != 0 { peer.window = input.uint16() }
        segment.window = peer.window
        if how & 128 != 0 { peer.sequence = segment.end }
        peer.send(segment)
    }
}
