import NIOCore
import NIOHTTP1
import PushProtocol

/// The front for application servers (NS-AS, chapter 4).
struct ApplicationServerRoutes: HTTPRoutes {
    let context: WorkerContext

    func route(_ request: HTTPRequestHead, path: String, client: IPAddress?) -> HTTPRoute {
        if let common = CommonRoutes.route(request, path: path, context: context) { return common }
        if context.phase != .running {
            context.counters.add(.notifiesUnavailable)
            return .answer(HTTPAnswer(.unavailable))
        }
        if let client, let seconds = context.notifyLimiter?.refuses(client) {
            context.counters.add(.notifiesRefusedRate)
            return .answer(HTTPAnswer(.tooMany, retryAfter: seconds))
        }
        let prefix = "/notify/"
        guard path.hasPrefix(prefix), let token = AppToken(path.dropFirst(prefix.count)) else { return refuse(.noAppToken) }
        guard request.method == .POST else { return refuse(.badMethod) }
        let context = context
        return .read { body, answer in
            Notify(context: context, token: token, body: body, answer: answer).begin()
        }
    }

    private func refuse(_ refusal: NotifyRefusal) -> HTTPRoute {
        context.counters.add(.notifiesRefused)
        return .answer(HTTPAnswer(refusal))
    }
}
