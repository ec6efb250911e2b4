/// Why the service did not start or did not go on: what failed, on what, why, and what to do.
public struct ServiceError: Error, Equatable, CustomStringConvertible {
    /// Exit codes of the command line.
    public enum Code: Int32, Sendable {
        case failed = 1
        case usage = 2
        case notPermitted = 3
    }

    public var code: Code
    public var description: String

    public init(_ code: Code = .failed, _ description: String) {
        self.code = code
        self.description = description
    }
}
