import NIOCore

/// Joins what is written between two flushes, so that the parts of an answer or of a frame are one TLS record instead of one each.
///
/// Each record costs a device more than twenty bytes, and an encryption (RFC 8446, section 5.2).
final class RecordJoiner: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What a record holds at most; no more is copied together.
    static let recordLimit = 16_384

    private var waiting: (bytes: ByteBuffer, promise: EventLoopPromise<Void>?)?

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let bytes = unwrapOutboundIn(data)
        guard var (joined, first) = waiting.take() else {
            waiting = (bytes, promise)
            return
        }
        guard joined.readableBytes + bytes.readableBytes <= Self.recordLimit else {
            context.write(wrapOutboundOut(joined), promise: first)
            waiting = (bytes, promise)
            return
        }
        joined.writeImmutableBuffer(bytes)
        if first == nil {
            first = promise
        } else if let promise {
            first?.futureResult.cascade(to: promise)
        }
        waiting = (joined, first)
    }

    func flush(context: ChannelHandlerContext) {
        passOn(context)
        context.flush()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        passOn(context)
        context.close(mode: mode, promise: promise)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        waiting.take()?.promise?.fail(ChannelError.ioOnClosedChannel)
    }

    private func passOn(_ context: ChannelHandlerContext) {
        guard let (bytes, promise) = waiting.take() else { return }
        context.write(wrapOutboundOut(bytes), promise: promise)
    }
}
