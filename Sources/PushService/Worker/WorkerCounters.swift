import Synchronization

/// What a worker counts: what it did, and the reason of everything that it refused, dropped or did again.
public enum WorkerCount: Int, CaseIterable, Sendable {
    case tokensIssued, tokensRefusedRate
    case socketsOpened, socketsClosedReplaced, socketsClosedSilent, socketsClosedProtocol, socketsClosedDraining
    case devicesRegistered, deviceTokensRefused, deviceCommandsRefused, deviceCommandsUnavailable
    case notifiesAccepted, notifiesReplayed, notifiesRefused, notifiesRefusedSignature, notifiesRefusedRate, notifiesUnavailable
    case notificationsSent, notificationsSentAgain, notificationsSentOnRequest
    case acknowledged, acknowledgementsUnknown, acknowledgementsPostponed, acknowledgementsLost
    case messagesExpired, messagesDropped, devicesUnseen, storeReadsFailed, storeWritesFailed, notesLost, httpErrors
    /// Times that a front stopped accepting connections.
    case acceptingStopped
    case tlsHandshakes, tlsFailedTimeout, tlsFailedClosed, tlsFailedNotTLS, tlsFailedVersion, tlsFailedCipher, tlsFailedAlert
    case tlsFailedOther, tlsErrors
    case certificateReloaded, certificateRefused, tokenKeysReloaded, tokenKeysRefused, messageLogLinesLost
    /// Devices that sleep: sockets closed for it, wake-ups that became due, devices that came after one.
    case socketsClosedAsleep, wakeUpsRequested, devicesWoken
    /// Calls of NS-WakeUp: done; refused by it; no answer of any of its servers; devices of an operator that is not in the table; devices
    /// that had nothing to come for any more.
    case wakeUpsCalled, wakeUpsRefused, wakeUpsFailed, wakeUpsWithoutOperator, wakeUpsNeedless
    /// NS-WakeUp's own: packets sent; requests refused; packets that could not be sent.
    case wakeUpPacketsSent, wakeUpRequestsRefused, wakeUpPacketsFailed
}

/// The counters of one worker.
public final class WorkerCounters: Sendable {
    private let values = Mutex([Int](repeating: 0, count: WorkerCount.allCases.count))

    func add(_ count: WorkerCount, _ amount: Int = 1) {
        values.withLock { $0[count.rawValue] += amount }
    }

    /// The count now.
    public subscript(count: WorkerCount) -> Int {
        values.withLock { $0[count.rawValue] }
    }

    /// All counts that are not zero, by name.
    public var nonZero: [(name: String, value: Int)] {
        let values = values.withLock { $0 }
        return WorkerCount.allCases.compactMap { values[$0.rawValue] == 0 ? nil : ("\($0)", values[$0.rawValue]) }
    }
}
