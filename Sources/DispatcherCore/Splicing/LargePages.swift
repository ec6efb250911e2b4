import Glibc

/// Pages of 2 MiB for tables so large that a processor cannot keep in mind where their small pages lie: among a million connections, of
/// which any may speak next, finding the page costs more than reading it (madvise(2), MADV_HUGEPAGE). Where the system has none, or is told
/// to give none, small ones stay.
enum LargePages {
    static let size = 2 << 20
    /// What fills up from its beginning has small pages so far, bytes: memory is then touched only as far as it has been used.
    static let first = 32 << 20
    /// What is used all over from the start has large ones from this size on, bytes.
    static let leastSpread = 8 << 20

    /// For memory that nothing was written to yet.
    /// - Parameter start: bytes from which on large pages are asked for.
    static func advise(_ memory: UnsafeMutableRawPointer, bytes: Int, from start: Int) {
        let first = (Int(bitPattern: memory) + start + size - 1) & ~(size - 1)
        let last = (Int(bitPattern: memory) + bytes) & ~(size - 1)
        guard first < last, let place = UnsafeMutableRawPointer(bitPattern: first) else { return }
        _ = madvise(place, last - first, MADV_HUGEPAGE)
    }
}
