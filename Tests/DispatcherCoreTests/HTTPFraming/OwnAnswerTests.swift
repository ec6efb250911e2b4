import Testing

@testable import DispatcherCore

@Suite struct OwnAnswerTests {
    private static func write(
        _ status: Int, close: Bool, minorVersion: UInt8 = 1, isHead: Bool = false, retryAfter: UInt32? = nil,
        capacity: Int = OwnAnswer.capacity
    ) -> String {
        var memory = [UInt8](repeating: 0, count: capacity)
        let count = memory.withUnsafeMutableBytes {
            OwnAnswer.write(status: status, close: close, minorVersion: minorVersion, isHead: isHead, retryAfter: retryAfter, into: $0)
        }
        return Array(memory[..<count]).latin1
    }

    @Test func wholeAnswers() {
        #expect(
            Self.write(400, close: true)
                == "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 16\r\nConnection: close\r\n\r\n400 Bad Request\n"
        )
        #expect(
            Self.write(503, close: false, isHead: true, retryAfter: 5)
                == "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 24\r\nRetry-After: 5\r\n\r\n")
        #expect(Self.write(100, close: false) == "HTTP/1.1 100 Continue\r\n\r\n")
        #expect(Self.write(404, close: false, minorVersion: 0).contains("\r\nConnection: keep-alive\r\n"))
    }

    @Test(arguments: [100, 200, 204, 304, 400, 408, 413, 414, 417, 429, 431, 501, 502, 503, 504, 505, 999, -1, Int.max], [true, false])
    func theyParse(status: Int, close: Bool) throws {
        for isHead in [true, false] {
            let text = Self.write(status, close: close, isHead: isHead, retryAfter: .max)
            let head = try #require(Framing.response(text, isHead: isHead))
            #expect(head.keepAlive == !close || head.isInterim)
            let body = text.utf8.count - Int(head.headLength)
            switch head.framing {
            case .none: #expect(body == 0)
            case .length(let length): #expect(UInt64(body) == length)
            case .chunked, .untilClose: Issue.record("an answer of ours has a length")
            }
        }
    }

    @Test func everyFaultsAnswerHasAReason() {
        for fault in RequestFault.allCases { #expect(!Self.write(fault.status, close: true).contains("\(fault.status) \r\n")) }
    }

    @Test func nothingIsWrittenBeyondTheMemory() {
        let count = Self.write(431, close: true, retryAfter: .max).utf8.count
        #expect(count > 0 && count <= OwnAnswer.capacity)
        for capacity in 0..<count { #expect(Self.write(431, close: true, retryAfter: .max, capacity: capacity).isEmpty) }
    }
}
