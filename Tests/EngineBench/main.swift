import CallCounts
import DispatcherCore
import Glibc

// Dispatcher engines without input and output: what a recorded exchange costs them. `scripts/bench engine` runs it.

let usage = """
    EngineBench replay CASE EXCHANGES    what the engine does for so many exchanges after a warm-up: frames, allocations, time
    EngineBench hold idle|tunnels COUNT  memory of so many connections
    EngineBench grow idle|tunnels COUNT  the longest single step while so many connections are opened
    EngineBench pace COUNT EXCHANGES     messages in so many tunnels
    EngineBench shards CASE COUNT ROUNDS as many engines that share their load, in as many threads, beside one engine in one
    EngineBench self-test                what is counted of an engine that is made and given back
    EngineBench cases
    """

let cases: [(name: String, exchange: Exchange)] = [
    ("small", Exchange()),
    ("connection", Exchange(closes: true)),
    ("64k", Exchange(body: 65_536)),
    ("64k-merged", Exchange(body: 65_536, segment: 30 * 1_460)),
    ("routes", Exchange(routed: true)),
    ("tunnel", Exchange(kind: .tunnel, held: 1_024)),
    ("forward", Exchange(mode: .l43)),
    ("forward-connection", Exchange(mode: .l43, closes: true)),
]

func run(_ words: [String]) throws -> String {
    switch words.first {
    case "cases" where words.count == 1:
        return cases.map(\.name).joined(separator: "\n")
    case "self-test" where words.count == 1:
        return Report.object(
            Report.counts(sluice_measured({ _ in withExtendedLifetime(Recording.engine(Exchange(routed: true)).nextDeadline) {} }, nil)))
    case "replay" where words.count == 3:
        guard let found = cases.first(where: { $0.name == words[1] }), let count = Int(words[2]), count > 0 else { break }
        var session = Session(found.exchange)
        try session.warmUp()
        try session.talk(count, isMeasured: true)
        return Report.replay(found.name, count, session)
    case "pace" where words.count == 3:
        guard let held = Int(words[1]), let count = Int(words[2]), held >= 128, count > 0 else { break }
        var session = Session(Exchange(kind: .tunnel, held: held, limit: held * 10 / 9 + 1_000))
        try session.warmUp()
        try session.talk(count, isMeasured: true)
        return Report.replay("tunnels-\(held)", count, session)
    case "hold" where words.count == 3:
        guard let kind = Holding.Kind(rawValue: words[1]), let count = Int(words[2]), count > Holding.first else { break }
        return try Holding(kind, count).memory()
    case "grow" where words.count == 3:
        guard let kind = Holding.Kind(rawValue: words[1]), let count = Int(words[2]), count > Holding.first else { break }
        return try Holding(kind, count).growth()
    case "shards" where words.count == 4:
        guard let found = cases.first(where: { $0.name == words[1] }), found.exchange.mode == .l73, found.exchange.kind == .request,
            let count = Int(words[2]), (2...64).contains(count), let rounds = Int(words[3]), rounds > 0
        else { break }
        return try Shards.run(found.name, found.exchange, count, rounds: rounds)
    default: break
    }
    throw UsageError()
}

struct UsageError: Error {}

func complain(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = write(STDERR_FILENO, line, line.count)
}

do {
    print(try run(Array(CommandLine.arguments.dropFirst())))
} catch is UsageError {
    complain(usage)
    exit(2)
} catch {
    complain("EngineBench: \(error)")
    exit(1)
}
