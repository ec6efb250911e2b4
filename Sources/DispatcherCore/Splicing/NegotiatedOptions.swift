/// What both ends of a connection have agreed upon in their SYNs (RFC 7323 section 2, RFC 2018 section 2).
struct NegotiatedOptions: Equatable {
    /// How far the windows that we show are shifted: 128 bytes a step, 8 MiB at most.
    static let ourShift: UInt8 = 7

    /// How far the peer's windows are shifted; 0 without the option, at most 14.
    var peerShift: UInt8 = 0
    /// How far ours are shifted; 0 when the peer did not offer the option.
    var shift: UInt8 = 0
    var sackPermitted = false

    /// Neither option.
    init() {}

    /// - Parameters:
    ///   - peerScale: as the peer's SYN had it; nil = absent.
    ///   - sackPermitted: whether both SYNs permitted it.
    init(peerScale: UInt8?, sackPermitted: Bool) {
        if let peerScale {
            peerShift = min(peerScale, 14)
            shift = Self.ourShift
        }
        self.sackPermitted = sackPermitted
    }

    /// The bytes that a window field of the peer stands for. A SYN's own window is never scaled.
    func bytes(_ field: UInt16) -> Int { Int(field) << Int(peerShift) }

    /// The most bytes that can be shown.
    var largestWindow: Int { 65_535 << Int(shift) }

    /// The window field that shows at most `bytes`.
    func field(atMost bytes: Int) -> UInt16 { UInt16(min(max(bytes, 0) >> Int(shift), 65_535)) }

    /// The window field that shows at least `bytes`, up to a step more.
    func field(atLeast bytes: Int) -> UInt16 { UInt16(min((max(bytes, 0) + (1 << Int(shift)) - 1) >> Int(shift), 65_535)) }
}
