import DispatcherCore
import Logging

/// Writes what happens to the servers into the log.
struct EventJournal {
    /// Of the pools.
    private let names: [String]

    init(configuration: Configuration) { names = configuration.pools.map(\.name) }

    func write(_ event: EngineEvent, to logger: Logger) {
        logger.log(level: Self.level(event), "\(text(event))")
    }

    /// What an operator must see, what is worth to be known, and what is only of use to who looks for it: comparing two limits changes one
    /// several times a second.
    private static func level(_ event: EngineEvent) -> Logger.Level {
        switch event.what {
        case .state(_, .failed, _), .state(_, .ejected, _): .warning
        case .state: .notice
        case .limit(_, _, .probing): .debug
        case .limit(_, _, .failures): .notice
        case .limit, .tunnelLimit: .info
        }
    }

    func text(_ event: EngineEvent) -> String {
        let server = "server \(event.server) of pool \(names.indices.contains(event.pool) ? names[event.pool] : "-")"
        return switch event.what {
        case .limit(let from, let to, let reason): "\(server): limit \(from) -> \(to) (\(reason.rawValue))"
        case .tunnelLimit(let from, let to, let reason): "\(server): tunnel limit \(from) -> \(to) (\(reason.rawValue))"
        case .state(let from, let to, let cause): "\(server): \(from.label) -> \(to.label) (\(cause.label))"
        }
    }
}
