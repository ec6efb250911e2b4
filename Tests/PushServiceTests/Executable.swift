import Foundation
import Glibc
import Lab

/// A built executable of this package, run as a process.
final class Executable {
    private let process = Process()
    private let output = Pipe()
    private let errors = Pipe()

    /// Starts `name`, which lies beside the test bundle.
    init(_ name: String, _ arguments: [String], in directory: String? = nil) throws {
        let path = try Self.productsFolder().appendingPathComponent(name)
        guard FileManager.default.isExecutableFile(atPath: path.path) else {
            throw LabError("\(path.path) is missing; build it with: swift build --product \(name)")
        }
        process.executableURL = path
        process.arguments = arguments
        process.standardOutput = output
        process.standardError = errors
        if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
        try process.run()
    }

    deinit {
        if process.isRunning { kill() }
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
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// SIGTERM.
    func terminate() {
        process.terminate()
    }

    /// Waits for the end; returns the exit code.
    func wait() -> Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// Waits for the end; returns everything that was written and not read.
    func result() -> (code: Int32, output: String, errors: String) {
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let errorText = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        return (wait(), text, errorText)
    }

    /// The next line on standard output; nil at the end.
    func outputLine() -> String? { Self.line(of: output) }

    /// The next line on standard error; nil at the end.
    func errorLine() -> String? { Self.line(of: errors) }

    private static func line(of pipe: Pipe) -> String? {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while read(pipe.fileHandleForReading.fileDescriptor, &byte, 1) == 1 {
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

    init(directory: TemporaryDirectory, _ more: [String] = []) throws {
        let arguments = [
            "--data", directory.path, "--listen", "127.0.0.1", "--ua-port", "0", "--as-port", "0", "--public-url", "http://push.test",
        ]
        process = try Executable("sluice-worker", arguments + more)
        // The log names the bound ports.
        guard let line = process.errorLine(), let devices = Self.port(after: "devices on port ", in: line),
            let servers = Self.port(after: "application servers on port ", in: line)
        else { throw LabError("sluice-worker did not log its ports") }
        userAgentPort = devices
        applicationServerPort = servers
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
