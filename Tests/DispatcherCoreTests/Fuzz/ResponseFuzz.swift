import FuzzSupport

@testable import DispatcherCore

/// Responses: any bytes from a server, to the parsers and to an engine with a client that waits for them.
///
/// The first byte says what was asked and whether the server closes; the rest is what it answers. The client must get what the parsers let
/// pass and no byte more, or an answer of the dispatcher's own; an answer cut short must not look whole.
enum ResponseFuzz {
    static let target = FuzzTarget(
        name: "responses",
        words: [
            "\r\n", "\r\n\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 204 X\r\n",
            "HTTP/1.1 304 X\r\n", "HTTP/1.1 101 X\r\n", "Content-Length: ", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n",
            "Connection: upgrade\r\n", "Upgrade: websocket\r\n", "0\r\n\r\n", "5\r\nhello\r\n", ";a=\"b\"", "5\r\n", "X: y\r\n",
        ]
    ) { input in
        guard let first = input.first else { return [] }
        let answer = Array(input.dropFirst())
        return parse(first, answer) + engine(first, answer)
    }

    private static let asked: [(request: AnsweredRequest, text: String)] = [
        (AnsweredRequest(isHead: false, upgraded: false, minorVersion: 1), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (AnsweredRequest(isHead: true, upgraded: false, minorVersion: 1), "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (AnsweredRequest(isHead: false, upgraded: false, minorVersion: 0), "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"),
        (
            AnsweredRequest(isHead: false, upgraded: true, minorVersion: 1),
            FuzzWorld.upgrade
        ),
    ]

    private static func model(_ first: UInt8, _ pieces: [[UInt8]]) -> FramingAnswer {
        var answer = FramingAnswer(request: asked[Int(first & 3)].request)
        for piece in pieces { answer.receive(piece) }
        if first & 4 != 0 { answer.close() }
        return answer
    }

    static func parse(_ first: UInt8, _ bytes: [UInt8]) -> [String] {
        var random = FuzzRandom(for: bytes)
        let (whole, cut) = (model(first, [bytes]), model(first, random.pieces(of: bytes)))
        // What is wrong in two ways may be refused for either.
        if case .refused = whole.end, case .refused = cut.end, whole.passed == cut.passed { return [] }
        guard whole.end == cut.end, whole.passed == cut.passed else {
            return ["whole \(whole.end) after \(whole.passed) bytes, cut \(cut.end) after \(cut.passed)"]
        }
        return whole.passed <= bytes.count ? [] : ["\(whole.passed) of \(bytes.count) bytes passed"]
    }

    static func engine(_ first: UInt8, _ bytes: [UInt8]) -> [String] {
        let small = FuzzWorld(retries: 0)
        let world = small.world
        var random = FuzzRandom(for: bytes)
        let pieces = random.pieces(of: bytes)
        small.server.listen(8_080) { [unowned world] endpoint in
            var asked = false
            endpoint.onData = { [unowned endpoint, unowned world] _ in
                guard !asked else { return }
                asked = true
                for (number, piece) in pieces.enumerated() {
                    world.simulation.after(.milliseconds(Int64(number))) { [weak endpoint] in
                        if let endpoint, endpoint.state == .established { endpoint.write(piece) }
                    }
                }
                if first & 4 != 0 { world.simulation.after(.milliseconds(Int64(pieces.count))) { [weak endpoint] in endpoint?.close() } }
            }
            endpoint.onPeerFinished = { [unowned endpoint] in endpoint.close() }
        }
        let endpoint = world.nextClientHost().connect(from: 30_000, to: World.service)
        var came: [UInt8] = []
        endpoint.onConnected = { [unowned endpoint] in endpoint.write([UInt8](text: asked[Int(first & 3)].text)) }
        endpoint.onData = { came += $0 }
        endpoint.onPeerFinished = { [unowned endpoint] in endpoint.close() }
        world.simulation.run(for: .seconds(20))
        if endpoint.state != .closed { endpoint.close() }
        let faults = small.faults()
        return faults.isEmpty ? judge(came, endpoint.end, bytes, model(first, [bytes]), asked[Int(first & 3)].request) : faults
    }

    /// Whether the bytes are one whole answer of the dispatcher's own.
    private static func isOwnAnswer(_ bytes: ArraySlice<UInt8>, toHead: Bool) -> Bool {
        let head = Array(bytes)
        // The answer to HEAD says the length of a body that does not come: here it is put behind.
        guard let answer = ReceivedAnswer(toHead ? head + [UInt8](repeating: 32, count: 1_000) : head), answer.status >= 400 else {
            return false
        }
        return (toHead ? answer.head.utf8.count : answer.length) == head.count
    }

    /// Compares what the client got with what the parsers let pass.
    private static func judge(
        _ came: [UInt8], _ end: TestTCPEndpoint.End?, _ bytes: [UInt8], _ model: FramingAnswer, _ request: AnsweredRequest
    ) -> [String] {
        // To a 1.0 client interim responses are skipped: what it gets begins later.
        if request.minorVersion == 0, bytes.starts(with: Array("HTTP/1.1 1".utf8)) { return [] }
        let most = model.end == .tunnel ? bytes.count : model.passed
        let equal = zip(came, bytes).prefix(while: { $0 == $1 }).count
        let own = (0...min(equal, most)).contains { $0 == came.count || isOwnAnswer(came[$0...], toHead: request.isHead) }
        guard own else {
            let excerpt = SimulatedClient.excerpt(came[equal...])
            return ["the client got \(came.count) bytes, equal up to \(equal), \(most) may pass (\(model.end)): \(excerpt)"]
        }
        switch model.end {
        case .whole, .wholeThenClose, .tunnel:
            if came.count != most || equal != most {
                return ["\(came.count) bytes came of \(most) (\(model.end)): \(SimulatedClient.excerpt(came))"]
            }
        case .truncated, .open:
            if equal == came.count, !came.isEmpty, end == .finished { return ["cut short (\(model.end)), and it looks whole"] }
        default: break
        }
        return []
    }
}
