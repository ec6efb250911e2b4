import Testing

@testable import DispatcherCore

@Suite struct HTTPBytesTests {
    private static let alphanumeric = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    private static let path = alphanumeric + "-._~!$&'()*+,;=:@/%[]{}|^`"

    @Test func classesAreTheGrammars() {
        let classes: [(HTTPBytes.Class, String)] = [
            (HTTPBytes.token, Self.alphanumeric + "!#$%&'*+-.^_`|~"),
            (HTTPBytes.path, Self.path),
            (HTTPBytes.query, Self.path + "?\\"),
            (HTTPBytes.registeredName, Self.alphanumeric + "-._~!$&'()*+,;=%"),
        ]
        for (members, text) in classes {
            let expected = Set(text.utf8)
            for byte in UInt8.min...UInt8.max { #expect(members.contains(byte) == expected.contains(byte), "\(byte)") }
        }
    }

    @Test func digits() {
        for byte in UInt8.min...UInt8.max {
            let character = Character(Unicode.Scalar(byte))
            #expect(HTTPBytes.isDigit(byte) == ("0"..."9" ~= character))
            #expect(HTTPBytes.hexValue(byte) == (byte < 128 ? UInt8(String(character), radix: 16) ?? 255 : 255), "\(byte)")
        }
    }

    /// Every byte at every position of a word, before and after bytes that could disturb the search.
    @Test(arguments: [0x20, 0x80, 0xff, 0x7e] as [UInt8])
    func nextControlFindsTheFirst(filler: UInt8) {
        for byte in UInt8.min...UInt8.max {
            for position in 0..<19 {
                var bytes = [UInt8](repeating: filler, count: 19)
                bytes[position] = byte
                let isControl = byte < 0x20 || byte == 0x7f
                #expect(bytes.withUnsafeBytes { HTTPBytes.nextControl($0, from: 0) } == (isControl ? position : 19))
                #expect(bytes.withUnsafeBytes { HTTPBytes.nextControl($0, from: position) } == (isControl ? position : 19))
                #expect(bytes.withUnsafeBytes { HTTPBytes.nextControl($0, from: position + 1) } == 19)
            }
        }
        #expect(HTTPBytes.nextControl(UnsafeRawBufferPointer(start: nil, count: 0), from: 0) == 0)
    }

    @Test func decimalIsDigitsOnly() {
        func value(_ text: String) -> UInt64? { [UInt8](latin1: text).withUnsafeBytes { HTTPBytes.decimal($0, 0, $0.count) } }
        #expect(value("0") == 0)
        #expect(value("010") == 10)
        #expect(value("9223372036854775807") == 9_223_372_036_854_775_807)
        for text in [
            "", "-0", "+5", "5 ", " 5", "5.0", "5e0", "0x5", "5\u{b2}", "9223372036854775808", "9999999999999999999",
            "00000000000000000005",
        ] {
            #expect(value(text) == nil, "\(text)")
        }
    }

    @Test func equalIgnoresTheCaseOfLettersOnly() {
        func equal(_ text: String, _ constant: StaticString) -> Bool {
            [UInt8](latin1: text).withUnsafeBytes { HTTPBytes.equal($0, 0, $0.count, constant) }
        }
        #expect(equal("ChunKed", "chunked"))
        #expect(!equal("chunked ", "chunked"))
        #expect(!equal("chunke", "chunked"))
        // "@" and "`", "[" and "{" differ by the bit that tells the cases of letters apart.
        #expect(!equal("\u{0}", " ") && !equal("@", "`") && !equal("[", "{") && !equal("\r", "-"))
        #expect(!equal("\u{cb}", "k"))
    }
}
