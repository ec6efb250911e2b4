import DispatcherCore

/// Both ends of everything that an engine carries in a run: as many clients and servers as there are, each a few numbers.
///
/// A client is numbered from 0, and so are all of its connections: connection `n` is a client's in place `n % places`, from an address and
/// port that no other has.
struct Peers: ~Copyable {
    struct Client {
        enum State: UInt8 { case unused, opening, talking, resting, closing }

        var connection: UInt32 = 0
        var state = State.unused
        /// Whether its connection is a tunnel.
        var isTunnel = false
        /// Payload segments that it has not acknowledged.
        var owed: UInt8 = 0
        var next: UInt32 = 0
        var receiveNext: UInt32 = 0
        /// Bytes of the response, or the message, that are still to come; -1 = its head has not come.
        var left: Int32 = -1
    }

    struct Server {
        var isTunnel = false
        var scale: UInt8 = 0
        /// Whether it closes when all is sent.
        var closes = false
        var owed: UInt8 = 0
        var unacknowledged: UInt32 = 0
        var next: UInt32 = 0
        var edge: UInt32 = 0
        var receiveNext: UInt32 = 0
        /// Bytes of what it says that are sent, and that are to be sent.
        var sent: UInt32 = 0
        var left: UInt32 = 0
    }

    let exchange: Exchange
    let places: Int
    private let clients: UnsafeMutablePointer<Client>
    /// By server and port.
    private let servers: UnsafeMutablePointer<Server>
    private let request: [UInt8]
    private let response: [UInt8]
    private let message: [UInt8]
    private let headLength: Int
    /// Answers and echoes that have come to their clients.
    private(set) var finished = 0
    /// Clients that are connected: in tunnels, or between requests.
    private(set) var connected = 0
    /// Clients that are opening their connection, or wait for an answer.
    private(set) var busy = 0
    /// Segments that were not what comes next, and refusals: there must be none.
    private(set) var surprises = 0
    /// What the first of them was.
    private(set) var surprise = ""

    static let clientHardware = HardwareAddress(bits: 0x02_00_00_00_0B_01)
    static let serverHardware = HardwareAddress(bits: 0x02_00_00_00_0C_01)

    init(_ exchange: Exchange) {
        self.exchange = exchange
        places = max(exchange.concurrency, exchange.held)
        clients = .allocate(capacity: places)
        // Touched now: what grows later is the engine's.
        clients.initialize(repeating: Client(), count: places)
        servers = .allocate(capacity: exchange.servers << 16)
        servers.initialize(repeating: Server(), count: exchange.servers << 16)
        request = exchange.request
        response = exchange.response
        message = [UInt8](repeating: 0x6D, count: exchange.message)
        headLength = response.count - (exchange.kind == .tunnel ? 0 : exchange.body)
    }

    deinit {
        clients.deallocate()
        servers.deallocate()
    }

    // MARK: What clients begin

    /// The client in a place opens its next connection.
    mutating func open(_ place: Int, on tape: inout Tape) {
        let client = clients + place
        client.pointee.connection = client.pointee.state == .unused ? UInt32(place) : client.pointee.connection + UInt32(places)
        client.pointee.state = .opening
        client.pointee.isTunnel = false
        client.pointee.left = -1
        client.pointee.owed = 0
        client.pointee.next = client.pointee.connection &* 0x9E37_79B1
        client.pointee.receiveNext = 0
        busy += 1
        send(from: client, WireSegment.syn, on: &tape)
        client.pointee.next &+= 1
    }

    /// The client in a place says the next thing on its connection.
    /// - Returns: false when it is waiting for something already.
    mutating func speak(_ place: Int, on tape: inout Tape) -> Bool {
        guard clients[place].state == .resting else { return false }
        busy += 1
        say(clients + place, on: &tape)
        return true
    }

    private func say(_ client: UnsafeMutablePointer<Client>, on tape: inout Tape) {
        client.pointee.state = .talking
        client.pointee.left = client.pointee.isTunnel ? Int32(message.count) : -1
        let payload = client.pointee.isTunnel ? message : request
        payload.withUnsafeBytes { send(from: client, WireSegment.ack | WireSegment.psh, $0, on: &tape) }
        client.pointee.next &+= UInt32(payload.count)
    }

