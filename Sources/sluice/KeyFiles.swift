import Foundation
import Glibc
import Lab
import PushProtocol

/// Key files of application servers: FILE holds the private key, FILE.pub the public one, both PEM.
enum KeyFiles {
    static let defaultPath = "sluice-key.pem"

    /// Where the public key of `path` is.
    static func publicPath(of path: String) -> String { path + ".pub" }

    /// Writes a new key pair; refuses to overwrite.
    static func write(_ key: RSAPrivateKey, to path: String) throws {
        try create(path, mode: 0o600, text: key.pem)
        try create(publicPath(of: path), mode: 0o644, text: key.publicPEM)
    }

    private static func create(_ path: String, mode: mode_t, text: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else {
            if errno == EEXIST {
                throw LabError("\(path) exists already and is not overwritten; choose another name with --out, or remove it")
            }
            throw LabError("cannot write \(path): \(String(cString: strerror(errno))); choose another place with --out")
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try file.write(contentsOf: Data(text.utf8))
        } catch {
            throw LabError("cannot write \(path): \(error.localizedDescription)")
        }
    }

    /// The private key in the file at `path`.
    static func readPrivate(_ path: String) throws -> RSAPrivateKey {
        do {
            return try RSAPrivateKey(pem: read(path))
        } catch let error as PrivateKeyError {
            throw LabError("\(path) holds \(error)")
        }
    }

    /// The public key in the file at `path`, as registerWA carries it.
    static func readPublic(_ path: String) throws -> String {
        let text = Base64.encode(Array(try read(path).utf8))
        do {
            _ = try RSAPublicKey(pbkbase64: text)
        } catch {
            switch error {
            case .notAKey: throw LabError("\(path) holds no public key in PEM (BEGIN PUBLIC KEY); make one with: sluice keys new")
            case .notRSA: throw LabError("\(path) holds a key that is not RSA; make one with: sluice keys new")
            case .bits(let bits):
                throw LabError("\(path) holds a key of \(bits) bits; 2048 to 8192 are taken; make one with: sluice keys new")
            }
        }
        return text
    }

    private static func read(_ path: String) throws -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw LabError("cannot read the key file \(path): \(error.localizedDescription); make one with: sluice keys new --out FILE")
        }
    }
}
