import CLinux
import CPcap

/// A look into a capture's ring at frames that libpcap has not handed out yet, so that what they need can be fetched into the caches. Nothing
/// depends on it: where the ring is not found, or a slot is not as expected, there is nothing to see.
struct FramesAhead {
    private let start: UnsafeRawPointer
    private let slots: Int
    private let slotLength: Int
    /// Bytes from the beginning of a slot to the frame in it.
    private let frameOffset: Int32
    /// The first slot that was not looked at; -1 = none was.
    private var next = -1

    /// The ring of a capture whose slots have that length, bytes; nil when it cannot be found.
    init?(of handle: OpaquePointer, slotLength: Int) {
        let descriptor = pcap_fileno(handle)
        var start: UnsafeRawPointer?
        var length: UInt = 0
        guard clinux_find_ring(descriptor, &start, &length) == 0, let start else { return nil }
        self.init(
            ring: UnsafeRawBufferPointer(start: start, count: Int(length)), slotLength: slotLength,
            frameOffset: clinux_slot_frame_offset(descriptor))
    }

    /// Over other memory, as tests have.
    init?(ring: UnsafeRawBufferPointer, slotLength: Int, frameOffset: Int32) {
        guard let start = ring.baseAddress, frameOffset >= 0, ring.count >= slotLength, ring.count.isMultiple(of: slotLength) else {
            return nil
        }
        self.start = start
        slots = ring.count / slotLength
        self.slotLength = slotLength
        self.frameOffset = frameOffset
    }

    /// Looks at the frames behind `frame`, which is being handed out: each once, `distance` behind it at most, in order.
    mutating func look(from frame: RawSpan, distance: Int, _ body: (RawSpan) -> Void) {
        guard let current = slot(of: frame) else { return }
        var behind = next >= current ? next - current : next - current + slots
        // Others were passed over since the last look, or it is the first.
        if next < 0 || behind == 0 || behind > distance + 1 { behind = 1 }
        while behind <= distance, behind < slots {
            next = current + behind < slots ? current + behind : current + behind - slots
            var captured: UInt32 = 0
            guard let bytes = clinux_frame_in_slot(start + next * slotLength, frameOffset, &captured),
                Int(captured) <= slotLength - Int(frameOffset)
            else { return }
            body(UnsafeRawBufferPointer(start: bytes, count: Int(captured)).bytes)
            behind += 1
        }
        next = current + behind < slots ? current + behind : current + behind - slots
    }

    /// The slot that a frame lies in; nil when it lies elsewhere.
    private func slot(of frame: RawSpan) -> Int? {
        frame.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return nil }
            let offset = base - start - Int(frameOffset)
            guard offset >= 0, offset < slots * slotLength, offset.isMultiple(of: slotLength) else { return nil }
            return offset / slotLength
        }
    }
}