    private func send(
        from client: UnsafeMutablePointer<Client>, _ flags: UInt8, _ payload: UnsafeRawBufferPointer = .empty, on tape: inout Tape
    ) {
        let number = client.pointee.connection
        let isSYN = flags & WireSegment.syn != 0
        var segment = WireSegment(
            source: Exchange.firstClient + number >> 15, destination: Exchange.service.address.v4,
            sourcePort: 16_384 + UInt16(number & 32_767),
            destinationPort: Exchange.service.port, sequence: client.pointee.next, acknowledgement: client.pointee.receiveNext,
            flags: flags, window: isSYN ? 64_240 : 1_024)
        segment.hasOptions = isSYN
        segment.payload = payload
        segment.write(to: tape.append(segment.frameLength, on: .client), from: Self.clientHardware)
        client.pointee.owed = 0
    }

    // MARK: What the engine sends

    mutating func receive(_ packet: Egress.Packet, _ bytes: UnsafeMutableRawBufferPointer, on tape: inout Tape) {
        guard let segment = WireSegment(packet, bytes) else {
            note("no TCP segment")
            return
        }
        if packet.side == .client { receiveAtClient(segment, on: &tape) } else { receiveAtServer(segment, on: &tape) }
    }

    private mutating func note(_ what: @autoclosure () -> String) {
        if surprises == 0 { surprise = what() }
        surprises += 1
    }

    private mutating func receiveAtClient(_ segment: WireSegment, on tape: inout Tape) {
        let number = (segment.destination - Exchange.firstClient) << 15 | UInt32(segment.destinationPort - 16_384)
        let place = Int(number) % places
        let client = clients + place
        guard client.pointee.connection == number, client.pointee.state != .unused, !segment.has(WireSegment.rst) else {
            note("a segment to nobody, or a reset: \(segment)")
            return
        }
        if client.pointee.state == .opening {
            guard segment.has(WireSegment.syn) else {
                note("no SYN: \(segment)")
                return
            }
            client.pointee.receiveNext = segment.sequence &+ 1
            send(from: client, WireSegment.ack, on: &tape)
            say(client, on: &tape)
            return
        }
        if client.pointee.state == .closing {
            // Our FIN is acknowledged.
            open(place, on: &tape)
            return
        }
        guard segment.payload.count > 0 || segment.has(WireSegment.fin) else { return }
        guard segment.sequence == client.pointee.receiveNext else {
            note("not what the client waits for, \(client.pointee): \(segment)")
            return
        }
        client.pointee.receiveNext &+= UInt32(segment.payload.count)
        // Every second full segment is acknowledged (RFC 9293 3.8.6.3), and every merged one.
        client.pointee.owed += segment.payload.count > 1_460 ? 2 : segment.payload.count > 0 ? 1 : 0
        let isComplete = segment.payload.count > 0 && take(segment.payload, client)
        if segment.has(WireSegment.fin) {
            client.pointee.receiveNext &+= 1
            if isComplete { finished += 1 }
            busy -= 1
            client.pointee.state = .closing
            send(from: client, WireSegment.fin | WireSegment.ack, on: &tape)
            client.pointee.next &+= 1
        } else if isComplete {
            finished += 1
            if !exchange.closes { rest(client, on: &tape) }
        } else if client.pointee.owed >= 2 {
            send(from: client, WireSegment.ack, on: &tape)
        }
    }

    /// - Returns: whether the response, or the message, is complete.
    private func take(_ payload: UnsafeRawBufferPointer, _ client: UnsafeMutablePointer<Client>) -> Bool {
        if client.pointee.left < 0 {
            // The engine may have changed the head, so it is looked for; it comes in one segment.
            var end = 4
            while end < payload.count, !Self.endsHead(payload, at: end) { end += 1 }
            client.pointee.left = Int32(response.count - headLength) - Int32(payload.count - end)
            if exchange.kind == .tunnel { client.pointee.isTunnel = true }
        } else {
            client.pointee.left -= Int32(payload.count)
        }
        return client.pointee.left == 0
    }

    private static func endsHead(_ payload: UnsafeRawBufferPointer, at end: Int) -> Bool {
        payload[end - 4] == 13 && payload[end - 3] == 10 && payload[end - 2] == 13 && payload[end - 1] == 10
    }

