import NIOCore
import NIOHTTP1
import PushProtocol
import PushStore

/// One POST of an application server, from the read body to the answer: look up the application, read the JSON, check the signature,
/// store, tell the monitor.
struct Notify: Sendable {
    let context: WorkerContext
    let token: AppToken
    let body: ByteBuffer
    let answer: @Sendable (HTTPAnswer) -> Void

    /// Looks the application up. The answer is given on any thread.
    func begin() {
        if let application = context.applications[token] {
            check(application, isFresh: false)
        } else {
            lookUp()
        }
    }

    private func lookUp() {
        context.store.application(token) { outcome in
            switch outcome {
            case .success(nil): refuse(.noAppToken)
            case .success(let found?):
                guard let application = try? context.applications.add(found, token) else {
                    refuse(.noAppToken)
                    return
                }
                check(application, isFresh: true)
            case .failure(let error): fail(error)
            }
        }
    }

    private func check(_ application: RegisteredApplication, isFresh: Bool) {
        do throws(NotifyRefusal) {
            let request = try read(now: context.now)
            guard let signature = application.key.signature(in: request.signature),
                application.key.verifies(signature, of: Array(request.message.utf8))
            else { throw .badSignature }
            store(request, signature: signature, for: application, isFresh: isFresh)
        } catch {
            refuse(error)
        }
    }

    private func read(now: Int64) throws(NotifyRefusal) -> NotifyRequest {
        let outcome = body.withUnsafeReadableBytes { bytes -> Result<NotifyRequest, NotifyRefusal> in
            do throws(NotifyRefusal) {
                return .success(try NotifyRequest(body: bytes, limits: context.configuration.limits, now: now))
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }

    private func store(_ request: NotifyRequest, signature: [UInt8], for application: RegisteredApplication, isFresh: Bool) {
        let replayKey = context.configuration.replayProtection ? ReplayKey(id: request.id, signature: signature) : nil
        let message = NewMessage(
            application: application.number, body: request.body, accepted: context.store.now, ttl: request.ttl, replayKey: replayKey,
            wantsRoutes: context.configuration.roles.contains(.monitor))
        let (handed, handedTime) = (NIODeadline.now(), MessageStep.now())
        context.store.accept(message) { outcome in
            switch outcome {
            case .success(let accepted?):
                context.storeTrouble.written()
                if accepted.isReplay {
                    context.counters.add(.notifiesReplayed)
                    context.note(.replayed, accepted.sequence, application: token)
                } else {
                    context.counters.add(.notifiesAccepted)
                    let took = (NIODeadline.now() - handed).nanoseconds
                    context.acceptTimes.add(seconds: Double(took) / 1e9)
                    context.messageLog?.add(
                        MessageStep(
                            event: .accepted, sequence: accepted.sequence, application: token, took: took / 1000, time: handedTime))
                    route(message, accepted)
                }
                answer(.accepted(MessageID(store: context.store.identity, sequence: accepted.sequence)))
            case .success(nil):
                // Unregistered since it was looked up; a new registration would have another number.
                context.applications.remove(token)
                if isFresh { refuse(.noAppToken) } else { lookUp() }
            case .failure(let error): fail(error)
            }
        }
    }

    /// Tells the workers that hold the sockets, with the message, if the store knows them already; else a monitor finds them.
    private func route(_ message: NewMessage, _ accepted: Acceptance) {
        guard let routes = accepted.routes else {
            context.bus.send(.accepted(application: message.application, sequence: accepted.sequence), to: .any(.monitor))
            return
        }
        let stored = StoredMessage(
            sequence: accepted.sequence, appToken: token, body: message.body, isTransient: message.ttl == 0, accepted: message.accepted,
            expires: routes.expires)
        if routes.connected.isEmpty { context.note(.routed, accepted.sequence, devices: 0, reason: "no device is connected") }
        for (worker, group) in Dictionary(grouping: routes.connected, by: \.recipient.worker) {
            context.note(.routed, accepted.sequence, to: worker, devices: group.count)
            for route in group { context.bus.send(Self.note(stored, route), to: .worker(worker)) }
        }
    }

    private static func note(_ message: StoredMessage, _ route: MessageRoute) -> BusNote {
        guard let previous = route.previous, message.body.bytes.count <= BusNote.bodyLimit else {
            return .arrived(sequence: message.sequence, devices: [route.recipient.device])
        }
        return .message(message, device: route.recipient.device, previous: previous)
    }

    private func refuse(_ refusal: NotifyRefusal) {
        context.counters.add(refusal == .badSignature ? .notifiesRefusedSignature : .notifiesRefused)
        context.note(.refused, application: token, reason: refusal.reason)
        answer(HTTPAnswer(refusal))
    }

    private func fail(_ error: StoreError) {
        context.counters.add(.notifiesUnavailable)
        context.storeTrouble.failed(error)
        context.note(.refused, application: token, reason: "the store is unavailable")
        answer(HTTPAnswer(.unavailable))
    }
}

extension HTTPAnswer {
    /// The answer to a message that is on disk.
    static func accepted(_ messageID: MessageID) -> HTTPAnswer {
        var answer = HTTPAnswer.text("")
        answer.contentType = "application/json"
        answer.body = ErrorBody.accepted(messageID)
        return answer
    }
}
