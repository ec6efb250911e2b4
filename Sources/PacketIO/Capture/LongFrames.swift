import CLinux
import CPcap
import Glibc

/// Frames that are longer than a slot of the ring. Of such a frame the ring has the beginning, in its place among the others, and the
/// kernel queues the whole on the capture's socket (packet(7), PACKET_COPY_THRESH), in the same order. So a small frame takes a small slot,
/// and a large one, which a device has merged or has yet to segment, no more memory than its own.
///
/// What is fetched lies in memory of ours and stays there, while a slot is the kernel's again at once.
struct LongFrames {
    /// The longest frame: the largest IP packet behind its Ethernet header and a tag. What is longer is cut, and counted.
    static let longest = 65_535 + 14 + 4
    /// Bytes of a slot that the frame has not: what the kernel and libpcap write before it.
    static let slotHeader = 86
    static let leastSlot = 2_048
    static let mostSlot = 65_536
    /// So many bytes are fetched before the first of them must go: as many as make an egress full.
    private static let room = 2 << 20

    /// Of the capture's socket; -1 = nothing is queued: frames are as long as they were captured.
    private let descriptor: Int32
    /// Bytes from the beginning of a slot to the frame in it.
    private let frameOffset: Int32
    private let memory: UnsafeMutableRawBufferPointer
    private var used = 0
    /// Frames that are not whole: cut because they were longer than `longest`, or, of a file, by who wrote it.
    private(set) var truncated: UInt64 = 0
    /// Frames whose whole the kernel has not queued, because too much was waiting.
    private(set) var lost: UInt64 = 0

    /// Of a capture file.
    init() {
        descriptor = -1
        frameOffset = 0
        memory = .init(start: nil, count: 0)
    }

    /// - Parameter memory: bytes of the queue, as the kernel counts them: what its frames take, more than they are long.
    /// - Throws: `CaptureError`.
    init(of handle: OpaquePointer, memory: Int) throws(CaptureError) {
        let descriptor = pcap_fileno(handle)
        let frameOffset = clinux_slot_frame_offset(descriptor)
        guard frameOffset >= 0, clinux_queue_long_frames(descriptor, Int32(clamping: memory)) == 0 else {
            throw CaptureError(
                .failed, "the kernel does not queue frames longer than a slot (PACKET_COPY_THRESH): \(String(cString: strerror(errno)))")
        }
        self.init(queue: descriptor, frameOffset: frameOffset)
    }

    /// Over another queue, as tests have.
    init(queue descriptor: Int32, frameOffset: Int32) {
        self.descriptor = descriptor
        self.frameOffset = frameOffset
        memory = .allocate(byteCount: Self.room + Self.longest, alignment: 64)
    }

    func deallocate() { if memory.count > 0 { memory.deallocate() } }

    /// Bytes of a slot that take a packet of that size, and that the kernel's pages are a multiple of.
    static func slotLength(mtu: Int) -> Int {
        var length = leastSlot
        while length < mostSlot, length - slotHeader < mtu + 14 { length *= 2 }
        return length
    }

    /// Where the frames lie that were fetched: they stay until `release`.
    var steadyMemory: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }
    /// Whether `release` is due before more is fetched: otherwise the oldest of what was fetched are written over.
    var isFull: Bool { used > Self.room }

    mutating func release() { used = 0 }

    /// The frame of which a slot has the beginning.
    /// - Parameters:
    ///   - beginning: in its slot.
    ///   - length: of the whole frame, bytes.
    /// - Returns: nil when it is lost. What cannot be had whole, and never could, is returned as it is; both are counted.
    mutating func fetch(_ beginning: UnsafeRawBufferPointer, length: Int) -> UnsafeRawBufferPointer? {
        guard descriptor >= 0, let start = beginning.baseAddress else {
            truncated &+= 1
            return beginning
        }
        let queued = clinux_is_queued(start, UInt32(length), frameOffset)
        guard queued != CLINUX_NOT_QUEUED else {
            lost &+= 1
            return nil
        }
        if isFull { used = 0 }
        let place = UnsafeMutableRawBufferPointer(rebasing: memory[used..<used + Self.longest])
        while true {
            let count = recv(descriptor, place.baseAddress, place.count, Int32(MSG_DONTWAIT) | Int32(MSG_TRUNC))
            if count < 0 {
                if errno == EINTR { continue }
                lost &+= 1
                return nil
            }
            // libpcap has put the tag back that the kernel keeps beside the frame. Nothing here reads frames with tags.
            if queued == CLINUX_QUEUED_UNTAGGED {
                truncated &+= 1
                return beginning
            }
            // One before it, whose slot was passed over.
            guard count == length, isTheSame(place, beginning) else { continue }
            if count > place.count { truncated &+= 1 }
            let kept = min(count, place.count)
            used += (kept + 63) & ~63
            return UnsafeRawBufferPointer(rebasing: place[..<kept])
        }
    }

    /// Of the same length: whether they begin alike.
    private func isTheSame(_ frame: UnsafeMutableRawBufferPointer, _ beginning: UnsafeRawBufferPointer) -> Bool {
        guard let one = frame.baseAddress, let other = beginning.baseAddress else { return false }
        return memcmp(one, other, min(beginning.count, 64)) == 0
    }
}
