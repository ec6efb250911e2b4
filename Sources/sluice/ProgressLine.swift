import Foundation
import Lab

/// How far something is, on standard error: on a terminal a line that is written over, else a line every few seconds.
final class ProgressLine: Sendable {
    private static let every = Duration.seconds(5)

    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let state = Locked()

    func show(_ text: String) {
        state.use { last in
            if isTerminal { return Self.write("\r\u{1b}[K\(text)") }
            let now = ContinuousClock.now
            guard last.map({ now - $0 >= Self.every }) ?? true else { return }
            last = now
            Self.write(text + "\n")
        }
    }

    /// Takes the line away and prints another one on standard output.
    func clear(then text: String) {
        state.use { _ in
            if isTerminal { Self.write("\r\u{1b}[K") }
            Output.line(text)
        }
    }

    private static func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }

    /// When a line was last written.
    private final class Locked: @unchecked Sendable {
        private let lock = NSLock()
        private var last: ContinuousClock.Instant?

        func use(_ body: (inout ContinuousClock.Instant?) -> Void) {
            lock.withLock { body(&last) }
        }
    }
}
