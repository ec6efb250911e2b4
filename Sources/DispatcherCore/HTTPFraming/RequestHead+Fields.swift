extension RequestHead {
    /// What the fields read so far have said.
    struct Fields {
        var options = ConnectionOptions()
        var sawHost = false
        var sawLength = false
        var sawCoding = false
        var sawUpgrade = false
        var sawExpect = false
        var upgradeIsWebSocket = false
        var expectsContinue = false

        /// Takes in a field that framing depends on; says what is wrong with it.
        @inline(__always)
        mutating func add(
            _ known: KnownField, _ line: FieldLine, _ bytes: UnsafeRawBufferPointer, request: inout RequestHead
        ) -> RequestFault? {
            let start = line.valueStart
            let end = line.valueEnd
            switch known {
            case .host:
                guard !sawHost else { return .duplicateHost }
                sawHost = true
                guard HostSyntax.isValid(bytes, start, end) else { return .hostSyntax }
                if !request.flags.contains(.hasHost) {  // the host of an absolute target wins (RFC 9112 3.2.2)
                    request.hostRange = HeadRange(start, end)
                    request.flags.insert(.hasHost)
                }
            case .contentLength:
                guard !sawLength else { return .duplicateLength }
                sawLength = true
                guard let length = HTTPBytes.decimal(bytes, start, end) else { return .lengthSyntax }
                request.framing = .length(length)
            case .transferEncoding:
                guard !sawCoding else { return .duplicateCoding }
                sawCoding = true
                guard HTTPBytes.equal(bytes, start, end, "chunked") else { return Self.codingFault(bytes, start, end) }
                if !sawLength { request.framing = .chunked }
            case .connection:
                options.add(bytes, start, end)
            case .expect:
                guard !sawExpect, HTTPBytes.equal(bytes, start, end, "100-continue") else { return .expectation }
                sawExpect = true
                expectsContinue = true
            case .upgrade:
                upgradeIsWebSocket = !sawUpgrade && HTTPBytes.equal(bytes, start, end, "websocket")
                sawUpgrade = true
            case .forwardedFor:
                request.flags.insert(.hasForwardedFor)
            case .maxForwards:
                guard request.method == .options || request.method == .trace else { return nil }
                guard !request.flags.contains(.countsForwards), let left = HTTPBytes.decimal(bytes, start, end) else {
                    return .maxForwards
                }
                guard left > 0 else { return .maxForwardsReached }
                request.flags.insert(.countsForwards)
            case .other, .keepAlive, .proxyConnection, .te, .trailer, .http2Settings, .forwardedProto, .forwarded, .twin:
                break
            }
            return nil
        }

        /// What is wrong with a Transfer-Encoding that is not `chunked`: with other codings before a final `chunked` the request
        /// can be delimited but not decoded (501, RFC 9112 6.1); any other value leaves its length unknown (400, RFC 9112 6.3).
        @inline(never)
        private static func codingFault(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> RequestFault {
            var members = ListMembers(bytes, start, end)
            var chunkedAt = -1
            var count = 0
            while let member = members.next() {
                guard chunkedAt < 0, ListMembers.isToken(bytes, member.start, member.end) else { return .codingSyntax }
                if HTTPBytes.equal(bytes, member.start, member.end, "chunked") { chunkedAt = count }
                count &+= 1
            }
            return chunkedAt > 0 && !members.sawEmpty ? .codingUnknown : .codingSyntax
        }
    }
}

extension UnsafeRawBufferPointer {
    /// The bytes of a constant.
    @inline(__always)
    static func of(_ text: StaticString) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }
}
