import NIOCore
import NIOEmbedded
import Testing

@testable import PushService

@Suite("Push: TLS records")
struct RecordJoinerTests {
    private let channel = EmbeddedChannel(handler: RecordJoiner())

    private func written() throws -> [String] {
        var found: [String] = []
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { found.append(String(buffer: buffer)) }
        return found
    }

    @Test("What is written between two flushes is one record, and all who wrote it learn that it went")
    func joined() throws {
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let writes = ["head", "", "body"].map { channel.write(ByteBuffer(string: $0)) }
        channel.write(ByteBuffer(string: "!"), promise: nil)
        #expect(try written().isEmpty)
        channel.flush()
        #expect(try written() == ["headbody!"])
        for write in writes { try write.wait() }
        channel.flush()
        #expect(try written().isEmpty)
        channel.writeAndFlush(ByteBuffer(string: "next"), promise: nil)
        #expect(try written() == ["next"])
        _ = try channel.finish()
    }

    @Test("No more than a record holds is joined, and nothing is reordered")
    func bounded() throws {
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let parts = [10_000, 6_384, 1, 20_000, 5].map { String(repeating: "x", count: $0) }
        for part in parts { channel.write(ByteBuffer(string: part), promise: nil) }
        channel.flush()
        #expect(try written().map(\.utf8.count) == [16_384, 1, 20_000, 5])
        _ = try channel.finish()
    }

    /// Notes what reaches the handler before the joiner.
    private final class Recorder: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        var events: [String] = []

        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            events.append("write \(String(buffer: unwrapOutboundIn(data)))")
            context.write(data, promise: promise)
        }

        func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
            events.append("close")
            context.close(mode: mode, promise: promise)
        }
    }

    @Test("What was not flushed goes on before the end, as without a joiner")
    func closed() throws {
        let recorder = Recorder()
        let channel = EmbeddedChannel(handlers: [recorder, RecordJoiner()])
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        channel.write(ByteBuffer(string: "late"), promise: nil)
        #expect(recorder.events.isEmpty)
        channel.close(promise: nil)
        #expect(recorder.events == ["write late", "close"])
        _ = try channel.finish(acceptAlreadyClosed: true)
    }
}
