import ArgumentParser
import Foundation
import Lab

/// `sluice top`: what a dispatcher does, refreshed in place.
struct TopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Show what a dispatcher does: services, queues, servers with their limits and metrics. Ends with q or Ctrl-C.")

    @OptionGroup var admin: AdminOptions
    @Option(help: ArgumentHelp("Between two looks.", valueName: "seconds")) var interval = 1.0
    @Option(help: ArgumentHelp("Show it so often, then end (default: without end).", valueName: "number")) var count: Int?

    func validate() throws {
        guard interval >= 0.1, interval <= 3_600 else { throw ValidationError("--interval \(interval): must be from 0.1 to 3600") }
        if let count, count < 1 { throw ValidationError("--count \(count): must be at least 1") }
    }

    func run() async throws {
        let client = try admin.client()
        // Before the screen is taken: an error belongs on the usual one.
        var last = try await client.status()
        var lastAt = ContinuousClock.now
        let terminal = count == nil && Terminal.isThere ? Terminal() : nil
        defer { terminal?.leave() }
        show(TopScreen(last, before: nil, seconds: 0), on: terminal)
        var shown = 1
        while count.map({ shown < $0 }) ?? true {
            if Terminal.waitForQuit(seconds: interval, hasTerminal: terminal != nil) { return }
            let status = try await client.status()
            let now = ContinuousClock.now
            let passed = (now - lastAt) / .seconds(1)
            show(TopScreen(status, before: last, seconds: passed), on: terminal)
            (last, lastAt) = (status, now)
            shown += 1
        }
    }

    private func show(_ screen: TopScreen, on terminal: Terminal?) {
        guard let terminal else { return Output.line(screen.lines(width: 200).joined(separator: "\n")) }
        terminal.show(screen.lines(width: Terminal.size.columns))
    }
}

/// A terminal whose screen is taken for a while, and given back as it was.
private final class Terminal {
    private var settings = termios()

    static var isThere: Bool { isatty(STDOUT_FILENO) == 1 && isatty(STDIN_FILENO) == 1 }

    static var size: (columns: Int, rows: Int) {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return (80, 24) }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    init() {
        tcgetattr(STDIN_FILENO, &settings)
        var raw = settings
        // Keys come one by one and are not shown; Ctrl-C is read as a key, so that the screen is always given back.
        raw.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
        tcsetattr(STDIN_FILENO, TCSANOW, &raw)
        Self.write("\u{1B}[?1049h\u{1B}[?25l")
    }

    func leave() {
        Self.write("\u{1B}[?25h\u{1B}[?1049l")
        tcsetattr(STDIN_FILENO, TCSANOW, &settings)
    }

    func show(_ lines: [String]) {
        let rows = Self.size.rows
        Self.write("\u{1B}[H" + lines.prefix(rows).map { $0 + "\u{1B}[K" }.joined(separator: "\r\n") + "\u{1B}[J")
    }

    private static func write(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }

    /// Waits, and reads keys meanwhile.
    /// - Returns: whether q or Ctrl-C was pressed.
    static func waitForQuit(seconds: Double, hasTerminal: Bool) -> Bool {
        let end = ContinuousClock.now + .seconds(seconds)
        while true {
            let left = Int32(max(0, (end - ContinuousClock.now) / .milliseconds(1)))
            var descriptor = pollfd(fd: hasTerminal ? STDIN_FILENO : -1, events: Int16(POLLIN), revents: 0)
            guard poll(&descriptor, 1, left) > 0 else { return false }
            var key: UInt8 = 0
            guard read(STDIN_FILENO, &key, 1) == 1 else { return true }
            if key == UInt8(ascii: "q") || key == 3 { return true }
        }
    }
}
