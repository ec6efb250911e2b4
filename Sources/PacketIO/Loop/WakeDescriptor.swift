import CLinux
import Glibc

/// An eventfd: any thread wakes the one that polls it.
final class WakeDescriptor: Sendable {
    let descriptor: Int32

    init() {
        descriptor = clinux_eventfd()
        precondition(descriptor >= 0, "no descriptor is left for an eventfd")
    }

    deinit { close(descriptor) }

    func wake() {
        var one: UInt64 = 1
        // It fails only when the counter is full; then the other end is awake already.
        _ = write(descriptor, &one, 8)
    }

    /// Takes back what woke the poll.
    func clear() {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
    }
}
