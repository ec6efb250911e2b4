import Foundation
import PushProtocol
import Testing

@Suite("Push: base64 and hexadecimal")
struct CodecTests {
    /// RFC 4648, section 10.
    private static let vectors = [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ]

    @Test("The vectors of RFC 4648", arguments: vectors)
    func encodes(plain: String, encoded: String) {
        #expect(Base64.encode(Array(plain.utf8)) == encoded)
        #expect(Base64.decode(encoded) == Array(plain.utf8))
        let unpadded = encoded.filter { $0 != "=" }
        #expect(Base64.encodeURL(Array(plain.utf8)) == unpadded)
        #expect(Base64.decodeURL(unpadded) == Array(plain.utf8))
    }

    @Test("The alphabets differ in two characters")
    func alphabets() {
        #expect(Base64.encode([0xfb, 0xff]) == "+/8=")
        #expect(Base64.encodeURL([0xfb, 0xff]) == "-_8")
        #expect(Base64.decode("-_8=") == nil)
        #expect(Base64.decodeURL("+/8") == nil)
    }

    @Test("Line ends are skipped in the standard alphabet")
    func lineEnds() {
        #expect(Base64.decode("Zm9v\r\nYmFy\n") == Array("foobar".utf8))
        #expect(Base64.decode(" Z\tm 9v\r\nY m E = \n") == Array("fooba".utf8))
    }

    @Test("Bad standard base64 is refused", arguments: ["Z", "Zg=", "Zg===", "Zm9v=", "Zg==Zg==", "=", "Zh==", "Zm9*"])
    func badStandard(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test("Non-canonical base64url is refused", arguments: ["Zg==", "Zh", "Zm9v\n", " Zm9v", "Zm9", "Z", "Zm+v"])
    func badURL(text: String) {
        #expect(Base64.decodeURL(text) == nil)
    }

    @Test("Any bytes, and what comes of one changed character")
    func anyBytes() {
        var generator = SystemRandomNumberGenerator()
        for length in 0..<200 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let text = Base64.encode(bytes)
            #expect(Base64.decode(text) == bytes)
            #expect(Base64.decode(Substring("x" + text).dropFirst()) == bytes)
            #expect(Base64.decodeURL(Base64.encodeURL(bytes)) == bytes)
            #expect(Hex.decode(Hex.encode(bytes)) == bytes)
            guard let place = text.indices.randomElement() else { continue }
            #expect(Base64.decode(text.replacingCharacters(in: place...place, with: "*")) == nil)
            #expect(Base64.decode(text.replacingCharacters(in: place...place, with: "\u{e9}")) == nil)
        }
    }

    @Test("Hexadecimal in either case")
    func hexadecimal() {
        #expect(Hex.encode([0x00, 0xab, 0xff]) == "00abff")
        #expect(Hex.decode("00ABff") == [0x00, 0xab, 0xff])
        #expect(Hex.decode("0") == nil)
        #expect(Hex.decode("0g") == nil)
    }
}
