import Foundation
import Glibc
import Lab

/// The file that keeps a device's UAToken; without a path nothing is kept.
struct TokenFile {
    let path: String?

    /// The kept token, or the one that `request` gets, which is then kept.
    func tokenOrNew(_ request: () async throws -> String) async throws -> String {
        guard let path else { return try await request() }
        if FileManager.default.fileExists(atPath: path) {
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
                throw LabError("cannot read the token file \(path); check that it is a text that you may read")
            }
            return text.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        let token = try await request()
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw LabError("cannot write the token file \(path): \(String(cString: strerror(errno))); choose another place")
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try file.write(contentsOf: Data((token + "\n").utf8))
        return token
    }
}
