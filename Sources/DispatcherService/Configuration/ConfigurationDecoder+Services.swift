import DispatcherCore
import Foundation

extension ConfigurationDecoder {
    /// After the pools, whose names the routes refer to.
    mutating func decodeServices(_ sections: [ConfigurationSection]) {
        var names: [String: Int] = [:]
        for section in sections {
            let name = name(section)
            if let first = names[name], !name.isEmpty {
                problems.report(section.line(of: "name"), "services: the name \(name) is taken already, in line \(first)")
            }
            names[name] = names[name] ?? section.line(of: "name")
            var service = ServiceConfiguration(name: name, listen: listen(section), routes: routes(section))
            service.mode = section.choice("mode", ServiceConfiguration.Mode.self)
            service.limits = limits(section.section("limits"))
            service.errorPages = errorPages(section)
            service.isOwnedByKernel = section.flag("owned-by-kernel")
            if result.clientSide.interface == Configuration.loopback, !service.isOwnedByKernel {
                problems.report(
                    section.line(of: "listen"),
                    "services[].listen: every address that answers on \(Configuration.loopback) is the kernel's; say owned-by-kernel: true")
            }
            result.services.append(service)
        }
    }

    private func listen(_ section: ConfigurationSection) -> [Endpoint] {
        section.each("listen").compactMap { item in
            guard case .endpoint(let endpoint) = item.value else { return nil }
            requireUnicast(endpoint.address, item.line, "services[].listen", on: result.clientSide)
            if endpoint.address.isLinkLocal {
                problems.report(
                    item.line, "services[].listen: \(endpoint.address) holds on one link only; name an address that clients can reach")
            }
            return endpoint
        }
    }

    private func routes(_ service: ConfigurationSection) -> [RouteConfiguration] {
        service.sections("routes").map { route in
            let prefix = route.optionalText("path-prefix") ?? ""
            if route.has("path-prefix") && !prefix.hasPrefix("/") {
                problems.report(route.line(of: "path-prefix"), "services[].routes[].path-prefix: \(prefix) does not begin with /")
            }
            let name = route.text("pool")
            let pool = result.pools.firstIndex { $0.name == name }
            if pool == nil && !name.isEmpty {
                problems.report(route.line(of: "pool"), "services[].routes[].pool: there is no pool named \(name)")
            }
            var result = RouteConfiguration(pathPrefix: Array(prefix.utf8), pool: pool ?? 0)
            result.host = Array((route.optionalText("host") ?? "").utf8)
            result.methods = route.each("method").compactMap { item in
                guard case .text(let method) = item.value else { return nil }
                let bytes = Array(method.utf8)
                if !ConfigurationDecoder.isToken(bytes) {
                    problems.report(item.line, "services[].routes[].method: \(method) is not a method")
                }
                return bytes
            }
            if route.has("header") {
                let header = route.section("header")
                result.headerName = Array(header.text("name").utf8)
                result.headerValue = Array((header.optionalText("value") ?? "").utf8)
                if !result.headerName.isEmpty, !ConfigurationDecoder.isToken(result.headerName) {
                    problems.report(
                        header.line(of: "name"), "services[].routes[].header.name: \(header.text("name")) is not a field's name")
                }
            }
            result.upgradesToWebSocket = route.optionalText("upgrade") == "websocket"
            return result
        }
    }

    /// Read now: later the files may be out of reach, for privileges are given up.
    private func errorPages(_ service: ConfigurationSection) -> [ErrorPage] {
        guard service.has("error-pages") else { return [] }
        var pages: [ErrorPage] = []
        for section in service.sections("error-pages") {
            let status = section.number("status")
            let file = section.text("file")
            let type = section.text("type")
            if pages.contains(where: { $0.status == status }) {
                problems.report(section.line(of: "status"), "\(section.path).status: \(status) is there twice")
            }
            if !type.utf8.allSatisfy({ (32...126).contains($0) }) || type.utf8.count > OwnAnswer.longestType {
                problems.report(section.line(of: "type"), "\(section.path).type: \(type) is not a media type")
            }
            guard !file.isEmpty else { continue }
            guard let data = FileManager.default.contents(atPath: file) else {
                problems.report(section.line(of: "file"), "\(section.path).file: cannot read \(file)")
                continue
            }
            if data.count > OwnAnswer.longestPage {
                problems.report(
                    section.line(of: "file"),
                    "\(section.path).file: \(file) has \(data.count) bytes; at most \(OwnAnswer.longestPage) are sent")
            }
            pages.append(ErrorPage(status: status, type: Array(type.utf8), body: Array(data.prefix(OwnAnswer.longestPage))))
        }
        return pages
    }

    private func limits(_ section: ConfigurationSection) -> ServiceLimits {
        var limits = ServiceLimits()
        limits.head = section.number("head")
        limits.fields = section.number("fields")
        limits.responseHead = section.number("response-head")
        limits.body = section.number("body")
        limits.bodyBuffer = section.number("body-buffer")
        limits.headTime = positive(section, "head-time")
        limits.bodyRate = section.number("body-rate")
        limits.sendIdle = positive(section, "send-idle")
        limits.idle = positive(section, "idle")
        limits.tunnelIdle = positive(section, "tunnel-idle")
        limits.connections = section.number("connections")
        limits.perClientConnections = section.number("per-client-connections")
        limits.perClientNewConnections = section.number("per-client-new-connections")
        limits.perClientRequests = section.number("per-client-requests")
        if limits.perClientConnections > limits.connections {
            problems.report(
                section.line(of: "per-client-connections"),
                "\(section.path): per-client-connections \(limits.perClientConnections) is more than connections \(limits.connections)")
        }
        return limits
    }
}
