import Dispatch
import Foundation

/// Why a benchmark ended early.
public enum BenchEnd: Error, Sendable, CustomStringConvertible {
    case interrupted
    case failed(String)

    public var description: String {
        switch self {
        case .interrupted: "interrupted"
        case .failed(let reason): reason
        }
    }
}

/// The processes of a benchmark. Used by one task; ended by `end()`, however the benchmark ends.
///
/// They end by themselves when this process is gone, because their standard input ends then.
final class Parts {
    /// How long a process may take to end by itself, after SIGTERM, and after SIGKILL, in seconds.
    private static let patience = 10.0
    private static let tick = 0.25

    private var processes: [PartProcess] = []
    private var signals: AsyncStream<(part: Int, signal: PartSignal)>.Iterator
    private let sources: [any DispatchSourceSignal]
    private let ticker: any DispatchSourceTimer

    /// Starts `count` processes; from here on SIGINT and SIGTERM end the benchmark in order.
    init(count: Int, command: [String]) throws {
        let (stream, continuation) = AsyncStream.makeStream(of: (part: Int, signal: PartSignal).self)
        signals = stream.makeAsyncIterator()
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield((-1, .interrupted)) }
            source.resume()
            return source
        }
        ticker = DispatchSource.makeTimerSource(queue: .global())
        ticker.schedule(deadline: .now() + Self.tick, repeating: Self.tick)
        ticker.setEventHandler { continuation.yield((-1, .tick)) }
        ticker.resume()
        do {
            for number in 0..<count {
                processes.append(try PartProcess(command) { continuation.yield((number, $0)) })
            }
        } catch {
            for process in processes { process.close() }
            throw error
        }
    }

    var count: Int { processes.count }

    /// Every process gets its command; returns their answers in order.
    ///
    /// - Parameters:
    ///   - seconds: how long that may take.
    ///   - progress: called several times a second with the sum of what all have done.
    func run(
        _ commands: [PartCommand], within seconds: Double, progress: (PartProgress) -> Void = { _ in }
    ) async throws -> [PartEvent] {
        for (process, command) in zip(processes, commands) {
            do {
                try process.send(command)
            } catch {
                throw BenchEnd.failed("process \(process.identifier) of the benchmark takes no commands: \(error)")
            }
        }
        var answers = [PartEvent?](repeating: nil, count: processes.count)
        var states = [PartProgress](repeating: PartProgress(), count: processes.count)
        let deadline = ContinuousClock.now + .seconds(seconds)
        while answers.contains(where: { $0 == nil }) {
            guard let (part, signal) = await signals.next(isolation: #isolation) else { break }
            switch signal {
            case .interrupted: throw BenchEnd.interrupted
            case .ended(let status):
                throw BenchEnd.failed("process \(processes[part].identifier) of the benchmark ended with \(status)")
            case .tick:
                progress(states.reduce(PartProgress(), +))
                if ContinuousClock.now > deadline {
                    let silent = answers.count { $0 == nil }
                    throw BenchEnd.failed("\(silent) of \(answers.count) processes are not done after \(Int(seconds)) s")
                }
            case .event(.progress(let state)): states[part] = state
            case .event(.failed(let reason)): throw BenchEnd.failed(reason)
            case .event(let answer): answers[part] = answer
            }
        }
        return answers.compactMap { $0 }
    }

    /// Lets time pass.
    func wait(seconds: Double) async throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < deadline, let (part, signal) = await signals.next(isolation: #isolation) {
            switch signal {
            case .interrupted: throw BenchEnd.interrupted
            case .ended(let status): throw BenchEnd.failed("process \(processes[part].identifier) of the benchmark ended with \(status)")
            case .event, .tick: break
            }
        }
    }

    /// Ends every process, by its number if need be.
    func end() {
        for process in processes { process.close() }
        for number in [SIGTERM, SIGKILL] where !haveEnded { for process in processes { process.kill(number) } }
        _ = haveEnded
        ticker.cancel()
        for source in sources { source.cancel() }
    }

    /// Waits for all of them, for some time.
    private var haveEnded: Bool {
        let deadline = ContinuousClock.now + .seconds(Self.patience)
        while processes.contains(where: \.isRunning) {
            guard ContinuousClock.now < deadline else { return false }
            Thread.sleep(forTimeInterval: 0.02)
        }
        return true
    }
}
