public import DispatcherCore
import Glibc

/// Writes Ethernet frames into a capture file (libpcap's format, nanosecond times, this machine's byte order). Times are instants of
/// the engine, so that a replay sees exactly what the engine saw; as dates they mean nothing.
public final class CaptureFileWriter {
    /// 0xA1B23C4D: times in nanoseconds.
    static let magic: UInt32 = 0xA1B2_3C4D
    static let headerLength = 24
    static let recordHeaderLength = 16

    private let file: UnsafeMutablePointer<FILE>
    private let path: String

    /// - Throws: `CaptureError` (`failed`) when the file cannot be made.
    public init(path: String) throws(CaptureError) {
        guard let file = fopen(path, "we") else {
            throw CaptureError(.failed, "cannot write the capture file \(path): \(String(cString: strerror(errno)))")
        }
        self.file = file
        self.path = path
        var header = [UInt8]()
        header.append(native: Self.magic)
        header.append(native: UInt32(2) | UInt32(4) << 16)
        header.append(native: 0)
        header.append(native: 0)
        header.append(native: 65_535 + UInt32(Frame.ethernetHeaderLength))
        header.append(native: 1)
        put(header)
    }

    deinit { fclose(file) }

    public func write(_ frame: UnsafeRawBufferPointer, at now: Instant) { write([], frame, at: now) }

    /// A packet without a link header, behind one that is made up: all zeros but the type.
    /// - Parameter payload: the rest of the packet, where it lies elsewhere.
    public func write(packet: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, at now: Instant) {
        let isIPv4 = packet.first.map { $0 >> 4 == 4 } ?? true
        write([UInt8](repeating: 0, count: 12) + (isIPv4 ? [0x08, 0x00] : [0x86, 0xDD]), packet, payload, at: now)
    }

    private func write(
        _ prefix: [UInt8], _ bytes: UnsafeRawBufferPointer, _ rest: UnsafeRawBufferPointer = .empty,
        at now: Instant
    ) {
        let length = UInt32(prefix.count + bytes.count + rest.count)
        var header = [UInt8]()
        header.append(native: UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000_000))
        header.append(native: UInt32(truncatingIfNeeded: now.nanoseconds % 1_000_000_000))
        header.append(native: length)
        header.append(native: length)
        put(header + prefix)
        _ = fwrite(bytes.baseAddress, 1, bytes.count, file)
        if !rest.isEmpty { _ = fwrite(rest.baseAddress, 1, rest.count, file) }
    }

    private func put(_ bytes: [UInt8]) { _ = fwrite(bytes, 1, bytes.count, file) }

    /// Hands what was written to the kernel.
    /// - Throws: `CaptureError` (`failed`) when the file is not whole, as on a full disk.
    public func flush() throws(CaptureError) {
        guard fflush(file) == 0, ferror(file) == 0 else {
            throw CaptureError(.failed, "the capture file \(path) is not whole: \(String(cString: strerror(errno)))")
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(native value: UInt32) {
        Swift.withUnsafeBytes(of: value) { append(contentsOf: $0) }
    }
}
