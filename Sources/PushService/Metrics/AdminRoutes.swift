import NIOHTTP1

/// What the admin listener serves: the metrics, and `/status` as the fronts do. It is for the operator, not for the public.
struct AdminRoutes: HTTPRoutes {
    let context: WorkerContext

    func route(_ request: HTTPRequestHead, path: String, client: IPAddress?) -> HTTPRoute {
        switch (path, request.method) {
        case ("/metrics", .GET), ("/metrics", .HEAD):
            var answer = HTTPAnswer.text(WorkerMetricsPage(context).text)
            answer.contentType = WorkerMetricsPage.contentType
            return .answer(answer)
        case ("/status", .GET), ("/status", .HEAD): return CommonRoutes.route(request, path: path, context: context) ?? .answer(.notFound)
        case ("/metrics", _), ("/status", _):
            return .answer(.error(.methodNotAllowed, "No valid HTTP method", fields: [("Allow", "GET, HEAD")]))
        default: return .answer(.error(.notFound, "Not found; the admin listener has /metrics and /status"))
        }
    }
}
