import NIOCore
import NIOHTTP1

/// NIO's parser of requests, with two differences: the first error is the last thing that comes of a connection, whatever follows; and a
/// request whose method the parser does not know comes as one without fields and body, so that the routes can refuse it by its path.
final class HTTPRequestReader: ByteToMessageDecoder {
    typealias InboundOut = HTTPServerRequestPart

    private enum State {
        /// Then `unknownMethod` or `over`.
        case reading
        /// The rest of the request line is awaited; then `over`. The bytes begin at or before that line.
        case unknownMethod(ByteBuffer)
        /// The rest of the connection is dropped.
        case over
    }

    private let parser: HTTPRequestDecoder
    private var state = State.reading

    init(limits: NIOHTTPDecoderLimitConfiguration) {
        parser = HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: limits)
    }

    func decoderAdded(context: ChannelHandlerContext) { parser.decoderAdded(context: context) }

    func decoderRemoved(context: ChannelHandlerContext) { parser.decoderRemoved(context: context) }

    func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard case .reading = state else {
            readBehindError(&buffer, context)
            return .needMoreData
        }
        let before = buffer
        do {
            return try parser.decode(context: context, buffer: &buffer)
        } catch {
            fail(error, before, context)
            buffer.moveReaderIndex(to: buffer.writerIndex)
            return .needMoreData
        }
    }

    func decodeLast(context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool) throws -> DecodingState {
        if case .reading = state {
            let before = buffer
            do {
                return try parser.decodeLast(context: context, buffer: &buffer, seenEOF: seenEOF)
            } catch {
                fail(error, before, context)
            }
        } else {
            readBehindError(&buffer, context)
        }
        buffer.moveReaderIndex(to: buffer.writerIndex)
        if seenEOF, case .unknownMethod = state { end(HTTPParserError.invalidMethod, context) }
        return .needMoreData
    }

    /// - Parameter before: what the parser was given.
    private func fail(_ error: any Error, _ before: ByteBuffer, _ context: ChannelHandlerContext) {
        guard error as? HTTPParserError == .invalidMethod else { return end(error, context) }
        state = .unknownMethod(before)
        findRequestLine(context)
    }

    private func readBehindError(_ buffer: inout ByteBuffer, _ context: ChannelHandlerContext) {
        if case .unknownMethod(var bytes) = state {
            state = .over
            bytes.writeImmutableBuffer(buffer)
            state = .unknownMethod(bytes)
            if !UnknownMethod.isUnfinished(with: buffer.readableBytesView, length: bytes.readableBytes) { findRequestLine(context) }
        }
        buffer.moveReaderIndex(to: buffer.writerIndex)
    }

    private func findRequestLine(_ context: ChannelHandlerContext) {
        guard case .unknownMethod(let bytes) = state else { return }
        switch UnknownMethod.look(in: bytes.readableBytesView) {
        case .found(let method, let target):
            state = .over
            // Of its own fields nothing is known; the connection ends with the answer.
            let fields = HTTPHeaders([("Host", ""), ("Connection", "close")])
            let head = HTTPRequestHead(version: .http1_1, method: .RAW(value: method), uri: target, headers: fields)
            context.fireChannelRead(wrapInboundOut(.head(head)))
            context.fireChannelRead(wrapInboundOut(.end(nil)))
        case .unfinished: break
        case .none: end(HTTPParserError.invalidMethod, context)
        }
    }

    private func end(_ error: any Error, _ context: ChannelHandlerContext) {
        state = .over
        context.fireErrorCaught(error)
    }
}

/// The request line with a method that the parser does not know.
enum UnknownMethod {
    enum Finding: Equatable {
        case found(method: String, target: String)
        /// What has come may be the beginning of one.
        case unfinished
        case none
    }

    /// Of a line, and of a body of a notification that ends in it.
    private static let lineLimit = 24 * 1024

    /// Looks for the first such line. The parser does not say where it stopped, and requests may lie before: their lines have methods that
    /// are known, and the last byte of a body may stand right before a method. What else may look like such a line decides only which
    /// refusal is sent.
    static func look(in bytes: some BidirectionalCollection<UInt8>) -> Finding {
        var rest = bytes[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            if let found = requestLine(rest[..<end]) { return found }
            rest = rest[rest.index(after: end)...]
        }
        let mayBegin = words(rest).suffix(3).contains { !tokenAtEnd(of: $0).isEmpty }
        return mayBegin && rest.count <= lineLimit && isText(rest) ? .unfinished : .none
    }

    /// Whether `more` leaves open whether there is one, when `length` bytes have come in all.
    static func isUnfinished(with more: some BidirectionalCollection<UInt8>, length: Int) -> Bool {
        length <= lineLimit && isText(more)
    }

    private static func requestLine(_ line: some BidirectionalCollection<UInt8>) -> Finding? {
        let parts = words(line.last == UInt8(ascii: "\r") ? line.dropLast() : line[...]).suffix(3)
        guard parts.count == 3, let first = parts.first, let version = parts.last else { return nil }
        let (token, target) = (tokenAtEnd(of: first), parts[parts.startIndex + 1])
        guard !token.isEmpty, !target.isEmpty, target.allSatisfy({ (0x21...0x7e).contains($0) }) else { return nil }
        guard ["HTTP/1.1", "HTTP/1.0"].contains(where: { version.elementsEqual($0.utf8) }) else { return nil }
        let method = String(decoding: token, as: UTF8.self)
        guard case .RAW = HTTPMethod(rawValue: method) else { return nil }
        return .found(method: method, target: String(decoding: target, as: UTF8.self))
    }

    private static func words<Bytes: BidirectionalCollection<UInt8>>(_ bytes: Bytes) -> [Bytes.SubSequence] {
        bytes.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    }

    private static func tokenAtEnd(of word: some BidirectionalCollection<UInt8>) -> [UInt8] {
        word.reversed().prefix(while: isTokenByte).reversed()
    }

    /// Printable, and without the end of a line.
    private static func isText(_ bytes: some BidirectionalCollection<UInt8>) -> Bool {
        bytes.allSatisfy { (0x20...0x7e).contains($0) || $0 == UInt8(ascii: "\r") }
    }

    /// RFC 9110, section 5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
