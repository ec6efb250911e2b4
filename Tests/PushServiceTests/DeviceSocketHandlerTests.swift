import Lab
import PushProtocol
import Testing

@Suite("Push: WebSocket frames")
struct DeviceSocketHandlerTests {
    private func expectClose(_ code: UInt16, sourceLocation: SourceLocation = #_sourceLocation, _ send: (WebSocketClient) -> Void)
        async throws
    {
        try await WorkerHarness.with { harness in
            let device = try await harness.connect()
            send(device.socket)
            try await device.expectClose(code, sourceLocation: sourceLocation)
            let after = try await device.socket.next(seconds: 5)
            #expect(after == nil, sourceLocation: sourceLocation)
            #expect(!device.socket.isOpen, sourceLocation: sourceLocation)
        }
    }

    @Test("Binary frames: 1003")
    func binary() async throws {
        try await expectClose(1003) { $0.send(opcode: 2, bytes: [1, 2, 3]) }
    }

    @Test("Bad UTF-8: 1007")
    func badUTF8() async throws {
        try await expectClose(1007) { $0.send(opcode: 1, bytes: [0x22, 0xff, 0x22]) }
    }

    @Test("A frame over 8 KiB: 1009")
    func oversizeFrame() async throws {
        try await expectClose(1009) { $0.send(opcode: 1, bytes: [UInt8](repeating: 0x20, count: 8193)) }
    }

    @Test("A message over 8 KiB in fragments: 1009")
    func oversizeMessage() async throws {
        try await expectClose(1009) {
            $0.send(opcode: 1, bytes: [UInt8](repeating: 0x20, count: 4096), isLast: false)
            $0.send(opcode: 0, bytes: [UInt8](repeating: 0x20, count: 4096), isLast: false)
            $0.send(opcode: 0, bytes: [0x20])
        }
    }

    @Test("Frames without mask: 1002")
    func unmasked() async throws {
        try await expectClose(1002) { $0.send(opcode: 1, bytes: Array("PING".utf8), isMasked: false) }
    }

    @Test("Unknown opcodes: 1002", arguments: [3, 7, 11, 15] as [UInt8])
    func unknownOpcodes(opcode: UInt8) async throws {
        try await expectClose(1002) { $0.send(opcode: opcode, bytes: []) }
    }

    @Test("A continuation of nothing: 1002")
    func continuation() async throws {
        try await expectClose(1002) { $0.send(opcode: 0, bytes: [0x20]) }
    }

    @Test("A new message within a fragmented one: 1002")
    func interleaved() async throws {
        try await expectClose(1002) {
            $0.send(opcode: 1, bytes: Array("PI".utf8), isLast: false)
            $0.send(opcode: 1, bytes: Array("NG".utf8))
        }
    }

    @Test("A fragmented control frame: 1002")
    func fragmentedControl() async throws {
        try await expectClose(1002) { $0.send(opcode: 9, bytes: [], isLast: false) }
    }

    @Test("A message of 8 KiB in many fragments is taken, with a ping in between")
    func fragments() async throws {
        try await WorkerHarness.with { harness in
            let device = try await harness.connect()
            let text = Array(#"{"messageType":"nonsense"}"#.utf8) + [UInt8](repeating: 0x20, count: 8192 - 26)
            for start in stride(from: 0, to: 8192, by: 64) {
                device.socket.send(opcode: start == 0 ? 1 : 0, bytes: Array(text[start..<start + 64]), isLast: start == 8192 - 64)
                if start == 4096 { device.socket.send(opcode: 9, bytes: [1, 2]) }
            }
            #expect(try await device.socket.next(seconds: 5) == .pong)
            guard case .answer(let answer)? = try await device.next() else {
                Issue.record("it is answered")
                return
            }
            #expect(answer["statusCode"]?.integer == 405)
        }
    }

    @Test("A text frame PING is answered PONG, before registration too")
    func ping() async throws {
        try await WorkerHarness.with { harness in
            let device = try await harness.connect()
            try await device.expectQuiet()
            device.socket.send(opcode: 9, bytes: Array("x".utf8))
            #expect(try await device.socket.next(seconds: 5) == .pong)
        }
    }

    @Test("A close frame is answered with its code")
    func close() async throws {
        try await WorkerHarness.with { harness in
            let device = try await harness.connect()
            device.socket.send(opcode: 8, bytes: [0x0f, 0xa7])
            try await device.expectClose(4007)
        }
    }

    @Test(
        "A malformed close frame is answered with an error",
        arguments: [([0x03], 1002), ([0x03, 0xed], 1002), ([0x03, 0xe8, 0xff], 1007)] as [([UInt8], UInt16)])
    func malformedClose(payload: [UInt8], code: UInt16) async throws {
        try await WorkerHarness.with { harness in
            let device = try await harness.connect()
            device.socket.send(opcode: 8, bytes: payload)
            try await device.expectClose(code)
        }
    }

    @Test("Idle sockets are pinged; one that does not answer is closed; one with a mobilenetwork is left alone")
    func pings() async throws {
        try await WorkerHarness.with(configure: {
            $0.ping = .milliseconds(400)
            $0.pingGrace = .seconds(3)
        }) { harness in
            let server = try harness.userAgents
            let silent = try await WebSocketClient.connect(to: server, answersPings: false)
            let mobile = try await WebSocketClient.connect(to: server, answersPings: false)
            let token = try await harness.token()
            mobile.send(
                #"{"messageType":"registerUA","data":{"uatoken":"\#(token)","interface":{"ip":"1.2.3.4","port":5},"mobilenetwork":{"mcc":"214","mnc":"07"}}}"#
            )
            // Before it registers it is pinged like any other.
            var answer = try await mobile.next(seconds: 5)
            while answer == .ping { answer = try await mobile.next(seconds: 5) }
            #expect(answer == .text(#"{"messageType":"registerUA","status":"REGISTERED","statusCode":200,"pushMode":"ws"}"#))
            let (good, _) = try await harness.device()
            #expect(try await silent.next(seconds: 10) == .ping)
            #expect(try await silent.next(seconds: 10) == nil)
            #expect(!silent.isOpen)
            for _ in 0..<3 { #expect(try await good.socket.next(seconds: 5) == .ping) }
            #expect(mobile.isOpen)
            mobile.send("PING")
            #expect(try await mobile.next(seconds: 5) == .text("PONG"))
            #expect(harness.worker.counters[.socketsClosedSilent] == 1)
        }
    }

    @Test("What was asked before a close frame is answered before it")
    func answersBeforeClose() async throws {
        try await WorkerHarness.with { harness in
            let (device, _) = try await harness.device()
            for _ in 0..<20 { device.socket.send(#"{"messageType":"getRegisteredWA"}"#) }
            device.socket.send(opcode: 8, bytes: [0x03, 0xe8])
            device.socket.send(#"{"messageType":"getRegisteredWA"}"#)
            for _ in 0..<20 {
                guard case .answer(let answer)? = try await device.next() else {
                    Issue.record("every command before the close frame has an answer")
                    return
                }
                #expect(answer["statusCode"] == 200)
            }
            try await device.expectClose(1000)
        }
    }

    @Test("Pings come at their interval, however long an answer may take")
    func pingInterval() async throws {
        try await WorkerHarness.with(configure: {
            $0.ping = .milliseconds(300)
            $0.pingGrace = .seconds(30)
        }) { harness in
            let (device, _) = try await harness.device()
            let begin = ContinuousClock.now
            for _ in 0..<5 { #expect(try await device.socket.next(seconds: 10) == .ping) }
            #expect(ContinuousClock.now - begin < .seconds(15))
        }
    }

    @Test("With pings off nothing is sent")
    func pingsOff() async throws {
        try await WorkerHarness.with(configure: { $0.ping = nil }) { harness in
            let device = try await harness.connect()
            #expect(try await device.socket.next(within: .milliseconds(300)) == nil)
            #expect(device.socket.isOpen)
        }
    }
}
