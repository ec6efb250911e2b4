import CLinux
import Glibc

/// A thread of our own, for work that must not share one: packets, the access log.
final class ServiceThread: @unchecked Sendable {
    private var handle = pthread_t()

    /// - Parameter name: at most 15 bytes, as `ps -L` shows it.
    init(named name: String, _ body: @escaping @Sendable () -> Void) throws(ServiceError) {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        let status = pthread_create(
            &handle, nil,
            { argument in
                let start = Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
                clinux_name_thread(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        guard status == 0 else {
            start.release()
            throw ServiceError(.failed, "cannot start the thread \(name): \(String(cString: strerror(status)))")
        }
    }

    /// Waits until it has ended; once.
    func join() { pthread_join(handle, nil) }

    private final class Start {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}

/// Carries a value that cannot be copied into another thread, once.
final class Handover<Value: ~Copyable>: @unchecked Sendable {
    private var value: Value?

    init(_ value: consuming Value) { self.value = consume value }

    func take() -> Value { value.take()! }
}
