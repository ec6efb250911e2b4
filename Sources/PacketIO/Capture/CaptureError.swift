/// Why a capture could not be opened or went wrong: what failed, on what, why, and what to do.
public struct CaptureError: Error, Equatable, CustomStringConvertible {
    public enum Kind: Equatable, Sendable { case notPermitted, noSuchInterface, interfaceDown, notEthernet, badFilter, failed }

    public var kind: Kind
    public var description: String

    public init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
