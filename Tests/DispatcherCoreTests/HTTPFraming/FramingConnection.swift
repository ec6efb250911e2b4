@testable import DispatcherCore

/// A small model of a front-end connection: the loop of scanner, head, body, next request. It forwards at once and answers nothing,
/// so a test sees what the parsers make of a stream of bytes, however it is cut.
struct FramingConnection: Equatable {
    struct Forwarded: Equatable {
        var head: [UInt8]
        var output: [UInt8]
        var body: [UInt8]
    }

    enum End: Equatable {
        /// The client may send another request.
        case open
        /// After this request the connection closes.
        case closing
        case refused(RequestFault)
        /// The client closed in the middle of a request.
        case truncated
        /// The request asked for a tunnel: nothing is read before the response.
        case waitsForUpgrade
    }

    private enum Phase: Equatable {
        case head(HeadScanner)
        case length(RequestHead, UInt64)
        case chunked(RequestHead, ChunkedDecoder)
    }

    var limits = Framing.limits
    private(set) var forwarded: [Forwarded] = []
    private(set) var end = End.open
    private var phase = Phase.head(HeadScanner())
    private var unread: [UInt8] = []
    private var head: [UInt8] = []
    private var body: [UInt8] = []

    mutating func receive(_ bytes: some Sequence<UInt8>) {
        guard end == .open else { return }
        unread += bytes
        while end == .open, step() {}
    }

    mutating func close() {
        guard end == .open else { return }
        if unread.isEmpty, case .head = phase { return }
        end = .truncated
    }

    /// Takes one step; false when it needs more bytes.
    private mutating func step() -> Bool {
        switch phase {
        case .head(var scanner):
            let found = unread.withUnsafeBytes { scanner.scan($0, limit: Int(limits.head)) }
            phase = .head(scanner)
            switch found {
            case .incomplete: return false
            case .tooLong, .malformed: end = .refused(scanner.requestFault)
            case .complete(let length): begin(length)
            }
        case .length(let request, let length):
            guard UInt64(unread.count) >= length else { return false }
            body = Array(unread[..<Int(length)])
            unread.removeFirst(Int(length))
            forward(request)
        case .chunked(let request, var decoder):
            let result = unread.withUnsafeMutableBytes { decoder.decode($0) }
            phase = .chunked(request, decoder)
            body += unread[..<result.produced]
            unread.removeFirst(result.consumed)
            switch result.state {
            case .more: return false
            case .done: forward(request)
            case .bad(let fault): end = .refused(fault)
            case .tooBig: end = .refused(.bodyTooLong)
            }
        }
        return true
    }

    private mutating func begin(_ length: Int) {
        head = Array(unread[..<length])
        switch Framing.parse(head, limits: limits) {
        case .bad(let fault): end = .refused(fault)
        case .good(let request):
            precondition(Int(request.headLength) == length)
            unread.removeFirst(length)
            body = []
            switch request.framing {
            case .none, .length(0): forward(request)
            case .length(let count): phase = .length(request, count)
            case .chunked: phase = .chunked(request, ChunkedDecoder(limit: limits.body))
            }
        }
    }

    private mutating func forward(_ request: RequestHead) {
        let length: UInt64? = request.framing == .none ? nil : UInt64(body.count)
        guard let output = Framing.rewrite(head, bodyLength: length) else { preconditionFailure("the capacity is an upper bound") }
        forwarded.append(Forwarded(head: head, output: output, body: body))
        phase = .head(HeadScanner())
        if request.upgradesToWebSocket { end = .waitsForUpgrade } else if !request.keepAlive { end = .closing }
    }
}

/// A small model of a back-end connection that answers one request.
struct FramingAnswer: Equatable {
    enum End: Equatable {
        case open
        /// The response is there; the connection can take another request.
        case whole
        /// The response is there; the connection closes.
        case wholeThenClose
        /// The server closed too early.
        case truncated
        case refused(ResponseFault)
        case tooManyInterim
        case tunnel
    }

    static let interimResponses = 16
    let request: AnsweredRequest
    private(set) var end = End.open
    /// Heads that were passed on.
    private(set) var heads = 0
    /// Bytes that were passed on.
    private(set) var passed = 0
    private var scanner = HeadScanner(leadingEmptyLines: 0)
    private var framer: ResponseFramer?
    private var keepAlive = false
    private var unread: [UInt8] = []

    init(request: AnsweredRequest) { self.request = request }

    mutating func receive(_ bytes: some Sequence<UInt8>) {
        unread += bytes
        switch end {
        case .open: while end == .open, step() {}
        case .whole where !unread.isEmpty: end = .wholeThenClose
        default: break
        }
        if end == .whole, !unread.isEmpty { end = .wholeThenClose }
    }

    mutating func close() {
        switch end {
        case .open: end = framer?.endsByClose == true ? .wholeThenClose : .truncated
        case .whole: break
        default: break
        }
    }

    private mutating func step() -> Bool {
        if var framer {
            let progress = unread.withUnsafeBytes { framer.advance($0) }
            self.framer = framer
            passed += progress.belongs
            unread.removeFirst(progress.belongs)
            switch progress.state {
            case .more: return false
            case .ended: end = keepAlive ? .whole : .wholeThenClose
            case .bad(let fault): end = .refused(fault)
            }
            return true
        }
        let found = unread.withUnsafeBytes { scanner.scan($0, limit: Int(Framing.limits.head)) }
        switch found {
        case .incomplete: return false
        case .tooLong, .malformed: end = .refused(scanner.responseFault)
        case .complete(let length):
            switch unread.withUnsafeBytes({ ResponseHead.parse($0, request: request, limits: Framing.limits) }) {
            case .bad(let fault): end = .refused(fault)
            case .good(let head):
                precondition(Int(head.headLength) == length)
                unread.removeFirst(length)
                passed += length
                heads += 1
                scanner = HeadScanner(leadingEmptyLines: 0)
                if head.isInterim {
                    if heads > Self.interimResponses { end = .tooManyInterim }
                } else if head.switchesProtocols {
                    end = .tunnel
                } else {
                    keepAlive = head.keepAlive
                    framer = ResponseFramer(head.framing)
                }
            }
        }
        return true
    }
}
