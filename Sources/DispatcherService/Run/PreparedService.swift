import Foundation
public import Logging

/// A configuration and its filters, read and checked: all that can be known without touching the network.
public struct PreparedService: CustomStringConvertible, Sendable {
    let configuration: Configuration
    let filters: ExpandedFilters
    private let origin: String
    private let file: String
    private let filterDirectory: String?
    private let executable: String
    /// Where the run is recorded; nil = it is not.
    public var recordDirectory: String?

    /// - Parameters:
    ///   - file: the configuration file.
    ///   - filterDirectory: of `--filters`.
    ///   - executable: the path of this program, beside which filters are looked for.
    /// - Throws: `ServiceError` with everything that is wrong.
    public init(file: String, filterDirectory: String?, executable: String) throws(ServiceError) {
        self.file = file
        self.filterDirectory = filterDirectory
        self.executable = executable
        let text: String
        do {
            text = try String(contentsOfFile: file, encoding: .utf8)
        } catch {
            throw ServiceError(
                .failed,
                "cannot read the configuration file \(file): it must exist, be readable (by the user of the key `user`, when it is loaded again) and be UTF-8"
            )
        }
        do throws(ConfigurationError) {
            configuration = try Configuration(yaml: text, file: file)
        } catch {
            throw ServiceError(.failed, error.description)
        }
        do throws(FilterError) {
            let found = try CaptureFilters.find(directory: filterDirectory, executable: executable) {
                try? String(contentsOfFile: $0, encoding: .utf8)
            }
            filters = try found.expanded(for: configuration)
            origin = found.origin
        } catch {
            throw ServiceError(.failed, error.description)
        }
    }

    /// The same files, read again.
    func again() throws(ServiceError) -> PreparedService {
        try PreparedService(file: file, filterDirectory: filterDirectory, executable: executable)
    }

    public var logLevel: Logger.Level { Logger.Level(rawValue: configuration.logLevel) ?? .info }

    /// What `--check` says.
    public var description: String {
        let captures =
            configuration.sidesShareInterface
            ? "filter of \(configuration.clientSide.interface): \(filters.both)"
            : "filter of \(configuration.clientSide.interface) (client side): \(filters.client)\nfilter of \(configuration.serverSide.interface) (server side): \(filters.server)"
        // Whether the host forwards is not asked here: that touches the network's settings.
        let kept = GuardRules(configuration, forwards: .init()).rules.map { "\nkept from the kernel by nftables: \($0.match)" }.joined()
        return "configuration: ok\nfilters: \(origin)\n\(captures)\(kept)"
    }
}
