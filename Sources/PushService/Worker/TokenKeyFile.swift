import Foundation
import Glibc
import PushProtocol
import PushStore

/// The file with the keys of the UATokens, which the workers share.
enum TokenKeyFile {
    /// The keys in the file at `path`; makes the file with a fresh key, mode 0600, when it is missing.
    ///
    /// Of workers that start at once one wins: each writes a file of its own and links it to the name, which fails when it is taken.
    static func loadOrCreate(_ path: String) throws -> TokenKeys {
        if let keys = try load(path) { return keys }
        let draft = "\(path).\(getpid()).\(Hex.encode(Randomness.bytes(4)))"
        try write(TokenKeys().fileText, to: draft)
        defer { unlink(draft) }
        if link(draft, path) != 0, errno != EEXIST {
            throw failure("make", path, errno)
        }
        syncDirectory(of: path)
        guard let keys = try load(path) else { throw failure("read", path, ENOENT) }
        return keys
    }

    /// The keys in the file at `path`, which must exist.
    static func read(_ path: String) throws -> TokenKeys {
        guard let keys = try load(path) else { throw failure("read", path, ENOENT) }
        return keys
    }

    private static func load(_ path: String) throws -> TokenKeys? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("read", path, errno)
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("read", path, errno) }
        guard status.st_mode & 0o077 == 0 else {
            throw WorkerError(
                "the token key file \(path) is open to other users, so tokens could be forged; run: chmod 600 \(path)", isPermission: true)
        }
        let bytes = try file.readToEnd() ?? Data()
        do {
            return try TokenKeys(fileText: String(decoding: bytes, as: UTF8.self))
        } catch {
            throw WorkerError("the token key file \(path) is bad: \(error)")
        }
    }

    private static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("make", path, errno) }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try file.write(contentsOf: Data(text.utf8))
            try file.synchronize()
        } catch {
            throw WorkerError("cannot write the token key file \(path): \(error.localizedDescription)")
        }
    }

    /// Makes the name durable as well as the content: a key that is lost takes all tokens with it.
    private static func syncDirectory(of path: String) {
        let directory = open((path as NSString).deletingLastPathComponent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return }
        fsync(directory)
        Glibc.close(directory)
    }

    private static func failure(_ verb: String, _ path: String, _ number: CInt) -> WorkerError {
        WorkerError(
            "cannot \(verb) the token key file \(path): \(SystemError.text(number)); the workers must be able to read it and to make it",
            isPermission: [EACCES, EPERM].contains(number))
    }
}
