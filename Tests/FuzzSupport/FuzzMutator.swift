/// Changes inputs at random: for the runs of `swift test`, which are bounded and always the same. `scripts/fuzz` has libFuzzer for the
/// long ones.
public struct FuzzMutator: Sendable {
    public var random: FuzzRandom
    private let corpus: [[UInt8]]
    private let words: [[UInt8]]
    private let limit: Int

    /// - Parameters:
    ///   - words: what the format is made of; they are put in as they are.
    ///   - limit: bytes of the longest input.
    public init(seed: UInt64, corpus: [[UInt8]], words: [String] = [], limit: Int = 4_096) {
        random = FuzzRandom(seed: seed)
        self.corpus = corpus.isEmpty ? [[]] : corpus
        self.words = words.map { Array($0.utf8) }
        self.limit = limit
    }

    public mutating func next() -> [UInt8] {
        var bytes = corpus[random.below(corpus.count)]
        for _ in 0...random.below(6) { change(&bytes) }
        return Array(bytes.prefix(limit))
    }

    private mutating func change(_ bytes: inout [UInt8]) {
        let at = random.below(bytes.count + 1)
        let count = min(bytes.count - at, 1 + random.below(24))
        switch random.below(9) {
        case 0 where at < bytes.count: bytes[at] ^= 1 << UInt8(random.below(8))
        case 1 where at < bytes.count: bytes[at] = UInt8(truncatingIfNeeded: random.next())
        case 2 where at < bytes.count: bytes[at] = [0, 1, 9, 10, 13, 32, 44, 58, 127, 128, 255][random.below(11)]
        case 3: bytes.removeSubrange(at..<at + count)
        case 4: bytes.insert(contentsOf: bytes[at..<at + count], at: random.below(bytes.count + 1))
        case 5: bytes.insert(contentsOf: (0..<1 + random.below(8)).map { _ in UInt8(truncatingIfNeeded: random.next()) }, at: at)
        case 6:
            let other = corpus[random.below(corpus.count)]
            let from = random.below(other.count + 1)
            bytes.replaceSubrange(at..., with: other[from...])
        case 7 where !words.isEmpty: bytes.insert(contentsOf: words[random.below(words.count)], at: at)
        default:
            for place in at..<at + min(count, 4) { bytes[place] = [0, 255, 127, 128, 1][random.below(5)] }
        }
    }
}
