import NIOCore
import NIOWebSocket

extension ByteBuffer {
    /// The longest head of a frame without mask, in bytes.
    static let longestFrameHead = 10

    /// Appends a whole message in one frame, as a server sends it: not masked (RFC 6455, section 5.2).
    mutating func writeFrame(_ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer) {
        writeInteger(0x80 | UInt8(webSocketOpcode: opcode))
        switch payload.count {
        case ..<126: writeInteger(UInt8(payload.count))
        case ...0xffff:
            writeInteger(UInt8(126))
            writeInteger(UInt16(payload.count))
        default:
            writeInteger(UInt8(127))
            writeInteger(UInt64(payload.count))
        }
        writeBytes(payload)
    }

    /// Whether what can be read is UTF-8.
    var isText: Bool {
        withUnsafeReadableBytes { (try? UTF8Span(validating: $0.bindMemory(to: UInt8.self).span)) != nil }
    }
}
