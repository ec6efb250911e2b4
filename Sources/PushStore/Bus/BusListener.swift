/// Whom a bus tells what comes.
///
/// A structure and not bare closures, because a closure behind a `Mutex` would be wrapped once more by each access, and so be called
/// through as many layers as there were notes before.
struct BusListener: Sendable {
    /// A note has come.
    let receive: @Sendable (BusNote) -> Void
    /// A worker is there no more.
    let gone: @Sendable (WorkerName) -> Void
}
