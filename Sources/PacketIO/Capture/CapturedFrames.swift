import CPcap

/// The reading end of a `Capture`. It owns nothing and must not outlive the capture.
struct CapturedFrames {
    let handle: OpaquePointer
    let name: String
    let long: UnsafeMutablePointer<LongFrames>
    /// nil = nothing can be seen before it is handed out.
    let ahead: UnsafeMutablePointer<FramesAhead>?

    /// Hands out the frames that wait, at most `limit`. A frame is valid only inside the call of `body`, unless it lies in `steadyMemory`.
    /// - Returns: how many; negative when the capture failed.
    func dispatch(limit: Int32, _ body: (RawSpan) -> Void) -> Int32 {
        // libpcap calls back through a C pointer: the closure waits behind it, on this stack.
        withoutActuallyEscaping(body) { body in
            var receiver = Receiver(long: long, body: body)
            return withUnsafeMutablePointer(to: &receiver) { receiver in
                pcap_dispatch(handle, limit, Receiver.receive, UnsafeMutableRawPointer(receiver).assumingMemoryBound(to: UInt8.self))
            }
        }
    }

    /// While `frame` is handed out: those that wait behind it, each once, `distance` behind it at most.
    @inline(__always)
    func look(from frame: RawSpan, distance: Int, _ body: (RawSpan) -> Void) {
        ahead?.pointee.look(from: frame, distance: distance, body)
    }

    /// Memory in which frames stay until `release`: those that are longer than a slot.
    var steadyMemory: UnsafeRawBufferPointer { long.pointee.steadyMemory }
    /// Whether `release` is due before the next frame.
    var isFull: Bool { long.pointee.isFull }
    func release() { long.pointee.release() }

    /// The error that the last failed `dispatch` met.
    var failure: CaptureError { Capture.failure(handle, "the capture on \(name) failed") }

    /// What a poll waits on; -1 when it cannot be polled.
    var descriptor: Int32 { pcap_get_selectable_fd(handle) }

    /// How long a poll may wait at most, nanoseconds, because the descriptor alone would not wake it (an interface that is down for now).
    var longestWait: Int64? {
        guard let wait = pcap_get_required_select_timeout(handle)?.pointee else { return nil }
        return Int64(wait.tv_sec) * 1_000_000_000 + Int64(wait.tv_usec) * 1_000
    }

    var statistics: CaptureStatistics {
        var seen = pcap_stat()
        var result = CaptureStatistics()
        result.truncated = long.pointee.truncated
        result.dropped = long.pointee.lost
        if pcap_stats(handle, &seen) == 0 {
            result.received = UInt64(seen.ps_recv)
            result.dropped += UInt64(seen.ps_drop)
        }
        return result
    }

    /// Sends a whole Ethernet frame on the captured interface; false when it could not be sent.
    func inject(_ frame: UnsafeRawBufferPointer) -> Bool { pcap_inject(handle, frame.baseAddress, frame.count) == Int32(frame.count) }

    private struct Receiver {
        let long: UnsafeMutablePointer<LongFrames>
        let body: (RawSpan) -> Void

        static let receive: pcap_handler = { context, header, bytes in
            guard let context, let header, let bytes else { return }
            let receiver = UnsafeMutableRawPointer(context).assumingMemoryBound(to: Receiver.self)
            var frame = UnsafeRawBufferPointer(start: bytes, count: Int(header.pointee.caplen))
            if header.pointee.caplen < header.pointee.len {
                guard let whole = receiver.pointee.long.pointee.fetch(frame, length: Int(header.pointee.len)) else { return }
                frame = whole
            }
            receiver.pointee.body(frame.bytes)
        }
    }
}
