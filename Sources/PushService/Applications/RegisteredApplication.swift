import PushProtocol
import PushStore

/// An application with its key ready for use.
final class RegisteredApplication: Sendable {
    /// The store's number of it.
    let number: Int64
    let key: RSAPublicKey

    init(_ application: Application, permittedKeyBits: ClosedRange<Int>) throws(PublicKeyRefusal) {
        number = application.number
        key = try RSAPublicKey(pbkbase64: application.pbkbase64, permittedBits: permittedKeyBits)
    }
}
