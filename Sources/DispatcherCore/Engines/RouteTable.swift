/// The routes of all services in plain memory, so that the packet path counts no references. They change only as a whole.
struct RouteTable: ~Copyable {
    /// `RouteConfiguration`; all conditions that are given must hold.
    struct Route {
        let pathPrefix: UnsafeRawBufferPointer
        let host: UnsafeRawBufferPointer
        /// Empty = any.
        let methods: UnsafeBufferPointer<UnsafeRawBufferPointer>
        let headerName: UnsafeRawBufferPointer
        let headerValue: UnsafeRawBufferPointer
        let upgradesToWebSocket: Bool
        let pool: Int

        /// Whether any request goes there, whatever its head says.
        var isForAll: Bool { pathPrefix.isEmpty && host.isEmpty && methods.isEmpty && headerName.isEmpty && !upgradesToWebSocket }
    }

    /// By service.
    private let lists: UnsafeMutableBufferPointer<UnsafeBufferPointer<Route>>

    init(_ services: [ServiceConfiguration]) {
        let lists = UnsafeMutableBufferPointer<UnsafeBufferPointer<Route>>.allocate(capacity: services.count)
        for (index, service) in services.enumerated() {
            lists.initializeElement(at: index, to: Self.copy(service.routes.map(Self.route)))
        }
        self.lists = lists
    }

    deinit {
        for list in lists {
            for route in list {
                for bytes in [route.pathPrefix, route.host, route.headerName, route.headerValue] + route.methods { bytes.deallocate() }
                route.methods.deallocate()
            }
            list.deallocate()
        }
        lists.deallocate()
    }

    /// In the order in which they are tried.
    @inline(__always) subscript(service: Int) -> UnsafeBufferPointer<Route> {
        precondition(service >= 0 && service < lists.count)
        return lists[service]
    }

    private static func route(_ settings: RouteConfiguration) -> Route {
        Route(
            pathPrefix: bytes(settings.pathPrefix), host: bytes(settings.host), methods: copy(settings.methods.map(bytes)),
            headerName: bytes(settings.headerName), headerValue: bytes(settings.headerValue),
            upgradesToWebSocket: settings.upgradesToWebSocket, pool: settings.pool)
    }

    private static func bytes(_ array: [UInt8]) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(copy(array)) }

    private static func copy<Element>(_ array: [Element]) -> UnsafeBufferPointer<Element> {
        let memory = UnsafeMutableBufferPointer<Element>.allocate(capacity: array.count)
        _ = memory.initialize(from: array)
        return UnsafeBufferPointer(memory)
    }
}
