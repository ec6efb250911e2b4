import PushProtocol
import Testing

@Suite("Push: UAToken")
struct UATokenTests {
    private let keys = TokenKeys()
    private let token = UAToken(device: DeviceID(), issued: 1_000_000)

    private func read(_ text: String, keys: TokenKeys? = nil, now: Int64 = 2_000_000, lifetime: Int64? = nil) throws -> UAToken {
        try UAToken(text, keys: keys ?? self.keys, now: now, lifetime: lifetime)
    }

    private func expectRefusal(_ refusal: TokenRefusal, _ body: () throws -> UAToken, sourceLocation: SourceLocation = #_sourceLocation) {
        let thrown = #expect(throws: TokenRefusal.self, sourceLocation: sourceLocation) { try body() }
        #expect(thrown == refusal, sourceLocation: sourceLocation)
    }

    @Test("A token says again what was sealed, in under 128 characters, differently each time")
    func roundTrip() throws {
        let text = token.sealed(with: keys)
        #expect(try read(text) == token)
        #expect(text.count < 128)
        #expect(token.sealed(with: keys) != text)
    }

    @Test("No bit of a token can be changed")
    func forged() throws {
        let bytes = try #require(Base64.decodeURL(token.sealed(with: keys)))
        for bit in 0..<bytes.count * 8 {
            var changed = bytes
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: TokenRefusal.self) { try read(Base64.encodeURL(changed)) }
        }
    }

    @Test("Truncated, lengthened, padded and non-canonical texts are malformed")
    func malformed() {
        let text = token.sealed(with: keys)
        for bad in [
            "", String(text.dropLast()), String(text.dropLast(4)), text + "A", text + "AAAA", text + "=", text + "\n",
            " " + text.dropFirst(),
        ] {
            expectRefusal(.malformed) { try read(bad) }
        }
    }

    @Test("A key that another installation has does not verify")
    func foreignKey() {
        expectRefusal(.unknownKey) { try read(token.sealed(with: TokenKeys())) }
    }

    @Test("A rotated-out key verifies until it is removed; new tokens take the new key")
    func rotation() throws {
        let old = keys.keys[0]
        let new = TokenKey()
        let both = try #require(TokenKeys([new, old]))
        let oldText = token.sealed(with: keys)
        #expect(try read(oldText, keys: both) == token)
        let newText = token.sealed(with: both)
        let onlyNew = try #require(TokenKeys([new]))
        #expect(try read(newText, keys: onlyNew) == token)
        expectRefusal(.unknownKey) { try read(oldText, keys: onlyNew) }
    }

    @Test("A lifetime is enforced; the future is refused beyond what clocks differ")
    func lifetime() throws {
        let text = token.sealed(with: keys)
        #expect(try read(text, now: 1_600_000, lifetime: 600_000) == token)
        expectRefusal(.expired) { try read(text, now: 1_600_001, lifetime: 600_000) }
        expectRefusal(.expired) { try read(text, now: 699_999, lifetime: 600_000) }
        #expect(try read(text, now: .max) == token)
    }
}

@Suite("Push: token keys")
struct TokenKeysTests {
    @Test("The text of a key file says the same keys again")
    func roundTrip() throws {
        let keys = try #require(TokenKeys([TokenKey(), TokenKey()]))
        #expect(try TokenKeys(fileText: keys.fileText) == keys)
    }

    @Test("Comments and blank lines are skipped")
    func comments() throws {
        let key = TokenKey()
        let line = try #require(TokenKeys([key])).fileText.split(separator: "\n")[1]
        #expect(try TokenKeys(fileText: "\n# old\n  \(line)  # mine\n\n").keys == [key])
    }

    @Test(
        "Bad files are refused",
        arguments: ["", "# nothing\n", "abc\n", String(repeating: "0", count: 62), String(repeating: "g", count: 64)])
    func bad(text: String) {
        #expect(throws: TokenKeyFileError.self) { try TokenKeys(fileText: text) }
    }
}

@Suite("Push: AppToken, messageId, device id")
struct IdentifierTests {
    @Test("An AppToken is the SHA-256 of WAToken and key")
    func appToken() {
        // SHA-256 of "abc" (FIPS 180-4).
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        #expect(AppToken(watoken: "a", pbkbase64: "bc").description == expected)
        #expect(AppToken(watoken: "ab", pbkbase64: "c") == AppToken(expected))
    }

    @Test("AppTokens are 64 lower-case hexadecimal digits")
    func appTokenText() {
        let text = String(repeating: "0a", count: 32)
        #expect(AppToken(text)?.description == text)
        for bad in ["", String(text.dropLast()), text + "0", text.uppercased(), String(repeating: "g", count: 64)] {
            #expect(AppToken(bad) == nil)
        }
    }

    @Test("A messageId says store and sequence number")
    func messageID() {
        let id = MessageID(store: 0xdead_beef, sequence: 0x1234)
        #expect(id.description == "deadbeef0000000000001234")
        #expect(MessageID(id.description) == id)
        #expect(MessageID("deadbeef") == nil)
        #expect(MessageID("") == nil)
        #expect(MessageID(String(repeating: "x", count: 24)) == nil)
    }

    @Test("A device id has 16 bytes and does not show them in a log")
    func deviceID() throws {
        let id = DeviceID()
        #expect(DeviceID(bytes: id.bytes) == id)
        #expect(DeviceID(bytes: id.bytes.lazy.map { $0 }) == id, "bytes that do not lie in one piece")
        #expect(DeviceID(bytes: id.bytes.dropLast()) == nil)
        #expect(id.description.count == 8)
        #expect(DeviceID() != id)
    }
}
