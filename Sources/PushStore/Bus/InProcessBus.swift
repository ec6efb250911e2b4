import PushProtocol
import Synchronization

/// A bus between workers of one process.
public final class InProcessBus: MessageBus {
    /// What the buses of one process meet at.
    public final class Hub: Sendable {
        fileprivate struct Member {
            let roles: Set<BusRole>
            let listener: BusListener
        }
        fileprivate let members = Mutex<[WorkerName: Member]>([:])

        /// A hub without members.
        public init() {}
    }

    public let name = WorkerName()
    private let hub: Hub
    private let roles: Set<BusRole>
    private let listener = Mutex<BusListener?>(nil)
    private let lost = Atomic<Int>(0)

    /// A bus at `hub` for a worker with these roles.
    public init(hub: Hub, roles: Set<BusRole>) {
        self.hub = hub
        self.roles = roles
    }

    public func start(_ receive: @escaping @Sendable (BusNote) -> Void, gone: @escaping @Sendable (WorkerName) -> Void) {
        let listener = BusListener(receive: receive, gone: gone)
        self.listener.withLock { $0 = listener }
        hub.members.withLock { $0[name] = Hub.Member(roles: roles, listener: listener) }
    }

    public func send(_ note: BusNote, to address: BusAddress) {
        let member = hub.members.withLock { members -> Hub.Member? in
            switch address {
            case .worker(let name): members[name]
            case .any(let role):
                members[name].flatMap { $0.roles.contains(role) ? $0 : nil } ?? members.values.first { $0.roles.contains(role) }
            }
        }
        guard let member else {
            lost.add(1, ordering: .relaxed)
            if case .worker(let name) = address { listener.withLock { $0 }?.gone(name) }
            return
        }
        member.listener.receive(note)
    }

    public var lostNotes: Int { lost.load(ordering: .relaxed) }

    public func close() {
        hub.members.withLock { $0[name] = nil }
    }
}
