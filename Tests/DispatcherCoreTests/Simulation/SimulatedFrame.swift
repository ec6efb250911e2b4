import DispatcherCore
import Glibc

/// A frame on its way, and what the network did to it.
struct SimulatedFrame {
    enum Damage {
        case none
        /// A bit was flipped and no checksum repaired: its receiver must drop it.
        case corrupted
        /// A bit was flipped and the checksums were made good again: nobody can tell.
        case tampered
    }

    var bytes: [UInt8]
    var damage = Damage.none

    /// Where TCP begins in a packet that nothing lies before it in; nil = another packet.
    var tcpOffset: Int? { Self.tcpOffset(bytes) }

    static func tcpOffset(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 54 else { return nil }
        if bytes[12] == 8, bytes[13] == 0, bytes[14] == 0x45, bytes[23] == 6 { return 34 }
        return bytes.count >= 74 && bytes[12] == 0x86 && bytes[13] == 0xDD && bytes[14] >> 4 == 6 && bytes[20] == 6 ? 54 : nil
    }
}

/// Frames written as a capture file (pcap, nanoseconds, Ethernet), so that a failed run can be read with any tool and two runs compared.
struct CaptureFile {
    private(set) var bytes: [UInt8] = []
    private(set) var count = 0
    /// Frames are kept up to this size of the file; later ones are only counted.
    var limit = 64 << 20
    /// FNV-1a over what is kept.
    var digest: UInt64 {
        bytes.withUnsafeBufferPointer { all in
            var hash: UInt64 = 0xCBF2_9CE4_8422_2325
            for index in 0..<all.count { hash = (hash ^ UInt64(all[index])) &* 0x100_0000_01B3 }
            return hash
        }
    }

    init() {
        for word: UInt32 in [0xA1B2_3C4D, 0x0004_0002, 0, 0, 262_144, 1] { put(word) }
    }

    /// Little-endian, as the magic number says.
    private mutating func put(_ word: UInt32) {
        for shift in stride(from: UInt32(0), to: 32, by: 8) { bytes.append(UInt8(word >> shift & 255)) }
    }

    mutating func append(_ frame: [UInt8], at time: Instant) {
        count += 1
        guard bytes.count < limit else { return }
        put(UInt32(time.nanoseconds / 1_000_000_000))
        put(UInt32(time.nanoseconds % 1_000_000_000))
        put(UInt32(frame.count))
        put(UInt32(frame.count))
        bytes += frame
    }
}

extension CaptureFile {
    /// Writes it into the folder that `SLUICE_CAPTURES` names; nil when there is none.
    static func save(_ capture: CaptureFile, seed: UInt64) -> String? {
        guard let folder = getenv("SLUICE_CAPTURES").map({ String(cString: $0) }) else { return nil }
        let path = "\(folder)/\(seed)-\(String(capture.digest, radix: 16)).pcap"
        guard let file = fopen(path, "wb") else { return nil }
        fwrite(capture.bytes, 1, capture.bytes.count, file)
        fclose(file)
        return path
    }
}
