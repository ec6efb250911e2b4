import CLinux
import DispatcherCore
import Glibc
import PacketIO

/// The table that keeps the kernel away, and the child `nft -i` that holds it.
///
/// The child's standard input is a pipe of ours: when we end, however, it reads the end and ends too, and the kernel removes the table with
/// it. It runs as the user that we become, with CAP_NET_ADMIN alone. We cannot start another one by then, so when it ends first we must end.
final class KernelGuard {
    /// Where Debian and others have it. Not searched for in PATH: we are root.
    static let programs = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"]
    /// How long an answer may take, milliseconds.
    private static let patience: Int32 = 5_000

    private let rules: GuardRules
    private let table: String
    private let child: pid_t
    private let input: Int32
    /// What the child says; hangs up when it ends.
    let descriptor: Int32
    private var isGone = false

    /// Installs the table and looks whether it is there.
    /// - Parameter user: whom the child becomes.
    /// - Throws: `ServiceError` with what nft says.
    init(_ rules: GuardRules, user: Privileges.User, programs: [String] = KernelGuard.programs) throws(ServiceError) {
        guard let program = programs.first(where: { access($0, X_OK) == 0 }) else {
            throw ServiceError(
                .failed,
                "keeping the kernel away from our addresses (owned-by-kernel, kernel-addresses, or a host that forwards packets) needs the program nft, and it is not installed: apt-get install nftables"
            )
        }
        var input: Int32 = -1
        var output: Int32 = -1
        let child = program.withCString { path in
            "-i".withCString { flag in clinux_start_confined(path, [path, flag, nil], user.id, user.group, &input, &output) }
        }
        guard child > 0 else { throw ServiceError(.failed, "cannot start \(program): \(String(cString: strerror(errno)))") }
        self.rules = rules
        self.child = child
        self.input = input
        descriptor = output
        table = "sluice_\(getpid())"
        _ = fcntl(output, F_SETFL, fcntl(output, F_GETFL) | O_NONBLOCK)
        let answer = ask(rules.command(table: table) + listCommand)
        if let fault = rules.fault(in: answer) {
            throw ServiceError(
                .failed, "nft could not keep the kernel away from our addresses: \(fault); it says:\n\(answer.isEmpty ? "nothing" : answer)"
            )
        }
    }

    deinit {
        close(input)
        // It reads the end of its input; if it does not, the kernel ends it with us.
        var end = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        if !isGone, poll(&end, 1, 1_000) <= 0 { kill(child, SIGKILL) }
        close(descriptor)
        if !isGone { waitpid(child, nil, 0) }
    }

    private var listCommand: String { "list table inet \(table)\n" }

    /// Packets that the table has dropped, by side; nil when the child does not say.
    func drops() -> [UInt64]? { rules.drops(in: ask(listCommand)) }

    /// How the child ended; nil while it runs.
    func end() -> String? {
        var status: Int32 = 0
        guard !isGone, waitpid(child, &status, WNOHANG) == child else { return nil }
        isGone = true
        let signal = status & 0x7F
        return signal == 0 ? "ended with \(status >> 8 & 0xFF)" : "was killed by signal \(signal)"
    }

    /// Says something and collects the answer: a table, or a complaint.
    private func ask(_ text: String) -> String {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(input, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return "" }
            rest = rest.dropFirst(count)
        }
        var answer: [UInt8] = []
        let deadline = MonotonicClock.now() + .milliseconds(Int64(Self.patience))
        while !Self.isWhole(answer) {
            let left = Int32(clamping: (deadline - MonotonicClock.now()).milliseconds)
            guard left > 0 else { break }
            // A complaint has several lines and no end: what comes soon belongs to it.
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let found = poll(&ready, 1, Self.isComplaint(answer) ? min(left, 200) : left)
            if found < 0 && errno == EINTR { continue }
            guard found > 0 else { break }
            var bytes = [UInt8](repeating: 0, count: 64 << 10)
            let count = read(descriptor, &bytes, bytes.count)
            if count < 0 && (errno == EINTR || errno == EAGAIN) { continue }
            guard count > 0 else { break }
            answer += bytes[..<count]
        }
        return String(decoding: answer, as: UTF8.self)
    }

    /// A table's last line is a brace alone.
    private static func isWhole(_ answer: [UInt8]) -> Bool { answer.suffix(3) == [0x0A, 0x7D, 0x0A] }

    private static func isComplaint(_ answer: [UInt8]) -> Bool { String(decoding: answer, as: UTF8.self).contains("rror") }
}
