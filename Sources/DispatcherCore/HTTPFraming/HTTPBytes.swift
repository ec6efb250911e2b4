/// Byte classes and searches for HTTP syntax. Everything here works on bytes: to Swift's `Character`, CRLF is one
/// character and Arabic digits are digits.
enum HTTPBytes {
    static let tab: UInt8 = 0x09
    static let lineFeed: UInt8 = 0x0a
    static let carriageReturn: UInt8 = 0x0d
    static let space: UInt8 = 0x20
    static let quote: UInt8 = 0x22
    static let hash: UInt8 = 0x23
    static let percent: UInt8 = 0x25
    static let asterisk: UInt8 = 0x2a
    static let comma: UInt8 = 0x2c
    static let slash: UInt8 = 0x2f
    static let zero: UInt8 = 0x30
    static let colon: UInt8 = 0x3a
    static let semicolon: UInt8 = 0x3b
    static let equals: UInt8 = 0x3d
    static let question: UInt8 = 0x3f
    static let openBracket: UInt8 = 0x5b
    static let backslash: UInt8 = 0x5c
    static let closeBracket: UInt8 = 0x5d
    static let delete: UInt8 = 0x7f

    /// A set of bytes below 128, as two words; bytes from 128 on are never members.
    struct Class {
        let low: UInt64
        let high: UInt64

        /// The members are the bytes of `text`.
        init(_ text: StaticString) {
            var low: UInt64 = 0
            var high: UInt64 = 0
            for index in 0..<text.utf8CodeUnitCount {
                let byte = text.utf8Start[index]
                if byte < 64 { low |= 1 << UInt64(byte) } else if byte < 128 { high |= 1 << UInt64(byte & 63) }
            }
            self.low = low
            self.high = high
        }

        init(low: UInt64, high: UInt64) {
            self.low = low
            self.high = high
        }

        @inline(__always)
        func contains(_ byte: UInt8) -> Bool {
            let word = byte < 64 ? low : high
            return byte < 128 && (word &>> UInt64(byte & 63)) & 1 != 0
        }
    }

    // The words are written out so that they are constants in the code; a test compares them with the grammar.

    /// tchar of RFC 9110 5.6.2.
    static var token: Class { Class(low: 0x03ff_6cfa_0000_0000, high: 0x57ff_ffff_c7ff_fffe) }
    /// What may stand in a path: pchar and "/" of RFC 3986 3.3, and `[ ] { } | ^` and the backtick, which browsers send as they are.
    static var path: Class { Class(low: 0x2fff_fff2_0000_0000, high: 0x7fff_ffff_efff_ffff) }
    /// What may stand in a query: the same, "?", and the backslash.
    static var query: Class { Class(low: 0xafff_fff2_0000_0000, high: 0x7fff_ffff_ffff_ffff) }
    /// What may stand in a registered name: unreserved, sub-delims and "%" of RFC 3986 3.2.2.
    static var registeredName: Class { Class(low: 0x2bff_7ff2_0000_0000, high: 0x47ff_fffe_87ff_fffe) }

    @inline(__always)
    static func isWhitespace(_ byte: UInt8) -> Bool { byte == space || byte == tab }

    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- zero < 10 }

    /// The value of a hexadecimal digit, 0...15, or 255.
    @inline(__always)
    static func hexValue(_ byte: UInt8) -> UInt8 {
        let digit = byte &- zero
        if digit < 10 { return digit }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : 255
    }

    @inline(__always)
    static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    /// The first position from `start` that holds a control byte (below 0x20, HTAB among them, or DEL); `bytes.count` if none does.
    @inline(__always)
    static func nextControl(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        let count = bytes.count
        var index = start
        while index &+ 8 <= count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            // The classic "is a byte less than n" and "is a byte zero": the lowest flag raised is always a true one.
            let below = (word &- 0x2020_2020_2020_2020) & ~word
            let other = word ^ 0x7f7f_7f7f_7f7f_7f7f
            let deleted = (other &- 0x0101_0101_0101_0101) & ~other
            let flags = (below | deleted) & 0x8080_8080_8080_8080
            if flags != 0 { return index &+ flags.trailingZeroBitCount &>> 3 }
            index &+= 8
        }
        while index < count {
            let byte = bytes[index]
            if byte < 0x20 || byte == delete { return index }
            index &+= 1
        }
        return count
    }

    /// Whether `bytes[start..<end]` is `text` but for the case of ASCII letters. `text` is in lower case.
    @inline(__always)
    static func equal(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int, _ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard end &- start == count else { return false }
        let expected = text.utf8Start
        for index in 0..<count where lowercased(bytes[start &+ index]) != expected[index] { return false }
        return true
    }

    /// Whether two runs of bytes are the same but for the case of ASCII letters.
    @inline(__always)
    static func equal(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        guard left.count == right.count else { return false }
        for index in 0..<left.count where lowercased(left[index]) != lowercased(right[index]) { return false }
        return true
    }

    /// The value of 1 to 19 decimal digits, at most 2^63 - 1; nil for anything else. Leading zeros are decimal too.
    @inline(__always)
    static func decimal(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> UInt64? {
        guard end > start, end &- start <= 19 else { return nil }
        var value: UInt64 = 0
        for index in start..<end {
            let digit = bytes[index] &- zero
            guard digit < 10 else { return nil }
            value = value &* 10 &+ UInt64(digit)  // 19 nines are below 2^64
        }
        return value <= UInt64(Int64.max) ? value : nil
    }
}
