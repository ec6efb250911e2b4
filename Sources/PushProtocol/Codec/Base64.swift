/// Base64 (RFC 4648): the standard alphabet for keys and signatures, the URL alphabet for tokens.
public enum Base64 {
    private static let standardAlphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let urlAlphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    private static let standardValues = values(of: standardAlphabet)
    private static let urlValues = values(of: urlAlphabet)

    private static func values(of alphabet: [UInt8]) -> [UInt8] {
        var values = [UInt8](repeating: 0xff, count: 256)
        for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }

    /// `bytes` in the standard alphabet, padded, in one line.
    public static func encode(_ bytes: [UInt8]) -> String {
        encode(bytes, alphabet: standardAlphabet, padded: true)
    }

    /// `bytes` in the URL alphabet without padding.
    public static func encodeURL(_ bytes: [UInt8]) -> String {
        encode(bytes, alphabet: urlAlphabet, padded: false)
    }

    /// The bytes of a text in the standard alphabet. Line ends, blanks and tabs are skipped; padding is optional but must be right
    /// when it is there; left-over bits must be zero. Nil for anything else.
    public static func decode(_ text: String) -> [UInt8]? { decode(spaced: text.utf8) }
    /// As of a whole text.
    public static func decode(_ text: Substring) -> [UInt8]? { decode(spaced: text.utf8) }

    /// The bytes of a text in the URL alphabet in its only canonical form: no padding, no white space, left-over bits zero.
    public static func decodeURL(_ text: String) -> [UInt8]? { decode(Array(text.utf8), values: urlValues) }

    // What is public is not generic: a generic function of another module asks for each byte through a table.
    private static func decode(spaced text: some Collection<UInt8>) -> [UInt8]? {
        var characters: [UInt8] = []
        characters.reserveCapacity(text.count)
        var padding = 0
        for byte in text {
            switch byte {
            case 0x0a, 0x0d, 0x20, 0x09: continue
            case UInt8(ascii: "="): padding += 1
            default:
                guard padding == 0 else { return nil }
                characters.append(byte)
            }
        }
        guard padding == 0 || (padding <= 2 && (characters.count + padding).isMultiple(of: 4)) else { return nil }
        return decode(characters, values: standardValues)
    }

    private static func encode(_ bytes: [UInt8], alphabet: [UInt8], padded: Bool) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group: UInt32 = 0
            for index in 0..<3 { group = group << 8 | (index < count ? UInt32(bytes[start + index]) : 0) }
            for index in 0...count { text.append(alphabet[Int(group >> UInt32(18 - 6 * index) & 63)]) }
            if padded { text.append(contentsOf: repeatElement(UInt8(ascii: "="), count: 3 - count)) }
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func decode(_ characters: [UInt8], values: [UInt8]) -> [UInt8]? {
        guard characters.count % 4 != 1 else { return nil }
        var isRight = true
        let bytes = [UInt8](unsafeUninitializedCapacity: characters.count * 3 / 4) { bytes, made in
            var bits: UInt32 = 0
            var count = 0
            for character in characters {
                let value = values[Int(character)]
                guard value != 0xff else {
                    isRight = false
                    return
                }
                bits = bits << 6 | UInt32(value)
                count += 6
                if count >= 8 {
                    count -= 8
                    bytes[made] = UInt8(truncatingIfNeeded: bits >> UInt32(count))
                    made += 1
                    bits &= (1 << UInt32(count)) - 1
                }
            }
            isRight = bits == 0
        }
        return isRight ? bytes : nil
    }
}
