import NIOCore
import PushProtocol
import PushStore

/// Devices that are woken when there is a message for them (chapter 3, "WakeUp"): their sockets end when nothing passes.
extension DeviceSession {
    /// Where the device can be woken; nil when it did not say, or its operator has no NS-WakeUp.
    func wakeUpTarget(_ interface: DeviceInterface?, _ network: MobileNetwork?) -> WakeUpTarget? {
        guard let interface, let network, context.configuration.operators.find(interface, in: network) != nil else { return nil }
        return WakeUpTarget(interface: interface, network: network)
    }

    /// Whether the socket ends when nothing passes.
    func setSleeping(_ sleeps: Bool) {
        self.sleeps = sleeps
        sleepTask?.cancel()
        sleepTask = nil
        if sleeps { scheduleSleep(at: lastTraffic + context.configuration.sleepAfter) }
    }

    private func scheduleSleep(at deadline: NIODeadline) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        sleepTask = eventLoop.scheduleTask(deadline: deadline) { bound.value.sleepIfIdle() }
    }

    private func sleepIfIdle() {
        sleepTask = nil
        guard case .registered = stage, sleeps else { return }
        let due = lastTraffic + context.configuration.sleepAfter
        guard due <= .now() else { return scheduleSleep(at: due) }
        context.counters.add(.socketsClosedAsleep)
        end(CloseCode.asleep)
    }

    /// The device has come for its messages without registering.
    func noteAwake(_ device: DeviceID) {
        let counters = context.counters
        context.store.noteAwake(device) { outcome in
            switch outcome {
            case .success(true): counters.add(.devicesWoken)
            case .success(false): break
            case .failure: counters.add(.storeWritesFailed)
            }
        }
    }
}

extension WorkerContext {
    /// A device has no socket any more. If it can be woken and has missed something, it is.
    func noteDisconnected(_ device: DeviceID, connection: Int64, sentThrough: Int64) {
        store.disconnect(
            device, connection: connection, sentThrough: sentThrough, pauses: configuration.wakeUpPauses, now: store.now
        ) { [self] outcome in
            switch outcome {
            case .success(true): bus.send(.wakeUps, to: .any(.uaUDP))
            case .success(false), .failure(.closed): break
            case .failure: counters.add(.storeWritesFailed)
            }
        }
    }
}
