/// Hexadecimal text.
public enum Hex {
    /// The value of an ASCII hexadecimal digit in either case.
    static func value(of byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// The lower-case digit of a value below 16.
    static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }

    /// `bytes` in lower-case hexadecimal.
    public static func encode(_ bytes: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: bytes.count * 2) { text in
            for (index, byte) in bytes.enumerated() {
                text[2 * index] = digit(byte >> 4)
                text[2 * index + 1] = digit(byte & 0xf)
            }
            return bytes.count * 2
        }
    }

    /// The bytes of `text`; nil when it has an odd length or anything but hexadecimal digits.
    public static func decode(_ text: String) -> [UInt8]? { decode(digits: text.utf8) }
    /// The bytes of `text`; nil when it has an odd length or anything but hexadecimal digits.
    public static func decode(_ text: Substring) -> [UInt8]? { decode(digits: text.utf8) }

    // What is public is not generic: a generic function of another module asks for each byte through a table.
    private static func decode(digits: some Collection<UInt8>) -> [UInt8]? {
        digits.withContiguousStorageIfAvailable { decode($0) } ?? Array(digits).withUnsafeBufferPointer { decode($0) }
    }

    private static func decode(_ digits: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard digits.count.isMultiple(of: 2) else { return nil }
        var isRight = true
        let bytes = [UInt8](unsafeUninitializedCapacity: digits.count / 2) { bytes, made in
            while made < digits.count / 2 {
                guard let high = value(of: digits[2 * made]), let low = value(of: digits[2 * made + 1]) else {
                    isRight = false
                    return
                }
                bytes[made] = high << 4 | low
                made += 1
            }
        }
        return isRight ? bytes : nil
    }
}
