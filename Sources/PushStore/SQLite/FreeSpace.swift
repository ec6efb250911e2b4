import Glibc

/// Watches that the file system keeps some room, so that what makes a full store smaller can still be written: acknowledgements,
/// unregistrations, removal of what expired.
struct FreeSpace: Sendable {
    /// Bytes that are left alone; less on a small file system.
    static let reserve: UInt64 = 64 << 20
    /// At most this part of the file system is left alone.
    static let part: UInt64 = 20

    let directory: String
    /// The most bytes that are left alone.
    let reserve: UInt64

    /// Why nothing may be added now; nil: there is room, or it is unknown.
    ///
    /// - Parameter inside: the bytes that are free in the database itself.
    func shortage(inside: () -> UInt64) -> StoreError? {
        var status = statvfs()
        guard reserve > 0, statvfs(directory, &status) == 0 else { return nil }
        let unit = UInt64(status.f_frsize)
        let (free, wanted) = (UInt64(status.f_bavail) * unit, min(reserve, UInt64(status.f_blocks) * unit / Self.part))
        guard free < wanted, inside() < wanted else { return nil }
        return .unavailable(
            "its file system has \(free >> 10) KiB left, less than the \(wanted >> 10) KiB kept for acknowledgements; free some, "
                + "it then goes on by itself")
    }
}
