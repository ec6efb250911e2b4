import Foundation
import Glibc
import Lab

/// A built executable of this package, run as a process.
///
/// Started by `posix_spawn`: Foundation's `Process.run` has once crashed while other tests ran beside it.
final class Executable {
    private let identifier: pid_t
    /// Where its standard output and standard error are read.
    private let output: CInt
    private let errors: CInt
    /// How it ended, as `waitpid` tells; nil: it has not been waited for.
    private var status: CInt?
    /// Stays as long as the process is there.
    private let kept: TemporaryDirectory?

    /// Starts `name`, which lies beside the test bundle, or has an absolute path.
    /// - Parameters:
    ///   - descriptors: how many it may have open; nil: as many as this process.
    ///   - keeping: where its data is: removed when nobody holds it, so this one does.
    init(
        _ name: String, _ arguments: [String], in directory: String? = nil, descriptors: Int? = nil, keeping: TemporaryDirectory? = nil
    ) throws {
        kept = keeping
        let path = name.hasPrefix("/") ? name : try Self.productsFolder().appendingPathComponent(name).path
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw LabError("\(path) is missing; build it with: swift build --product \(name)")
        }
        // One at a time, so that no process inherits the pipes of another.
        Self.starting.lock()
        defer { Self.starting.unlock() }
        let ends = (try Self.pipe(), try Self.pipe())
        // Nor the sockets of the tests that run beside this one: their ports would stay taken.
        for descriptor in 3..<4_096 as Range<CInt> { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends.0.write, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, ends.1.write, STDERR_FILENO)
        var command = [path] + arguments
        if let directory { command = ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", directory] + command }
        if let descriptors { command = ["/bin/sh", "-c", "ulimit -n \(descriptors) && exec \"$0\" \"$@\""] + command }
        let words = command.map { strdup($0) } + [nil]
        let environment = ProcessInfo.processInfo.environment.map { strdup("\($0)=\($1)") } + [nil]
        var identifier = pid_t()
        let failure = posix_spawn(&identifier, command[0], &actions, nil, words, environment)
        for word in words + environment { free(word) }
        posix_spawn_file_actions_destroy(&actions)
        close(ends.0.write)
        close(ends.1.write)
        (self.identifier, output, errors) = (identifier, ends.0.read, ends.1.read)
        guard failure == 0 else {
            status = 0
            throw LabError("cannot start \(path): \(String(cString: strerror(failure)))")
        }
    }

    deinit {
        if status == nil { kill() }
        close(output)
        close(errors)
    }

    private static let starting = NSLock()

    private static func pipe() throws -> (read: CInt, write: CInt) {
        var ends: [CInt] = [0, 0]
        guard Glibc.pipe(&ends) == 0 else { throw LabError("cannot make a pipe: \(String(cString: strerror(errno)))") }
        return (ends[0], ends[1])
    }

    /// The folder of the test bundle, where the executables are built too. The runner is the toolchain's, so the mapped bundle tells.
    private static func productsFolder() throws -> URL {
        let maps = try String(contentsOfFile: "/proc/self/maps", encoding: .utf8)
        let bundle = maps.split(separator: "\n").first { $0.hasSuffix(".xctest") }
        guard let slash = bundle?.firstIndex(of: "/"), let path = bundle?[slash...] else {
            throw LabError("no test bundle is mapped into this process, so the executables beside it cannot be found")
        }
        return URL(fileURLWithPath: String(path)).deletingLastPathComponent()
    }

    /// SIGKILL.
    func kill() {
        Glibc.kill(identifier, SIGKILL)
        _ = wait()
    }

    /// SIGTERM.
    func terminate() {
        signal(SIGTERM)
    }

    /// Any signal.
    func signal(_ number: CInt) {
        Glibc.kill(identifier, number)
    }

    /// Waits for the end; returns the exit code, or the number of the signal that ended it.
    func wait() -> Int32 {
        if status == nil {
            var ended: CInt = 0
            while waitpid(identifier, &ended, 0) < 0, errno == EINTR {}
            status = ended
        }
        let status = status!
        return status & 0x7F == 0 ? status >> 8 & 0xFF : status & 0x7F
    }

    /// Waits for the end; returns everything that was written and not read.
    func result() -> (code: Int32, output: String, errors: String) {
        let text = Self.rest(of: output)
        let errorText = Self.rest(of: errors)
        return (wait(), text, errorText)
    }

    /// The next line on standard output; nil at the end.
    func outputLine() -> String? { Self.line(of: output) }

    /// The next line on standard error; nil at the end.
    func errorLine() -> String? { Self.line(of: errors) }

    private static func rest(of pipe: CInt) -> String {
        var bytes: [UInt8] = []
        var some = [UInt8](repeating: 0, count: 4_096)
        while case let count = read(pipe, &some, some.count), count > 0 { bytes += some[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func line(of pipe: CInt) -> String? {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while read(pipe, &byte, 1) == 1 {
            if byte == UInt8(ascii: "\n") { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(byte)
        }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }
}

/// A `sluice-worker` process with free ports.
struct WorkerExecutable {
    let process: Executable
    let userAgentPort: Int
    let applicationServerPort: Int
    /// Nil: no such listener.
    let tlsPort: Int?
    let adminPort: Int?

    init(directory: TemporaryDirectory, _ more: [String] = [], descriptors: Int? = nil) throws {
        let arguments = [
            "--data", directory.path, "--listen", "127.0.0.1", "--ua-port", "0", "--as-port", "0", "--public-url", "http://push.test",
        ]
        process = try Executable("sluice-worker", arguments + more, descriptors: descriptors, keeping: directory)
        // The log names the bound ports.
        guard let line = process.errorLine(), let devices = Self.port(after: "devices on port ", in: line),
            let servers = Self.port(after: "application servers on port ", in: line)
        else { throw LabError("sluice-worker did not log its ports") }
        userAgentPort = devices
        applicationServerPort = servers
        tlsPort = Self.port(after: "TLS on port ", in: line)
        adminPort = Self.port(after: "admin on port ", in: line)
    }

    private static func port(after text: String, in line: String) -> Int? {
        line.firstRange(of: text).flatMap { Int(line[$0.upperBound...].prefix { $0.isNumber }) }
    }

    var userAgents: ServerURL {
        get throws { try ServerURL("http://127.0.0.1:\(userAgentPort)") }
    }

    var applicationServers: ServerURL {
        get throws { try ServerURL("http://127.0.0.1:\(applicationServerPort)") }
    }
}
