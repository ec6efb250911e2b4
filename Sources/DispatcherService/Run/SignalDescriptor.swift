import CLinux
import Glibc

/// The signals that the service heeds, as a descriptor. They are blocked in this thread and in all that it starts afterwards.
struct SignalDescriptor {
    let descriptor: Int32

    init() throws(ServiceError) {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGUSR1] { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        // A log that nobody reads any more must not end the dispatcher.
        signal(SIGPIPE, SIG_IGN)
        descriptor = clinux_signalfd(&set)
        guard descriptor >= 0 else { throw ServiceError(.failed, "cannot receive signals: \(String(cString: strerror(errno)))") }
    }

    /// The next signal that waits; nil = none.
    func next() -> Int32? {
        let number = clinux_next_signal(descriptor)
        return number == 0 ? nil : number
    }
}