    /// An answer has come to its end. Without connections that are only held the client asks again at once.
    private mutating func rest(_ client: UnsafeMutablePointer<Client>, on tape: inout Tape) {
        if exchange.held == 0 {
            say(client, on: &tape)
            return
        }
        busy -= 1
        client.pointee.state = .resting
        send(from: client, WireSegment.ack, on: &tape)
        if finished <= places { connected += 1 }
    }

    // MARK: Servers

    private mutating func receiveAtServer(_ segment: WireSegment, on tape: inout Tape) {
        let index = Int(segment.destination &- Exchange.firstServer)
        let server = servers + (index << 16 | Int(segment.sourcePort))
        if segment.has(WireSegment.rst) {
            note("a reset to a server: \(segment)")
            return
        }
        if segment.has(WireSegment.syn) {
            server.initialize(to: Server())
            server.pointee.scale = segment.scale
            server.pointee.receiveNext = segment.sequence &+ 1
            server.pointee.next = segment.sequence &* 0x85EB_CA6B
            server.pointee.unacknowledged = server.pointee.next
            answer(segment, server, WireSegment.syn | WireSegment.ack, on: &tape)
            server.pointee.next &+= 1
            return
        }
        server.pointee.unacknowledged = segment.acknowledgement
        server.pointee.edge = segment.acknowledgement &+ UInt32(segment.window) << UInt32(server.pointee.scale)
        if segment.payload.count > 0 || segment.has(WireSegment.fin) {
            guard segment.sequence == server.pointee.receiveNext else {
                note("not what the server waits for, \(server.pointee): \(segment)")
                return
            }
            server.pointee.receiveNext &+= UInt32(segment.payload.count) &+ (segment.has(WireSegment.fin) ? 1 : 0)
            server.pointee.owed += 1
            if segment.payload.count > 0 {
                server.pointee.sent = 0
                server.pointee.left = UInt32(server.pointee.isTunnel ? message.count : response.count)
                if exchange.mode == .l43 { server.pointee.closes = exchange.closes }
            }
        }
        pump(segment, server, on: &tape)
        if segment.has(WireSegment.fin), !server.pointee.closes {
            answer(segment, server, WireSegment.fin | WireSegment.ack, on: &tape)
            server.pointee.next &+= 1
        } else if server.pointee.owed > 0 {
            answer(segment, server, WireSegment.ack, on: &tape)
        }
    }

    /// Sends what the window takes.
    private func pump(_ segment: WireSegment, _ server: UnsafeMutablePointer<Server>, on tape: inout Tape) {
        while server.pointee.left > 0 {
            let room = Int32(bitPattern: server.pointee.edge &- server.pointee.next)
            let wanted = min(Int32(exchange.segment), Int32(server.pointee.left))
            // As RFC 9293 3.8.6.2.1 has it, no small pieces while something is on its way.
            guard room >= wanted || (room >= 1_460 && wanted > 1_460) else { return }
            let length = min(wanted, room)
            let isLast = length == server.pointee.left
            let source = server.pointee.isTunnel ? message : response
            let endsHere = isLast && server.pointee.closes
            source.withUnsafeBytes { bytes in
                let piece = UnsafeRawBufferPointer(rebasing: bytes[Int(server.pointee.sent)..<Int(server.pointee.sent) + Int(length)])
                answer(
                    segment, server, WireSegment.ack | (isLast ? WireSegment.psh : 0) | (endsHere ? WireSegment.fin : 0), piece, on: &tape)
            }
            server.pointee.next &+= UInt32(length) &+ (endsHere ? 1 : 0)
            server.pointee.sent += UInt32(length)
            server.pointee.left -= UInt32(length)
            if isLast, exchange.kind == .tunnel { server.pointee.isTunnel = true }
        }
    }

    private func answer(
        _ segment: WireSegment, _ server: UnsafeMutablePointer<Server>, _ flags: UInt8, _ payload: UnsafeRawBufferPointer = .empty,
        on tape: inout Tape
    ) {
        let isSYN = flags & WireSegment.syn != 0
        var answer = WireSegment(
            source: segment.destination, destination: segment.source, sourcePort: segment.destinationPort,
            destinationPort: segment.sourcePort, sequence: server.pointee.next, acknowledgement: server.pointee.receiveNext, flags: flags,
            window: isSYN ? 64_240 : 502)
        answer.hasOptions = isSYN
        answer.payload = payload
        answer.write(to: tape.append(answer.frameLength, on: .server), from: Self.serverHardware)
        server.pointee.owed = 0
    }
}
