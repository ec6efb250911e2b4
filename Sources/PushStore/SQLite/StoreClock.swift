import GRDB

/// The store's time: the time since the boot, plus what the processes of this boot have agreed on in the table `clock`.
///
/// The first process after a boot sets that from the machine's clock, but not to before the latest time that the store has seen: a clock
/// that comes up in 1970 makes nothing expire later. From then on no step of the machine's clock, forward or back, is felt.
struct StoreClock: Sendable {
    let machine: @Sendable () -> MachineTime
    /// Milliseconds from the boot's time to the store's.
    private let ahead: Int64

    /// The clock of the store in `db`; in the transaction that opens it.
    init(_ db: Database, machine: @escaping @Sendable () -> MachineTime) throws {
        self.machine = machine
        let time = machine()
        let row = try Row.fetchOne(db, sql: "SELECT boot, ahead, latest FROM clock")
        if let row, let boot = time.boot, try row.decode(String.self, atIndex: 0) == boot {
            ahead = try row.decode(atIndex: 1)
            return
        }
        let latest = try row?.decode(Int64.self, atIndex: 2) ?? 0
        let now = max(time.wall, latest)
        ahead = now - time.sinceBoot
        try db.execute(sql: "DELETE FROM clock")
        try db.execute(sql: "INSERT INTO clock (boot, ahead, latest) VALUES (?, ?, ?)", arguments: [time.boot ?? "", ahead, now])
    }

    /// Milliseconds since 1970 UTC, as far as the machine knew when it booted.
    var now: Int64 { machine().sinceBoot + ahead }

    /// How old the noted time may become, in milliseconds.
    static let noteInterval: Int64 = 60_000

    /// Notes the time for the next boot, once a minute.
    static func note(_ now: Int64, _ db: Database) throws {
        try db.cachedStatement(sql: "UPDATE clock SET latest = ?1 WHERE latest < ?1 - ?2").execute(arguments: [now, noteInterval])
    }
}
