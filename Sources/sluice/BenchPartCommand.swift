import ArgumentParser
import Foundation
import Lab

/// `sluice bench part`: one process of a benchmark, which the others start.
struct BenchPartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "part", abstract: "One process of a benchmark: follows commands on standard input.", shouldDisplay: false)

    func run() async throws {
        // The coordinator ends this process by the end of its input, and if need be by SIGTERM, which it ignores itself.
        signal(SIGINT, SIG_IGN)
        signal(SIGTERM, SIG_DFL)
        _ = SwarmRun.raiseDescriptorLimit()
        let lock = NSLock()
        let runner = PartRunner { event in
            guard let data = try? JSONEncoder().encode(event) else { return }
            lock.withLock { Output.line(String(decoding: data, as: UTF8.self)) }
        }
        await runner.run(Self.commands())
    }

    /// Line by line. The end of the input is the end of the process, whatever it is doing: its connections end with it.
    private static func commands() -> AsyncStream<PartCommand> {
        let (stream, continuation) = AsyncStream.makeStream(of: PartCommand.self)
        Thread.detachNewThread {
            while let line = readLine() {
                guard let command = try? JSONDecoder().decode(PartCommand.self, from: Data(line.utf8)) else {
                    Output.remark("bench part: no command: \(line.prefix(200))")
                    continue
                }
                continuation.yield(command)
            }
            Foundation.exit(0)
        }
        return stream
    }
}
