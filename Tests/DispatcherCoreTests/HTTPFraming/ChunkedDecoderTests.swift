import Testing

@testable import DispatcherCore

@Suite struct ChunkedDecoderTests {
    struct Outcome: Equatable {
        var data: String
        var consumed: Int
        var state: ChunkedDecoder.State
    }

    static func decode(_ pieces: [ArraySlice<UInt8>], limit: UInt64 = 1000) -> Outcome {
        var decoder = ChunkedDecoder(limit: limit)
        var outcome = Outcome(data: "", consumed: 0, state: .more)
        for piece in pieces where outcome.state == .more {
            var memory = Array(piece)
            let result = memory.withUnsafeMutableBytes { decoder.decode($0) }
            outcome.data += Array(memory[..<result.produced]).latin1
            outcome.consumed += result.consumed
            outcome.state = result.state
        }
        precondition(decoder.decodedLength == UInt64(outcome.data.unicodeScalars.count))
        return outcome
    }

    static func decode(_ text: String, limit: UInt64 = 1000) -> Outcome { decode([[UInt8](latin1: text)[...]], limit: limit) }

    @Test func isPlainMemory() {
        #expect(_isPOD(ChunkedDecoder.self))
        #expect(MemoryLayout<ChunkedDecoder>.size <= 48)
    }

