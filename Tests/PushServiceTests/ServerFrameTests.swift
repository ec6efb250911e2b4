import NIOCore
import NIOEmbedded
import NIOWebSocket
import Testing

@testable import PushService

@Suite("Push: frames of the server")
struct ServerFrameTests {
    /// RFC 6455, section 5.2: the length in 7, 16 or 64 bits, the shortest that holds it.
    @Test(
        "The head of a frame, and what a decoder makes of it",
        arguments: [(0, 2), (1, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10), (100_000, 10)])
    func frame(length: Int, head: Int) throws {
        let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        var buffer = ByteBuffer()
        payload.withUnsafeBytes { buffer.writeFrame(.text, $0) }
        #expect(buffer.readableBytes == head + length)
        #expect(buffer.getInteger(at: 0, as: UInt8.self) == 0x81)
        let channel = EmbeddedChannel(handler: ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: 1 << 20)))
        try channel.writeInbound(buffer)
        let frame = try #require(try channel.readInbound(as: WebSocketFrame.self))
        #expect(frame.fin && frame.opcode == .text && frame.maskKey == nil)
        #expect(Array(buffer: frame.data) == payload)
        #expect(try channel.readInbound(as: WebSocketFrame.self) == nil)
        #expect(try channel.finish(acceptAlreadyClosed: true).isClean)
    }

    @Test("What is UTF-8")
    func isText() {
        for text in ["", "a", "\u{e9}\u{20ac}\u{1f600}"] { #expect(ByteBuffer(string: text).isText) }
        for bytes in [[0xff], [0xc0, 0x80], [0x61, 0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]] as [[UInt8]] {
            #expect(!ByteBuffer(bytes: bytes).isText, "\(bytes)")
        }
        var part = ByteBuffer(bytes: [0xff, 0x61, 0x62])
        part.moveReaderIndex(forwardBy: 1)
        #expect(part.isText)
    }
}
