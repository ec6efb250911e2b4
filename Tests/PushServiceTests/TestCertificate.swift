import Foundation
import Lab

/// A certificate for localhost and 127.0.0.1 that signs itself, made by openssl's program.
struct TestCertificate {
    let directory: TemporaryDirectory
    var certificate: String { directory.path + "/certificate.pem" }
    var key: String { directory.path + "/key.pem" }
    var trust: ServerTrust { .authority(certificate) }

    init() throws {
        directory = try TemporaryDirectory()
        try Self.openssl([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=push test",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate,
        ])
    }

    /// Runs openssl, which must succeed; returns what it printed.
    @discardableResult
    static func openssl(_ arguments: [String]) throws -> String {
        let result = try Executable("/usr/bin/openssl", arguments).result()
        guard result.code == 0 else { throw LabError("openssl \(arguments[0]) failed: \(result.errors)") }
        return result.output
    }

    /// Puts the files of `other` in the place of this one's.
    func replace(certificate other: String? = nil, key otherKey: String? = nil) throws {
        for (source, target) in [(other, certificate), (otherKey, key)] {
            if let source { try Data(contentsOf: URL(fileURLWithPath: source)).write(to: URL(fileURLWithPath: target), options: .atomic) }
        }
    }
}
