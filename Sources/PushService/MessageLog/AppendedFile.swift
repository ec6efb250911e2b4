import Glibc
import PushStore

/// A file of lines that is only appended to.
struct AppendedFile {
    private let path: String
    private var descriptor: CInt
    /// The last write ended within a line.
    private var isWithinLine = false

    /// Opens the file at `path`; makes it, readable by the owner and their group, when it is missing.
    ///
    /// - Throws: `WorkerError`.
    init(_ path: String) throws(WorkerError) {
        self.path = path
        descriptor = try Self.open(path)
    }

    private static func open(_ path: String) throws(WorkerError) -> CInt {
        // A pipe that nobody reads is refused instead of waited for.
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0o640)
        guard descriptor >= 0 else {
            throw WorkerError(
                "cannot open the message log \(path): \(SystemError.text(errno)); name a file in a directory that exists",
                isPermission: [EACCES, EPERM].contains(errno))
        }
        _ = fcntl(descriptor, F_SETFL, O_APPEND)
        return descriptor
    }

    /// Opens the path again; when that fails, the old file is written on.
    mutating func reopen() throws(WorkerError) {
        let fresh = try Self.open(path)
        close(descriptor)
        descriptor = fresh
        isWithinLine = false
    }

    /// Appends whole lines; says why when that failed. What was cut off ends before the next line.
    mutating func write(_ lines: [UInt8]) -> String? {
        let bytes = isWithinLine ? [UInt8(ascii: "\n")] + lines : lines
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, $0.count - done) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                if done > 0 { isWithinLine = bytes[done - 1] != UInt8(ascii: "\n") }
                return SystemError.text(errno)
            }
            done += count
        }
        isWithinLine = false
        return nil
    }
}
