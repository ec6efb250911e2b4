import Glibc

/// The lock by which the processes of one directory take turns in writing.
///
/// Two files make it fair: who waits for the lock holds the turnstile, so the holder cannot come back before the one who waits. The
/// kernel frees both when a process dies, however it dies. The lock's file holds how many commits there have been, by whichever process:
/// a hint for how busy the others are.
final class TurnLock: Sendable {
    private let turnstile: CInt
    private let lock: CInt

    /// The lock of `directory`, whose files are made when they are missing.
    init(directory: String) throws {
        turnstile = try Self.openFile("\(directory)/writer.turn")
        do {
            lock = try Self.openFile("\(directory)/writer.lock")
        } catch {
            Glibc.close(turnstile)
            throw error
        }
    }

    deinit {
        Glibc.close(turnstile)
        Glibc.close(lock)
    }

    /// Runs `body` while no other holder of the lock does.
    func withLock<Value>(_ body: () throws -> Value) throws -> Value {
        try Self.acquire(turnstile)
        do {
            try Self.acquire(lock)
        } catch {
            flock(turnstile, LOCK_UN)
            throw error
        }
        flock(turnstile, LOCK_UN)
        defer { flock(lock, LOCK_UN) }
        return try body()
    }

    /// Counts a commit; only while the lock is held. Returns how many all processes have made; nil: the file cannot be read or written.
    func countCommit() -> Int64? {
        var count: Int64 = 0
        let size = MemoryLayout<Int64>.size
        let read = pread(lock, &count, size, 0)
        guard read == 0 || read == size else { return nil }
        count = read == 0 ? 1 : count &+ 1
        return pwrite(lock, &count, size, 0) == size ? count : nil
    }

    private static func openFile(_ path: String) throws -> CInt {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StoreError.unavailable("cannot open the lock file \(path): \(SystemError.text(errno))") }
        return descriptor
    }

    private static func acquire(_ descriptor: CInt) throws {
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { throw StoreError.unavailable("cannot lock the store for writing: \(SystemError.text(errno))") }
        }
    }
}

/// The words for an error number.
public enum SystemError {
    /// For example "Permission denied".
    public static func text(_ number: CInt) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        guard strerror_r(number, &buffer, buffer.count) == 0 else { return "error \(number)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
