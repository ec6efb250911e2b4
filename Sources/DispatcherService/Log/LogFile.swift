import Glibc

/// Where the access log goes: nothing, the standard output, or a file that can be opened again.
struct LogFile: ~Copyable {
    private let path: String?
    private var descriptor: Int32

    /// - Parameter owner: who is to own a new file, so that it can be opened again after privileges are dropped; nil = nobody else.
    /// - Throws: `ServiceError` when the file cannot be opened.
    init(_ target: Configuration.AccessLog, owner: Privileges.User?) throws(ServiceError) {
        switch target {
        case .none:
            path = nil
            descriptor = -1
        case .stdout:
            path = nil
            descriptor = STDOUT_FILENO
        case .file(let name):
            path = name
            descriptor = Self.open(name)
            guard descriptor >= 0 else {
                throw ServiceError(.failed, "log.access: cannot open \(name): \(String(cString: strerror(errno)))")
            }
            if let owner, geteuid() == 0 { _ = fchown(descriptor, owner.id, owner.group) }
        }
    }

    deinit {
        if path != nil, descriptor >= 0 { close(descriptor) }
    }

    private static func open(_ name: String) -> Int32 { Glibc.open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640) }

    var isOpen: Bool { descriptor >= 0 }

    /// Opens the file again, after it was moved away.
    /// - Returns: what went wrong; then the old file is written on.
    mutating func reopen() -> String? {
        guard let path else { return nil }
        let fresh = Self.open(path)
        guard fresh >= 0 else { return "cannot open \(path) again: \(String(cString: strerror(errno))); the old file is written on" }
        close(descriptor)
        descriptor = fresh
        return nil
    }

    /// - Returns: false when it could not all be written.
    func write(_ bytes: [UInt8]) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, $0.count - done) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }
}
