/// Base64 (RFC 4648): the standard alphabet for keys and signatures, the URL alphabet for tokens.
public enum Base64 {
    private static let standardAlphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let urlAlphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// What a character is in the tables below when it is none of the alphabet.
    private static let (foreign, blank, padding) = (0xff as UInt8, 0xfe as UInt8, 0xfd as UInt8)

    private static let standardValues = values(of: standardAlphabet, blanks: "\n\r\t ", padding: "=")
    private static let urlValues = values(of: urlAlphabet)

    private static func values(of alphabet: [UInt8], blanks: String = "", padding: String = "") -> [UInt8] {
        var values = [UInt8](repeating: foreign, count: 256)
        for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        for character in blanks.utf8 { values[Int(character)] = blank }
        for character in padding.utf8 { values[Int(character)] = Self.padding }
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
    public static func decode(_ text: String) -> [UInt8]? { decode(text.utf8, values: standardValues) }
    /// As of a whole text.
    public static func decode(_ text: Substring) -> [UInt8]? { decode(text.utf8, values: standardValues) }

    /// The bytes of a text in the URL alphabet in its only canonical form: no padding, no white space, left-over bits zero.
    public static func decodeURL(_ text: String) -> [UInt8]? { decode(text.utf8, values: urlValues) }

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

    // What is public is not generic: a generic function of another module asks for each byte through a table.
    private static func decode(_ text: some Collection<UInt8>, values: [UInt8]) -> [UInt8]? {
        text.withContiguousStorageIfAvailable { decode($0, values) } ?? Array(text).withUnsafeBufferPointer { decode($0, values) }
    }

    private static func decode(_ text: UnsafeBufferPointer<UInt8>, _ values: [UInt8]) -> [UInt8]? {
        var isRight = true
        let bytes = [UInt8](unsafeUninitializedCapacity: text.count / 4 * 3 + 3) { bytes, made in
            var bits: UInt32 = 0
            var (count, padded) = (0, 0)
            for character in text {
                let value = values[Int(character)]
                if value < 64, padded == 0 {
                    bits = bits << 6 | UInt32(value)
                    count += 1
                    guard count.isMultiple(of: 4) else { continue }
                    bytes[made] = UInt8(truncatingIfNeeded: bits >> 16)
                    bytes[made + 1] = UInt8(truncatingIfNeeded: bits >> 8)
                    bytes[made + 2] = UInt8(truncatingIfNeeded: bits)
                    made += 3
                } else if value == padding {
                    padded += 1
                } else if value != blank {
                    isRight = false
                    return
                }
            }
            isRight = padded == 0 || (padded <= 2 && (count + padded).isMultiple(of: 4))
            // Of two characters there are 12 bits, of three 18; one alone is no byte.
            let over = count % 4
            guard isRight, over != 1 else { return isRight = false }
            guard over != 0 else { return }
            bits <<= UInt32(24 - 6 * over)
            isRight = isRight && bits & (over == 2 ? 0xffff : 0xff) == 0
            for place in 0..<over - 1 {
                bytes[made] = UInt8(truncatingIfNeeded: bits >> UInt32(16 - 8 * place))
                made += 1
            }
        }
        return isRight ? bytes : nil
    }
}
