import NIOConcurrencyHelpers
import PushProtocol

/// What one process of a benchmark has, for its threads.
final class PartState: Sendable {
    private struct Values {
        var fleet: SwarmFleet?
        var clients: RequestClients?
        var plan = SwarmPlan(devices: 1)
        var shared: (application: ApplicationPair, devices: Int)?
        var progress = PartProgress()
        var retries = (count: 0, first: String?.none)
    }

    private let values = NIOLockedValueBox(Values())

    var fleet: SwarmFleet? { values.withLockedValue { $0.fleet } }
    var clients: RequestClients? { values.withLockedValue { $0.clients } }
    /// How many devices and applications there are.
    var plan: SwarmPlan { values.withLockedValue { $0.plan } }
    /// The application that devices of all processes have, and how many of this one's have it.
    var shared: (application: ApplicationPair, devices: Int)? { values.withLockedValue { $0.shared } }
    var progress: PartProgress { values.withLockedValue { $0.progress } }
    var retries: (count: Int, first: String?) { values.withLockedValue { $0.retries } }

    func set(fleet: SwarmFleet, plan: SwarmPlan) {
        values.withLockedValue {
            $0.fleet = fleet
            $0.plan = plan
        }
    }

    func set(clients: RequestClients) {
        values.withLockedValue { $0.clients = clients }
    }

    func set(shared application: ApplicationPair, devices: Int) {
        values.withLockedValue { $0.shared = (application, devices) }
    }

    func retried(_ reason: String) {
        values.withLockedValue {
            $0.retries.count += 1
            $0.retries.first = $0.retries.first ?? reason
        }
    }

    func addConnected() {
        values.withLockedValue { $0.progress.connected += 1 }
    }

    func addShared() {
        values.withLockedValue { $0.progress.shared += 1 }
    }
}
