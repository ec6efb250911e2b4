import Foundation
import Testing

/// Every scenario of the list for TCP between two legs is the name of a test, or stands in docs/tcp.md with the reason why not.
@Suite("The list of TCP scenarios")
struct ScenarioListTests {
    /// A parsing and checksums, B opening toward clients, C toward servers, D requests, E responses, F windows, G options, H resets and
    /// attacks, I closing, J ICMP, K kernel and devices, L queueing, M simulation and properties. The numbers have gaps.
    private static let groups = [
        "A": "01 02 03 04 05 06 07 09 10 11 12 13 14 15 17 18 19 20",
        "B": "01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20",
        "C": "02 04 05 06 07 08 09 10 11 14",
        "D": "01 02 04 05 06 07 08 09 10 11 12 14 15 16",
        "E": "01 04 05 06 07 08 09 10 11 12 13 14 15 16 17 21 23 24 25 27",
        "F": "01 03 05 06 07 08 09 10 11 12 13 14 15",
        "G": "01 02 03 04 05 06 07 08 10",
        "H": "03 04 05 06 07 08 09 10 11 12 13",
        "I": "01 02 03 04 06 07 08 09 10 11 12 13 14 15 16 17",
        "J": "01 02 03 04 05 06",
        "K": "01 02 03 04 06 07 08 09 10",
        "L": "01 02 05 06 07",
        "M": "01 02 03 05 06 07 08 09 10 11 12",
    ]

    static let list = groups.flatMap { group, numbers in numbers.split(separator: " ").map { "\(group)\($0)" } }.sorted()

    /// The scenarios in a text, by a test's name or a line of a table.
    private static func scenarios(_ text: Substring) -> Set<String> {
        Set(TidyTests.words(String(text)).map { $0.uppercased() }.filter { $0.count == 3 && list.contains($0) })
    }

    /// Names of tests: what `@Test` says first, and functions of pytest.
    private static func named() throws -> Set<String> {
        let swift = try Regex<(Substring, Substring)>("@(?:Test|Suite)\\(\\s*\"([^\"]*)\"")
        let python = try Regex<(Substring, Substring)>("def test_(\\w+)")
        var found: Set<String> = []
        for file in TidyTests.files("Tests", endings: ["swift", "py"]) {
            for match in file.text.matches(of: file.path.hasSuffix("swift") ? swift : python) {
                found.formUnion(scenarios(Substring(match.output.1.replacingOccurrences(of: "_", with: " "))))
            }
        }
        return found
    }

    /// Those that docs/tcp.md lists.
    private static func listed() throws -> Set<String> {
        let text = try String(contentsOf: TidyTests.root.appendingPathComponent("docs/tcp.md"), encoding: .utf8)
        let begin = try #require(text.range(of: "\n## Scenarios without a test\n")).upperBound
        let end = text.range(of: "\n## ", range: begin..<text.endIndex)?.lowerBound ?? text.endIndex
        return text[begin..<end].split(separator: "\n").filter { $0.hasPrefix("| ") }
            .reduce(into: []) { $0.formUnion(scenarios($1.split(separator: "|")[0])) }
    }

    @Test("each is a test's name or is listed in docs/tcp.md, and not both")
    func covered() throws {
        let (named, listed) = (try Self.named(), try Self.listed())
        #expect(Self.list.count == 162)
        let missing = Self.list.filter { !named.contains($0) && !listed.contains($0) }
        #expect(missing.isEmpty, "neither tested nor listed: \(missing)")
        #expect(named.isDisjoint(with: listed), "tested and listed: \(named.intersection(listed).sorted())")
    }

    @Test("no wall clock below the log: timers run on one that nobody sets (K09)")
    func clocks() throws {
        let wall = try Regex("CLOCK_REALTIME|gettimeofday|\\btime\\(nil\\)|\\bDate\\(|ContinuousClock|DispatchTime")
        // The log's dates are made from an offset between the two clocks, which nothing else uses.
        for file in TidyTests.files("Sources/DispatcherCore") + TidyTests.files("Sources/PacketIO")
        where !file.path.hasSuffix("/MonotonicClock.swift") {
            for (number, line) in file.lines.enumerated() where TidyTests.code(line).contains(wall) {
                Issue.record("\(file.path):\(number + 1): \(line)")
            }
        }
    }
}
