import ArgumentParser
import PushProtocol

/// `sluice keys`
struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "The keys of application servers.", subcommands: [New.self])

    /// `sluice keys new`
    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make an RSA key pair: FILE is private, FILE.pub is public.")

        @Option(help: ArgumentHelp("Where the private key goes (PEM, readable by you only).", valueName: "file"))
        var out = KeyFiles.defaultPath

        @Option(help: "Size of the key in bits.")
        var bits = 2048

        func validate() throws {
            guard (2048...8192).contains(bits) else { throw ValidationError("--bits \(bits): must be in 2048...8192") }
        }

        func run() throws {
            let key = try RSAPrivateKey.generate(bits: bits)
            try KeyFiles.write(key, to: out)
            Output.line("private key: \(out) (keep it secret; application servers sign with it: sluice push --key \(out))")
            let publicPath = KeyFiles.publicPath(of: out)
            Output.line("public key:  \(publicPath) (devices register it: sluice listen --public-key \(publicPath))")
        }
    }
}
