import CPcap
import DispatcherCore
import Glibc

/// A capture file of any link type, read through libpcap: pcap and pcapng, in any byte order, times in nanoseconds. `CaptureFileReader`
/// is for the engine's own records, which are Ethernet.
public final class SavedCapture {
    /// Since 1970: what pcap can say, and more, and nothing whose nanoseconds would not fit.
    private static let seconds: ClosedRange<Int64> = 0...8_000_000_000

    private let handle: OpaquePointer
    private let name: String
    /// Frames that were read.
    public private(set) var count = 0
    /// Whether the file ends inside a frame, as when its writer was killed or its disk was full. What came before is good.
    public private(set) var isCut = false

    /// - Parameter path: `-` is standard input.
    /// - Throws: `CaptureError` (`failed`) when it is not there, may not be read, or is no capture file.
    public init(path: String) throws(CaptureError) {
        var reason = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        guard let handle = pcap_open_offline_with_tstamp_precision(path, UInt32(PCAP_TSTAMP_PRECISION_NANO), &reason) else {
            let why = String(nulTerminated: reason)
            let advice =
                why.contains("file format") || why.contains("truncated") ? "; it must be a capture of tcpdump, tshark or the like" : ""
            throw CaptureError(.failed, "cannot read the capture file \(path): \(why)\(advice)")
        }
        self.handle = handle
        name = path
    }

    deinit { pcap_close(handle) }

    /// libpcap's number of the link type (DLT): what stands before the packets.
    public var dataLink: Int32 { pcap_datalink(handle) }

    /// The link type in words.
    public var dataLinkName: String {
        pcap_datalink_val_to_description_or_dlt(dataLink).map { String(cString: $0) } ?? "type \(dataLink)"
    }

    /// The next frame; nil at the end, or where the file is cut. Its time is since 1970.
    /// - Throws: `CaptureError` (`failed`) when the file is damaged.
    public func next() throws(CaptureError) -> RecordedFrame? {
        var header: UnsafeMutablePointer<pcap_pkthdr>?
        var bytes: UnsafePointer<UInt8>?
        switch pcap_next_ex(handle, &header, &bytes) {
        case 1:
            guard let header = header?.pointee, let bytes else { return nil }
            guard Self.seconds.contains(Int64(header.ts.tv_sec)) else {
                throw CaptureError(
                    .failed, "the capture file \(name) is damaged after \(count) frames: a time of \(header.ts.tv_sec) s since 1970")
            }
            count += 1
            // With this precision the field of microseconds holds nanoseconds.
            let at = Instant(nanoseconds: Int64(header.ts.tv_sec) * 1_000_000_000 + Int64(header.ts.tv_usec))
            var frame = RecordedFrame(at: at, bytes: Array(UnsafeBufferPointer(start: bytes, count: Int(header.caplen))))
            frame.originalLength = Int(header.len)
            return frame
        case PCAP_ERROR_BREAK: return nil
        default:
            let why = String(cString: pcap_geterr(handle))
            guard !why.contains("truncated") else {
                isCut = true
                return nil
            }
            throw CaptureError(.failed, "the capture file \(name) is damaged after \(count) frames: \(why)")
        }
    }
}
