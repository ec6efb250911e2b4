/// What is wrong with what a person gave: what it is, and what to do.
public struct RadioError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String

    /// An error with this text.
    public init(_ description: String) { self.description = description }
}
