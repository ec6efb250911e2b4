/// A JSON number as it was written.
public struct JSONNumber: Hashable, Sendable {
    /// The characters of the number, valid by RFC 8259, section 6.
    public let lexeme: String

    /// The number `value`.
    public init(_ value: Int64) {
        lexeme = String(value)
    }

    /// A number that the parser has checked.
    init(checked lexeme: String) {
        self.lexeme = lexeme
    }

    /// What the number is as a whole number.
    public enum Whole: Hashable, Sendable {
        /// It has a fraction.
        case fraction
        case exactly(Int64)
        /// It is whole, and greater than `Int64.max`.
        case tooGreat
        /// It is whole, and less than `Int64.min`.
        case tooSmall
    }

    /// The value without a detour through floating point: `60.0` and `6e1` are 60, `0.5` is a fraction, `1e400` is too great.
    public var whole: Whole {
        var digits: [UInt8] = []
        var pointAt: Int?
        var exponent = 0
        var exponentIsNegative = false
        var isNegative = false
        var inExponent = false
        for byte in lexeme.utf8 {
            switch byte {
            case UInt8(ascii: "-"): if inExponent { exponentIsNegative = true } else { isNegative = true }
            case UInt8(ascii: "."): pointAt = digits.count
            case UInt8(ascii: "e"), UInt8(ascii: "E"): inExponent = true
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                let digit = Int(byte - UInt8(ascii: "0"))
                if inExponent { exponent = min(exponent * 10 + digit, 1_000_000) } else { digits.append(UInt8(digit)) }
            default: break
            }
        }
        guard let firstNonZero = digits.firstIndex(where: { $0 != 0 }), let lastNonZero = digits.lastIndex(where: { $0 != 0 }) else {
            return .exactly(0)
        }
        // The value is 0.d0d1d2... times ten to the power of `scale`.
        let scale = (pointAt ?? digits.count) + (exponentIsNegative ? -exponent : exponent)
        guard lastNonZero < scale else { return .fraction }
        guard scale - firstNonZero <= 19 else { return isNegative ? .tooSmall : .tooGreat }
        var magnitude: UInt64 = 0
        for index in firstNonZero..<scale {
            magnitude = magnitude * 10 + UInt64(index < digits.count ? digits[index] : 0)
        }
        if isNegative {
            return magnitude <= UInt64(Int64.max) ? .exactly(-Int64(magnitude)) : magnitude == 1 << 63 ? .exactly(.min) : .tooSmall
        }
        return magnitude <= UInt64(Int64.max) ? .exactly(Int64(magnitude)) : .tooGreat
    }
}
