import ArgumentParser
import Lab

/// Whom `https` and `wss` URLs may lead to.
struct TrustOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Trust certificates of this authority (PEM) instead of those that the system trusts.", valueName: "file"))
    var ca: String?

    @Flag(help: "Take any certificate: for tests only, since anybody may then be the server.")
    var insecure = false

    func validate() throws {
        if ca != nil, insecure { throw ValidationError("--ca and --insecure exclude each other: give one of them") }
    }

    var trust: ServerTrust { insecure ? .anyone : ca.map { .authority($0) } ?? .system }
}
