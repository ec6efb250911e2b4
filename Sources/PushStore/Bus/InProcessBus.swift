import PushProtocol
import Synchronization

/// A bus between workers of one process.
public final class InProcessBus: MessageBus {
    /// What the buses of one process meet at.
    public final class Hub: Sendable {
        fileprivate struct Member {
            let isMonitor: Bool
            let receive: @Sendable (BusNote) -> Void
        }
        fileprivate let members = Mutex<[WorkerName: Member]>([:])

        /// A hub without members.
        public init() {}
    }

    public let name = WorkerName()
    private let hub: Hub
    private let isMonitor: Bool
    private let lost = Atomic<Int>(0)

    /// A bus at `hub` for a worker, which has the monitor role or not.
    public init(hub: Hub, isMonitor: Bool) {
        self.hub = hub
        self.isMonitor = isMonitor
    }

    public func start(_ receive: @escaping @Sendable (BusNote) -> Void) {
        hub.members.withLock { $0[name] = Hub.Member(isMonitor: isMonitor, receive: receive) }
    }

    public func send(_ note: BusNote, to address: BusAddress) {
        let member = hub.members.withLock { members -> Hub.Member? in
            switch address {
            case .worker(let name): members[name]
            case .monitor: members[name].flatMap { $0.isMonitor ? $0 : nil } ?? members.values.first { $0.isMonitor }
            }
        }
        guard let member else {
            lost.add(1, ordering: .relaxed)
            return
        }
        member.receive(note)
    }

    public var lostNotes: Int { lost.load(ordering: .relaxed) }

    public func close() {
        hub.members.withLock { $0[name] = nil }
    }
}
