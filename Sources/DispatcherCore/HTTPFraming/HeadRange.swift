/// A run of bytes inside a head: offsets from the head's first byte.
public struct HeadRange: Equatable, Sendable {
    public var start: UInt32
    /// One past the last byte.
    public var end: UInt32

    /// The empty range at offset 0.
    public init() {
        start = 0
        end = 0
    }

    /// `start` and `end` must lie inside a head, and a head is shorter than 4 GiB.
    init(_ start: Int, _ end: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.end = UInt32(truncatingIfNeeded: end)
    }

    public var count: Int { Int(end) &- Int(start) }
    public var isEmpty: Bool { end == start }

    /// The bytes themselves. `head` is the head that the range was made for; a range that does not lie in it gives no bytes.
    public func bytes(in head: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        guard start <= end, Int(end) <= head.count else { return .empty }
        return UnsafeRawBufferPointer(rebasing: head[Int(start)..<Int(end)])
    }
}

/// Bounds on what a head may hold.
public struct HeadLimits: Equatable, Sendable {
    /// Bytes of a head, the empty line that ends it included.
    public var head: UInt32
    /// Field lines.
    public var fields: UInt16
    /// Bytes of a request's body, decoded. Not used for responses.
    public var body: UInt64

    public init(head: UInt32 = 16_384, fields: UInt16 = 100, body: UInt64 = 1_048_576) {
        self.head = head
        self.fields = fields
        self.body = body
    }

    /// Bytes of a method: the longest registered one has 17.
    public static let methodLength = 32
    /// Connection options of one message.
    public static let connectionOptions = 16
    /// Empty lines that may stand before a request line (RFC 9112 2.2 asks for at least one).
    public static let leadingEmptyLines: UInt8 = 4
}
