public import DispatcherCore
import Glibc

/// A frame of a capture file.
public struct RecordedFrame: Equatable, Sendable {
    /// Nanoseconds of the file's own clock.
    public var at: Instant
    public var bytes: [UInt8]
    /// Bytes on the wire; more than `bytes` when the frame was cut.
    public var originalLength: Int

    public init(at: Instant, bytes: [UInt8]) {
        self.at = at
        self.bytes = bytes
        originalLength = bytes.count
    }
}

/// Reads a capture file (libpcap's format, either byte order, microseconds or nanoseconds) of Ethernet frames.
public struct CaptureFileReader {
    private let name: String
    private let content: [UInt8]
    private let isSwapped: Bool
    /// Nanoseconds of a fraction's unit.
    private let fraction: Int64
    private var offset = CaptureFileWriter.headerLength

    /// - Throws: `CaptureError` (`failed`, `notEthernet`).
    public init(path: String) throws(CaptureError) {
        guard let file = fopen(path, "re") else {
            throw CaptureError(.failed, "cannot read the capture file \(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            content += chunk[..<count]
        }
        try self.init(content, name: path)
    }

    /// - Parameter content: a whole file.
    public init(_ content: [UInt8], name: String = "capture") throws(CaptureError) {
        self.name = name
        self.content = content
        guard content.count >= CaptureFileWriter.headerLength else {
            throw CaptureError(.failed, "\(name) is no capture file: it is too short")
        }
        let magic = Self.word(content, 0, swapped: false)
        switch magic {
        case 0xA1B2_3C4D: (isSwapped, fraction) = (false, 1)
        case 0xA1B2_C3D4: (isSwapped, fraction) = (false, 1_000)
        case UInt32(0xA1B2_3C4D).byteSwapped: (isSwapped, fraction) = (true, 1)
        case UInt32(0xA1B2_C3D4).byteSwapped: (isSwapped, fraction) = (true, 1_000)
        default: throw CaptureError(.failed, "\(name) is no capture file of libpcap's format (pcapng is another: editcap -F pcap)")
        }
        let link = Self.word(content, 20, swapped: isSwapped)
        guard link & 0xFFFF == 1 else {
            throw CaptureError(
                .notEthernet, "\(name) has frames of link type \(link & 0xFFFF), not Ethernet (1); capture on an Ethernet device")
        }
    }

    /// The next frame; nil at the end.
    /// - Throws: `CaptureError` (`failed`) when the file ends inside a frame.
    public mutating func next() throws(CaptureError) -> RecordedFrame? {
        if offset == content.count { return nil }
        let data = offset + CaptureFileWriter.recordHeaderLength
        guard data <= content.count else { throw CaptureError(.failed, "\(name) ends inside a frame") }
        let seconds = Int64(word(offset))
        let nanoseconds = Int64(word(offset + 4)) * fraction
        let length = Int(word(offset + 8))
        guard length <= content.count - data else { throw CaptureError(.failed, "\(name) ends inside a frame") }
        var frame = RecordedFrame(
            at: Instant(nanoseconds: seconds * 1_000_000_000 + nanoseconds), bytes: Array(content[data..<data + length]))
        frame.originalLength = Int(word(offset + 12))
        offset = data + length
        return frame
    }

    /// Every frame that is left.
    public mutating func readAll() throws(CaptureError) -> [RecordedFrame] {
        var frames: [RecordedFrame] = []
        while let frame = try next() { frames.append(frame) }
        return frames
    }

    private func word(_ at: Int) -> UInt32 { Self.word(content, at, swapped: isSwapped) }

    private static func word(_ content: [UInt8], _ at: Int, swapped: Bool) -> UInt32 {
        let value = content.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: UInt32.self) }
        return swapped ? value.byteSwapped : value
    }
}
