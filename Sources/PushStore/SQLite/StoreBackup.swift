import Foundation
import GRDB
import Glibc

/// Copies of a store, made while the workers write.
public enum StoreBackup {
    /// Where a database's header says which program it is of (SQLite file format, "Application ID").
    private static let markOffset: off_t = 68

    /// Copies the store in `directory` as it is at one instant into one file, and checks the copy.
    ///
    /// The copy gets its name when it is complete, checked and on disk; until then it has another beside it.
    ///
    /// - Parameter replacing: a file of that name is replaced; otherwise that is an error.
    /// - Throws: `StoreError.unavailable` with what is wrong and what to do.
    public static func make(of directory: String, to file: String, replacing: Bool) throws -> StoreReport {
        let start = ContinuousClock.now
        guard replacing || !FileManager.default.fileExists(atPath: file) else {
            throw StoreError.unavailable("\(file) exists already and is not overwritten; choose another name, or say --force")
        }
        let draft = "\(file).\(getpid()).part"
        defer { for end in ["", "-journal", "-wal", "-shm"] { unlink(draft + end) } }
        var report: StoreReport
        do {
            report = try copy(SQLiteStore.path(in: directory), to: draft)
        } catch {
            guard case .unavailable(let reason) = StoreError(describing: error) else { throw error }
            throw StoreError.unavailable("cannot back up the store in \(directory) to \(file): \(reason)")
        }
        guard report.problems.isEmpty else {
            throw StoreError.damaged("no back-up was written, for the copy shows: \(report.problems.joined(separator: "; "))")
        }
        try publish(draft, as: file, replacing: replacing)
        report.bytes = (try? FileManager.default.attributesOfItem(atPath: file)[.size] as? Int) ?? 0
        report.seconds = (ContinuousClock.now - start) / .seconds(1)
        return report
    }

    private static func copy(_ path: String, to draft: String) throws -> StoreReport {
        let source = try StoreCheck.openForReading(path)
        // Only the owner may read what users were sent.
        let descriptor = open(draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StoreError.unavailable("\(draft): \(SystemError.text(errno))") }
        Glibc.close(descriptor)
        let copy = try DatabaseQueue(path: draft)
        try source.backup(to: copy)
        try source.close()
        let report = try copy.writeWithoutTransaction { db in
            // A single file, without a write-ahead log beside it.
            try db.execute(sql: "PRAGMA journal_mode = DELETE")
            try db.execute(sql: "PRAGMA application_id = \(SQLiteSchema.backupMark)")
            return try StoreCheck.full(db)
        }
        try copy.close()
        return report
    }

    private static func publish(_ draft: String, as file: String, replacing: Bool) throws {
        func failure(_ verb: String) -> StoreError { .unavailable("cannot \(verb) \(file): \(SystemError.text(errno))") }
        let descriptor = open(draft, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("write") }
        defer { Glibc.close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("write") }
        guard (replacing ? rename(draft, file) : link(draft, file)) == 0 else { throw failure("make") }
        let folder = (file as NSString).deletingLastPathComponent
        let directory = open(folder.isEmpty ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw failure("write") }
        defer { Glibc.close(directory) }
        guard fsync(directory) == 0 else { throw failure("write") }
    }

    // MARK: Restoring

    /// By how much the sequence numbers of a restored store jump.
    static let jump: ClosedRange<Int64> = 1 << 32...1 << 40

    /// Makes a store of the back-up that was put in its place; does nothing to a store.
    ///
    /// Messages that were accepted after the back-up may have been delivered. New ones must not get their numbers, by which devices know
    /// duplicates: the numbers jump.
    static func continueRestored(_ path: String) throws {
        guard isBackup(path) else { return }
        var status = stat()
        guard stat(path + "-wal", &status) != 0 || status.st_size == 0 else {
            throw StoreError.unavailable(
                "it is a restored back-up, but \(path)-wal is of the database before; remove \(path)-wal and \(path)-shm")
        }
        // Not yet in WAL mode: the mark is in the file itself when this is done, and not half of it whatever happens.
        let queue = try DatabaseQueue(path: path)
        try queue.write { db in
            try db.execute(sql: "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'message'", arguments: [Int64.random(in: jump)])
            try db.execute(sql: "PRAGMA application_id = \(SQLiteSchema.mark)")
        }
        try queue.close()
    }

    private static func isBackup(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { Glibc.close(descriptor) }
        var bytes: [UInt8] = [0, 0, 0, 0]
        return pread(descriptor, &bytes, 4, markOffset) == 4 && bytes.reduce(0) { $0 << 8 | Int($1) } == SQLiteSchema.backupMark
    }
}