    @Test(arguments: [
        ("0\r\n\r\n", "", 0), ("5\r\nhello\r\n0\r\n\r\n", "hello", 0), ("5\r\nhello\r\n000\r\n\r\nGET", "hello", 3),
        ("a\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n", "0123456789x", 0),
        ("A;a\r\n0123456789\r\n0;b=c\r\nT: v\r\nU:\r\n\r\n", "0123456789", 0), ("1 ; a = \"\\\"\\\\ \" ;b\r\nx\r\n0\r\n\r\n", "x", 0),
        ("1\t;a=b;c\r\nx\r\n0\r\n\r\n", "x", 0),
        ("0000000000000001\r\nx\r\n0\r\n\r\n", "x", 0), ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0),
        ("0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n", "", 0),
    ])
    func good(text: String, data: String, left: Int) {
        let outcome = Self.decode(text)
        #expect(outcome == Outcome(data: data, consumed: text.unicodeScalars.count - left, state: .done))
    }

    @Test(arguments: [
        ("\r\n", RequestFault.chunkSize), (" 5\r\n", .chunkSize), ("+5\r\n", .chunkSize), ("0x5\r\n", .chunkSize), ("5_0\r\n", .chunkSize),
        ("5.\r\n", .chunkSize),
        ("g\r\n", .chunkSize), ("\u{b2}\r\n", .chunkSize), ("5\n", .chunkEnd), ("5\rX", .chunkEnd), ("5\0", .chunkSize),
        ("5 \r\n", .chunkExtension), ("5 5\r\n", .chunkExtension),
        ("5;\r\n", .chunkExtension), ("5; \r\n", .chunkExtension), ("5;=a\r\n", .chunkExtension), ("5;a=\r\n", .chunkExtension),
        ("5;a \r\n", .chunkExtension),
        ("5;a= \r\n", .chunkExtension), ("5;a=b \r\n", .chunkExtension), ("5;a=\"b\" \r\n", .chunkExtension),
        ("5;a=\"b\"c\r\n", .chunkExtension), ("5;a=\"\r\n", .chunkExtension),
        ("5;a=\"\\\r\n", .chunkExtension), ("5;a\n", .chunkExtension), ("5;\n", .chunkExtension), ("5;a=\"\n", .chunkExtension),
        ("5;a b\r\n", .chunkExtension),
        ("5;a=b=c\r\n", .chunkExtension), ("5;a=\u{e9}\r\n", .chunkExtension), ("5;;a\r\n", .chunkExtension), ("5;a\rX", .chunkEnd),
        ("5;a=\"\u{7f}\"", .chunkExtension),
        ("5;a=\"\\\u{1}\"", .chunkExtension), ("1\r\nxX", .chunkEnd), ("1\r\nx\n", .chunkEnd), ("1\r\nx\rX", .chunkEnd),
        ("1\r\nx\r\n\r\n", .chunkSize), ("0\r\n ", .chunkTrailer),
        ("0\r\n\n", .chunkTrailer), ("0\r\n\rX", .chunkEnd), ("0\r\n:", .chunkTrailer), ("0\r\nA ", .chunkTrailer),
        ("0\r\nA\r", .chunkTrailer), ("0\r\nA:b\n", .chunkTrailer),
        ("0\r\nA:b\rX", .chunkTrailer), ("0\r\nA:\0", .chunkTrailer), ("0\r\nA:b\r\n c", .chunkTrailer), ("0\r\nA:\u{7f}", .chunkTrailer),
        ("00000000000000001", .chunkLineTooLong),
        ("8000000000000000", .chunkSize), ("ffffffffffffffff", .chunkSize),
    ])
    func bad(text: String, fault: RequestFault) {
        let outcome = Self.decode(text)
        #expect(outcome.state == .bad(fault), "\(text)")
        // As soon as certain, and it stays so.
        for count in 0..<text.unicodeScalars.count where count < outcome.consumed {
            #expect(Self.decode(String(text.unicodeScalars.prefix(count))).state == .more)
        }
        var decoder = ChunkedDecoder(limit: 10)
        for piece in [text, "0\r\n\r\n", ""] {
            var memory = [UInt8](latin1: piece)
            #expect(memory.withUnsafeMutableBytes { decoder.decode($0) }.state == .bad(fault))
        }
    }

    @Test func theLimitIsExact() {
        #expect(Self.decode("5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n", limit: 10).state == .done)
        #expect(Self.decode("5\r\nhello\r\n6\r\n", limit: 10) == Outcome(data: "hello", consumed: 13, state: .tooBig))
        #expect(Self.decode("7fffffffffffffff\r\n", limit: 10).state == .tooBig)
        #expect(Self.decode("7fffffffffffffff\r\n", limit: .max).state == .more)
        var decoder = ChunkedDecoder(limit: 1)
        for piece in ["2\r\n", "ab\r\n0\r\n\r\n"] {
            var memory = [UInt8](latin1: piece)
            let result = memory.withUnsafeMutableBytes { decoder.decode($0) }
            #expect(result.state == .tooBig && result.produced == 0)
        }
    }

    @Test func extensionsAndTrailersAreBounded() {
        let long = String(repeating: "a", count: 9000)
        #expect(Self.decode("1;\(long)").state == .bad(.chunkLineTooLong))
        #expect(Self.decode(String(repeating: "1;a=b\r\nx\r\n", count: 3000), limit: 10_000).state == .bad(.chunkLineTooLong))
        #expect(Self.decode("0\r\nA: \(long)").state == .bad(.trailerTooLong))
        #expect(Self.decode("0\r\n" + String(repeating: "A: b\r\n", count: 2000)).state == .bad(.trailerTooLong))
    }

    /// Encodes random data in random chunks, cuts it at random, and gets the data back.
    @Test func decodesWhatWasEncoded() {
        var random = FramingRandom(seed: 2)
        for _ in 0..<300 {
            let (encoded, data) = Self.encoded(&random)
            let rest = random.bytes(Int.random(in: 0...5, using: &random))
            let outcome = Self.decode(random.pieces(of: encoded + rest), limit: UInt64(data.count))
            #expect(outcome == Outcome(data: data.latin1, consumed: encoded.count, state: .done))
            if !data.isEmpty { #expect(Self.decode([encoded[...]], limit: UInt64(data.count - 1)).state == .tooBig) }
        }
    }

    static func encoded(_ random: inout FramingRandom) -> (encoded: [UInt8], data: [UInt8]) {
        var encoded: [UInt8] = []
        var data: [UInt8] = []
        for _ in 0..<Int.random(in: 0...6, using: &random) {
            let chunk = random.bytes(Int.random(in: 1...40, using: &random))
            let size = String(chunk.count, radix: 16, uppercase: Bool.random(using: &random))
            let suffix = ["", ";a", " ; b=\"\\;\"", ";c=d;e"].randomElement(using: &random)!
            encoded += [UInt8](latin1: "\(size)\(suffix)\r\n") + chunk + [13, 10]
            data += chunk
        }
        encoded += [UInt8](latin1: ["0\r\n\r\n", "000;x\r\n\r\n", "0\r\nA: b\r\n\r\n"].randomElement(using: &random)!)
        return (encoded, data)
    }
}
