import FuzzSupport

@testable import DispatcherCore

/// TCP options: any bytes as options, read as a second and plainer reader reads them; and what an engine makes of them in a SYN.
enum OptionFuzz {
    static let target = FuzzTarget(name: "tcp-options") { bytes in read(bytes) + (bytes.count <= 40 ? handshake(bytes) : []) }

    static func reference(_ bytes: ArraySlice<UInt8>) -> TCPOptions {
        var options = TCPOptions()
        var rest = bytes
        while let kind = rest.popFirst(), kind != 0 {
            if kind == 1 { continue }
            guard let length = rest.popFirst(), length >= 2, Int(length) - 2 <= rest.count else { break }
            let place = rest.startIndex
            let value = Array(rest.prefix(Int(length) - 2))
            rest = rest.dropFirst(Int(length) - 2)
            switch (kind, value.count) {
            case (2, 2): options.maximumSegmentSize = UInt16(value[0]) << 8 | UInt16(value[1])
            case (3, 1): options.windowScale = min(value[0], 14)
            case (4, 0): options.sackPermitted = true
            case (5, 8...) where value.count % 8 == 0:
                (options.sackCount, options.sackOffset) = (UInt8(min(4, value.count / 8)), UInt16(place))
            default: break
            }
        }
        return options
    }

    static func read(_ bytes: [UInt8]) -> [String] {
        for start in [0, min(3, bytes.count)] {
            let found = TCPOptions.parse(bytes.span.bytes, from: start, to: bytes.count)
            let expected = reference(bytes[start...])
            if found != expected { return ["from \(start): \(found), not \(expected)"] }
        }
        return []
    }

    /// With these options in its SYN a client is served in segments of a size that it takes.
    static func handshake(_ options: [UInt8]) -> [String] {
        let small = FuzzWorld()
        let world = small.world
        let (client, server) = (world.rawClient(), world.rawServer())
        guard let splice = Spliced(world, client, server, request: World.get, options: options) else {
            return ["no request reached the server"]
        }
        splice.server.advance(.ack, RawPeer.head(length: 4_000) + Array(repeating: 97, count: 1_300))
        let padded = options + [UInt8](repeating: 0, count: (4 - options.count % 4) % 4)
        let told = Int(reference(padded[...]).maximumSegmentSize)
        let most = told == 0 ? 536 : max(48, told)
        var faults: [String] = []
        for segment in splice.clientArrivals() where segment.payload.count > most {
            faults.append("\(segment.payload.count) bytes to a client with MSS \(told)")
        }
        if splice.client.payloadReceived == 0 { faults.append("no byte reached the client") }
        return faults + small.faults()
    }
}
