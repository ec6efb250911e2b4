import Foundation

/// Something that takes any bytes at all.
public struct FuzzTarget: Sendable {
    public let name: String
    /// What the format is made of.
    public let words: [String]
    /// Runs one input; what comes back is what was wrong. It must neither trap nor hang.
    public let run: @Sendable ([UInt8]) -> [String]

    public init(name: String, words: [String] = [], run: @escaping @Sendable ([UInt8]) -> [String]) {
        self.name = name
        self.words = words
        self.run = run
    }

    /// The committed inputs, in order of name: beginnings for mutation, and what once failed.
    public func corpus() throws -> [(name: String, bytes: [UInt8])] {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let folder = tests.appendingPathComponent("Fuzz/corpus/\(name)")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { !$0.hasPrefix(".") }.sorted()
        return try names.map { ($0, [UInt8](try Data(contentsOf: folder.appendingPathComponent($0)))) }
    }

    /// Every committed input, then so many changed ones; stops at the first that fails.
    ///
    /// The environment decides: `SLUICE_FUZZ_SEED` (1), `SLUICE_FUZZ_RUNS` instead of `runs`.
    /// - Returns: what was wrong, with what replays it; empty when all is well.
    public func runShortly(runs: Int) throws -> [String] {
        let environment = ProcessInfo.processInfo.environment
        let seed = environment["SLUICE_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
        let count = environment["SLUICE_FUZZ_RUNS"].flatMap { Int($0) } ?? runs
        let inputs = try corpus()
        for input in inputs {
            let faults = run(input.bytes)
            if !faults.isEmpty { return ["corpus/\(name)/\(input.name)"] + faults }
        }
        var mutator = FuzzMutator(seed: seed, corpus: inputs.map(\.bytes), words: words)
        for number in 0..<count {
            let bytes = mutator.next()
            let faults = run(bytes)
            if !faults.isEmpty {
                return ["SLUICE_FUZZ_SEED=\(seed), input \(number), base64 \(Data(bytes).base64EncodedString())"] + faults
            }
        }
        return []
    }
}
