import PushProtocol
import PushStore

/// An application with its key ready for use.
struct RegisteredApplication: Sendable {
    /// The store's number of it.
    let number: Int64
    let key: RSAPublicKey
}

/// The applications that were looked up, and their keys: those of one application server have one key, which is kept once.
final class RegisteredApplications: Sendable {
    private let applications: TwoGenerationCache<AppToken, RegisteredApplication>
    private let keys: TwoGenerationCache<String, RSAPublicKey>
    private let permittedKeyBits: ClosedRange<Int>

    /// - Parameters:
    ///   - limit: how many applications are kept, at some 150 bytes each.
    ///   - keyLimit: how many keys are, at some 3 KiB each.
    init(limit: Int = 65_536, keyLimit: Int = 16_384, permittedKeyBits: ClosedRange<Int>) {
        applications = TwoGenerationCache(limit: limit)
        keys = TwoGenerationCache(limit: keyLimit)
        self.permittedKeyBits = permittedKeyBits
    }

    /// The application, if it has been looked up.
    subscript(token: AppToken) -> RegisteredApplication? { applications[token] }

    /// Keeps what the store has found.
    func add(_ application: Application, _ token: AppToken) throws(PublicKeyRefusal) -> RegisteredApplication {
        let key: RSAPublicKey
        if let known = keys[application.pbkbase64] {
            key = known
        } else {
            key = try RSAPublicKey(pbkbase64: application.pbkbase64, permittedBits: permittedKeyBits)
            keys[application.pbkbase64] = key
        }
        let registered = RegisteredApplication(number: application.number, key: key)
        applications[token] = registered
        return registered
    }

    /// It is not in the store any more.
    func remove(_ token: AppToken) {
        applications[token] = nil
    }
}
