import GRDB

extension StoreError {
    private static let damage = "the database is damaged: "

    /// The database's content makes no sense.
    static func damaged(_ what: String) -> StoreError {
        .unavailable("\(damage)\(what); stop the workers, look at it with: sluice store check DIR, and restore a back-up")
    }

    /// Whether an error means that the database's content makes no sense.
    static func isDamage(_ error: any Error) -> Bool {
        guard case .unavailable(let reason) = StoreError(describing: error) else { return false }
        return reason.hasPrefix(damage)
    }

    /// What an error of the engine means to the caller.
    init(describing error: any Error) {
        self =
            switch error {
            case let error as StoreError: error
            case let error as DatabaseError: Self.describing(error)
            case let error as RowDecodingError: .damaged("a value is of the wrong kind: \(error)")
            default: .unavailable("\(error)")
            }
    }

    private static func describing(_ error: DatabaseError) -> StoreError {
        let text = error.message ?? "\(error.resultCode)"
        return switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_FORMAT: damaged(text)
        case .SQLITE_FULL: .unavailable("there is no room on its file system (\(text)); free some, it then goes on by itself")
        case .SQLITE_READONLY: .unavailable("its files cannot be written (\(text)); make them writable, it then goes on by itself")
        case .SQLITE_IOERR: .unavailable("reading or writing its files failed (\(text), \(error.extendedResultCode)); see the kernel's log")
        default: .unavailable(text)
        }
    }

    /// Whether an operation that failed so may have done it by itself alone, whatever the others of its batch do.
    static func isOfOneOperation(_ error: any Error) -> Bool {
        switch error {
        case let error as DatabaseError: [.SQLITE_CORRUPT, .SQLITE_CONSTRAINT, .SQLITE_MISMATCH, .SQLITE_TOOBIG].contains(error.resultCode)
        case is StoreError: false
        default: true
        }
    }
}
