import Foundation

/// What happens at the processes of a benchmark.
enum PartSignal: Sendable {
    case event(PartEvent)
    /// A process has ended.
    case ended(Int32)
    /// Some time has passed.
    case tick
    /// A person, or the system, wants the benchmark to end.
    case interrupted
}

/// A process of a benchmark, as its coordinator sees it: commands in, events out.
final class PartProcess: Sendable {
    private let process = Process()
    private let commands = Pipe()

    /// Starts it.
    ///
    /// - Parameters:
    ///   - command: the program and its arguments; it follows `PartCommand`s.
    ///   - signal: called from a thread of its own with what it says, and with its end.
    init(_ command: [String], signal: @escaping @Sendable (PartSignal) -> Void) throws {
        let events = Pipe()
        process.executableURL = URL(fileURLWithPath: command[0])
        process.arguments = Array(command.dropFirst())
        process.standardInput = commands
        process.standardOutput = events
        do {
            try process.run()
        } catch {
            throw LabError("cannot start a process of the benchmark, \(command.joined(separator: " ")): \(error)")
        }
        let process = process
        Thread.detachNewThread {
            Self.read(events.fileHandleForReading, signal)
            process.waitUntilExit()
            signal(.ended(process.terminationStatus))
        }
    }

    /// The process number.
    var identifier: Int32 { process.processIdentifier }

    func send(_ command: PartCommand) throws {
        try commands.fileHandleForWriting.write(contentsOf: try JSONEncoder().encode(command) + [UInt8(ascii: "\n")])
    }

    /// No more commands: it ends by itself.
    func close() {
        try? commands.fileHandleForWriting.close()
    }

    var isRunning: Bool { process.isRunning }

    /// Ends it by a signal, if it still runs.
    func kill(_ number: Int32) {
        if process.isRunning { Foundation.kill(process.processIdentifier, number) }
    }

    /// Line by line until the end.
    private static func read(_ handle: FileHandle, _ signal: (PartSignal) -> Void) {
        var rest = Data()
        while case let data = handle.availableData, !data.isEmpty {
            rest.append(data)
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let line = rest[rest.startIndex..<end]
                rest = Data(rest[rest.index(after: end)...])
                do {
                    signal(.event(try JSONDecoder().decode(PartEvent.self, from: Data(line))))
                } catch {
                    signal(.event(.failed("a process of the benchmark said \(String(decoding: line.prefix(200), as: UTF8.self))")))
                }
            }
        }
    }
}
