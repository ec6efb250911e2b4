import Glibc
import Logging
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import PushService

@Suite("Push: accepting connections")
struct AcceptGateTests {
    /// Counts the reads that reach the socket.
    private final class Socket: ChannelOutboundHandler {
        typealias OutboundIn = any Channel
        var reads = 0
        func read(context: ChannelHandlerContext) { reads += 1 }
    }

    private struct Log: LogHandler {
        let lines: @Sendable (String) -> Void
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) { lines("\(event.level): \(event.message)") }
    }

    private final class Lines: Sendable {
        let all = Mutex<[String]>([])
    }

    private let socket = Socket()
    private let connections = FrontConnections()
    private let counters = WorkerCounters()
    private let lines = Lines()
    private let loop = EmbeddedEventLoop()
    private let channel: EmbeddedChannel

    init() throws {
        let lines = lines
        let logger = Logger(label: "test") { _ in Log(lines: { line in lines.all.withLock { $0.append(line) } }) }
        let connections = connections
        let budget = DescriptorBudget(connections: connections) { .init(limit: 100, open: connections.open) }
        let gate = AcceptGate(front: .userAgents, connections: connections, budget: budget, counters: counters, logger: logger)
        channel = EmbeddedChannel(loop: loop)
        try channel.pipeline.syncOperations.addHandlers([socket, gate])
    }

    private func fail(_ code: CInt) {
        channel.pipeline.fireErrorCaught(IOError(errnoCode: code, reason: "accept"))
        channel.pipeline.read()
    }

    @Test(
        "After accept(2) ran out, nothing is accepted for a while; the shortage is said once", arguments: [EMFILE, ENFILE, ENOBUFS, ENOMEM])
    func exhausted(code: CInt) {
        for _ in 0..<3 {
            fail(code)
            #expect(socket.reads == 0)
            loop.advanceTime(by: .milliseconds(199))
            #expect(socket.reads == 0)
            loop.advanceTime(by: .milliseconds(1))
            #expect(socket.reads == 1)
            socket.reads = 0
        }
        #expect(counters[.acceptingStopped] == 1)
        #expect(lines.all.withLock { $0.count } == 1)
        loop.advanceTime(by: .seconds(2))
        #expect(lines.all.withLock { $0.last } == "notice: connections of devices are accepted again")
        fail(code)
        #expect(counters[.acceptingStopped] == 2)
        #expect(lines.all.withLock { $0.count } == 3)
    }

    @Test("While few descriptors are left nothing is accepted, and it goes on by itself")
    func short() {
        channel.pipeline.read()
        #expect(socket.reads == 1)
        for _ in 0..<75 { connections.opened(.userAgents) }
        channel.pipeline.read()
        loop.advanceTime(by: .seconds(60))
        #expect(socket.reads == 1)
        #expect(lines.all.withLock { $0.count } == 1)
        for _ in 0..<10 { connections.closed(.userAgents) }
        loop.advanceTime(by: .milliseconds(200))
        #expect(socket.reads == 2)
        loop.advanceTime(by: .seconds(1))
        #expect(lines.all.withLock { $0.count } == 2)
        #expect(counters[.acceptingStopped] == 1)
    }

    @Test("Connections are counted when they are accepted, and when they end")
    func counted() throws {
        let accepted = EmbeddedChannel(loop: loop)
        channel.pipeline.fireChannelRead(accepted as any Channel)
        #expect(connections[.userAgents].open == 1 && connections[.userAgents].all == 1)
        _ = try accepted.finish()
        #expect(connections[.userAgents].open == 0 && connections[.userAgents].all == 1)
    }

    @Test("Other errors pass and stop nothing")
    func others() {
        fail(ECONNABORTED)
        #expect(throws: IOError.self) { try channel.throwIfErrorCaught() }
        #expect(socket.reads == 1)
        #expect(counters[.acceptingStopped] == 0)
    }
}
