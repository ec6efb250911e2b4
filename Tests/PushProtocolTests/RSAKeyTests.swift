import PushProtocol
import Testing

@Suite("Push: RSA keys and signatures")
struct RSAKeyTests {
    private static let key = try! RSAPrivateKey.generate(bits: 2048)
    private var key: RSAPrivateKey { Self.key }

    private func publicKey() throws -> RSAPublicKey { try RSAPublicKey(pbkbase64: key.pbkbase64) }

    @Test("Signatures verify in hexadecimal of either case and in base64, with and without line ends and padding")
    func encodings() throws {
        let signature = key.sign(Array("Grüße".utf8))
        let base64 = Base64.encode(signature)
        let broken = base64.prefix(64) + "\r\n" + base64.dropFirst(64) + "\n"
        let texts = [Hex.encode(signature), Hex.encode(signature).uppercased(), base64, base64.filter { $0 != "=" }, String(broken)]
        for text in texts { #expect(try publicKey().verifies(signatureText: text, of: "Grüße")) }
    }

    @Test("Bad signatures do not verify")
    func bad() throws {
        let key = try publicKey()
        var signature = self.key.sign(Array("message".utf8))
        let text = Hex.encode(signature)
        #expect(!key.verifies(signatureText: text, of: "Message"))
        #expect(!key.verifies(signatureText: String(text.dropLast(2)), of: "message"))
        #expect(!key.verifies(signatureText: text + "00", of: "message"))
        #expect(!key.verifies(signatureText: "nonsense", of: "message"))
        #expect(!key.verifies(signatureText: "", of: "message"))
        signature[17] ^= 1
        #expect(!key.verifies(signature, of: Array("message".utf8)))
        #expect(!key.verifies([UInt8](repeating: 0, count: 256), of: Array("message".utf8)))
        let other = try RSAPrivateKey.generate(bits: 2048)
        #expect(!key.verifies(other.sign(Array("message".utf8)), of: Array("message".utf8)))
    }

    @Test("Keys come as base64 of PEM or of DER, also with text around the PEM")
    func keyForms() throws {
        let forms = [
            key.pbkbase64, Base64.encode(Array(key.publicPEM.utf8)), Base64.encode(Array(("A key:\n" + key.publicPEM + "end\n").utf8)),
        ]
        let signature = key.sign([1, 2, 3])
        for form in forms {
            let parsed = try RSAPublicKey(pbkbase64: form)
            #expect(parsed.bits == 2048)
            #expect(parsed.verifies(signature, of: [1, 2, 3]))
        }
    }

    @Test("PKCS#1 keys are refused, as DER and as PEM")
    func pkcs1() throws {
        // A SubjectPublicKeyInfo of a 2048-bit key is a PKCS#1 key behind 24 bytes of algorithm.
        let pkcs1 = Array(key.publicDER.dropFirst(24))
        let pem = "-----BEGIN RSA PUBLIC KEY-----\n\(Base64.encode(pkcs1))\n-----END RSA PUBLIC KEY-----\n"
        for form in [Base64.encode(pkcs1), Base64.encode(Array(pem.utf8))] {
            let refusal = #expect(throws: PublicKeyRefusal.self) { try RSAPublicKey(pbkbase64: form) }
            #expect(refusal == .notAKey)
        }
    }

    @Test("What is no public key is refused")
    func notAKey() throws {
        let texts = [
            "", "AAAA", "not base64!", Base64.encode(Array(key.pem.utf8)), Base64.encode(key.publicDER + [0]),
            String(key.pbkbase64.dropLast(8)),
        ]
        for text in texts { #expect(throws: PublicKeyRefusal.self) { try RSAPublicKey(pbkbase64: text) } }
    }

    @Test("Another algorithm is refused")
    func notRSA() throws {
        // An Ed25519 SubjectPublicKeyInfo (RFC 8410, section 10.1).
        let refusal = #expect(throws: PublicKeyRefusal.self) {
            try RSAPublicKey(pbkbase64: "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=")
        }
        #expect(refusal == .notRSA)
    }

    @Test("Sizes outside of the permitted ones are refused, and can be permitted")
    func sizes() throws {
        let small = try RSAPrivateKey.generate(bits: 1024)
        let refusal = #expect(throws: PublicKeyRefusal.self) { try RSAPublicKey(pbkbase64: small.pbkbase64) }
        #expect(refusal == .bits(1024))
        #expect(try RSAPublicKey(pbkbase64: small.pbkbase64, permittedBits: 1024...8192).bits == 1024)
        #expect(throws: PrivateKeyError.self) { try RSAPrivateKey.generate(bits: 512) }
    }

    @Test("An even exponent, 1, or one longer than 64 bits is refused")
    func exponents() throws {
        let der = key.publicDER
        // The last bytes of the DER are the exponent 65537: 02 03 01 00 01.
        #expect(der.suffix(5) == [2, 3, 1, 0, 1])
        for exponent in [[1, 0, 0], [0, 0, 1]] as [[UInt8]] {
            #expect(throws: PublicKeyRefusal.self) { try RSAPublicKey(der: der.dropLast(3) + exponent) }
        }
    }

    @Test("A private key in PEM says the same key again")
    func privatePEM() throws {
        let read = try RSAPrivateKey(pem: key.pem)
        #expect(read.publicDER == key.publicDER)
        #expect(throws: PrivateKeyError.self) { try RSAPrivateKey(pem: key.publicPEM) }
        #expect(throws: PrivateKeyError.self) { try RSAPrivateKey(pem: "") }
    }
}
