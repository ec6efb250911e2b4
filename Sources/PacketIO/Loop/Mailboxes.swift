public import DispatcherCore
import Synchronization

/// The mailboxes of all packet threads as one: a command goes to each, and what all answer is one answer.
public final class Mailboxes: Sendable {
    /// One for each shard, the leader's first.
    public let all: [Mailbox]

    public init(_ all: [Mailbox]) {
        precondition(!all.isEmpty)
        self.all = all
    }

    public convenience init(shards: Int) { self.init((0..<shards).map { _ in Mailbox() }) }

    /// From any thread: each packet thread does it.
    public func post(_ command: EngineCommand) {
        for mailbox in all { mailbox.post(.command(command)) }
    }

    public func quit() {
        for mailbox in all { mailbox.post(.quit) }
    }

    /// Announces our addresses: the leader does.
    public func announce() { all[0].post(.announce) }

    /// From any thread. `receive` is called on a packet thread, once all have answered: must not block.
    public func report(_ receive: @escaping @Sendable (LoopReport) -> Void) {
        gather(receive: { receive(.merged($0)) }) { mailbox, answer in mailbox.post(.report(answer)) }
    }

    /// Another configuration, of all shards together: each is asked whether it could take its part, and then takes it.
    /// - Parameter receive: called on a packet thread with why it cannot be, nil = it is taken: must not block.
    public func reconfigure(_ other: EngineConfiguration, _ receive: @escaping @Sendable (String?) -> Void) {
        let parts = all.indices.map { other.part(Shard($0, of: all.count)) }
        guard all.count > 1 else { return all[0].post(.reconfigure(other, receive)) }
        let boxes = all
        let takes: @Sendable ([String?]) -> Void = { faults in
            if let fault = faults.lazy.compactMap({ $0 }).first { return receive(fault) }
            Mailboxes(boxes).gather(receive: { receive($0.lazy.compactMap { $0 }.first) }) { (mailbox, index, answer) in
                mailbox.post(.reconfigure(parts[index], answer))
            }
        }
        gather(receive: takes) { (mailbox, index, answer) in mailbox.post(.judge(parts[index], answer)) }
    }

    private func gather<Value: Sendable>(
        receive: @escaping @Sendable ([Value]) -> Void, ask: (Mailbox, @escaping @Sendable (Value) -> Void) -> Void
    ) {
        gather(receive: receive) { mailbox, _, answer in ask(mailbox, answer) }
    }

    /// Asks each, and hands on what they have answered, in their order.
    private func gather<Value: Sendable>(
        receive: @escaping @Sendable ([Value]) -> Void, ask: (Mailbox, Int, @escaping @Sendable (Value) -> Void) -> Void
    ) {
        let answers = Answers<Value>(all.count)
        for (index, mailbox) in all.enumerated() {
            ask(mailbox, index) { if let whole = answers.take($0, from: index) { receive(whole) } }
        }
    }

    private final class Answers<Value: Sendable>: Sendable {
        private let values: Mutex<[Value?]>

        init(_ count: Int) { values = Mutex([Value?](repeating: nil, count: count)) }

        /// - Returns: all of them, with the last.
        func take(_ value: Value, from index: Int) -> [Value]? {
            values.withLock { values in
                values[index] = value
                let known = values.compactMap { $0 }
                return known.count == values.count ? known : nil
            }
        }
    }
}
