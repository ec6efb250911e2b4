import Testing

@testable import DispatcherCore

@Suite struct ResponseFramerTests {
    struct Outcome: Equatable {
        var belongs = 0
        var state = ResponseFramer.State.more
    }

    static func run(_ framing: ResponseFraming, _ pieces: [ArraySlice<UInt8>]) -> Outcome {
        var framer = ResponseFramer(framing)
        var outcome = Outcome(state: framer.hasEnded ? .ended : .more)
        for piece in pieces where outcome.state == .more {
            let progress = piece.withUnsafeBytes { framer.advance($0) }
            outcome.belongs += progress.belongs
            outcome.state = progress.state
        }
        return outcome
    }

    static func run(_ framing: ResponseFraming, _ text: String) -> Outcome { run(framing, [[UInt8](latin1: text)[...]]) }

    @Test func isPlainMemory() {
        #expect(_isPOD(ResponseFramer.self) && MemoryLayout<ResponseFramer>.size <= 48)
    }

    @Test func knownLength() {
        #expect(Self.run(.length(5), "hello") == Outcome(belongs: 5, state: .ended))
        #expect(Self.run(.length(5), "helloEXTRA") == Outcome(belongs: 5, state: .ended))
        #expect(Self.run(.length(5), "hell") == Outcome(belongs: 4, state: .more))
        #expect(Self.run(.length(.max), "hello") == Outcome(belongs: 5, state: .more))
        for framing in [ResponseFraming.none, .length(0)] {
            var framer = ResponseFramer(framing)
            #expect(framer.hasEnded && framer.endsByClose && framer.remaining == 0)
            #expect([UInt8](latin1: "x").withUnsafeBytes { framer.advance($0) } == ResponseFramer.Progress(belongs: 0, state: .ended))
        }
    }

    @Test func untilClose() {
        #expect(Self.run(.untilClose, "hello") == Outcome(belongs: 5, state: .more))
        var framer = ResponseFramer(.untilClose)
        #expect(framer.endsByClose && !framer.hasEnded && framer.remaining == nil)
        let skipped = framer.skip(.max)
        #expect(skipped && !framer.hasEnded)
    }

    @Test func chunked() {
        #expect(Self.run(.chunked, "5;a=b\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\nHTTP") == Outcome(belongs: 38, state: .ended))
        #expect(Self.run(.chunked, "5g\r\n") == Outcome(belongs: 1, state: .bad(.chunkSize)))
        #expect(Self.run(.chunked, "5\r\nhello") == Outcome(belongs: 8, state: .more))
        #expect(!ResponseFramer(.chunked).endsByClose)
        var framer = ResponseFramer(.chunked)
        _ = [UInt8](latin1: "x").withUnsafeBytes { framer.advance($0) }
        #expect(
            [UInt8](latin1: "0\r\n\r\n").withUnsafeBytes { framer.advance($0) }
                == ResponseFramer.Progress(belongs: 0, state: .bad(.chunkSize)))
    }

    @Test func skipping() {
        var framer = ResponseFramer(.length(10))
        #expect(framer.certain == 10 && framer.remaining == 10)
        let tooFar = framer.skip(11)
        #expect(!tooFar && framer.remaining == 10)
        let some = framer.skip(4)
        #expect(some && framer.remaining == 6 && !framer.hasEnded)
        let rest = framer.skip(6)
        #expect(rest && framer.hasEnded)

        var chunks = ResponseFramer(.chunked)
        #expect(chunks.certain == 0)
        _ = [UInt8](latin1: "A\r\nab").withUnsafeBytes { chunks.advance($0) }
        #expect(chunks.certain == 8 && chunks.remaining == nil)
        let over = chunks.skip(9)
        let exact = chunks.skip(8)
        #expect(!over && exact && chunks.certain == 0)
        #expect(
            [UInt8](latin1: "\r\n0\r\n\r\n").withUnsafeBytes { chunks.advance($0) } == ResponseFramer.Progress(belongs: 7, state: .ended))
    }

    /// However the bytes are cut, the end is the same; and it is where the decoder of requests sees it.
    @Test func theEndDoesNotDependOnCuts() {
        var random = FramingRandom(seed: 3)
        for round in 0..<600 {
            var bytes = ChunkedDecoderTests.encoded(&random).encoded + random.bytes(3)
            if round % 2 == 1 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = random.bytes(1)[0] }
            let length = UInt64.random(in: 0...UInt64(bytes.count + 2), using: &random)
            for framing in [ResponseFraming.chunked, .length(length), .untilClose, .none] {
                let whole = Self.run(framing, [bytes[...]])
                let cut = Self.run(framing, random.pieces(of: bytes))
                let single = Self.run(framing, bytes.indices.map { bytes[$0...$0] })
                #expect(cut == whole && single == whole, "\(bytes)")
            }
            let whole = Self.run(.chunked, [bytes[...]])
            let decoded = ChunkedDecoderTests.decode([bytes[...]], limit: .max)
            #expect((whole.state == .ended) == (decoded.state == .done))
            if whole.state == .ended { #expect(whole.belongs == decoded.consumed) }
        }
    }
}
