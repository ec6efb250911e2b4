import NIOCore
import NIOHTTP1
import Testing

@testable import PushService

@Suite("Push: client addresses and rates")
struct ClientAddressTests {
    @Test(
        "Networks contain what they should",
        arguments: [
            ("10.0.0.0/8", "10.1.2.3", true), ("10.0.0.0/8", "11.0.0.0", false), ("10.77.2.200", "10.77.2.200", true),
            ("10.77.2.200", "10.77.2.201", false), ("0.0.0.0/0", "1.2.3.4", true), ("0.0.0.0/0", "::1", false), ("::/0", "1.2.3.4", true),
            ("fd77:2::/64", "fd77:2::200", true), ("fd77:2::/64", "fd77:2:0:1::1", false), ("::ffff:10.0.0.0/104", "10.9.9.9", true),
            ("127.0.0.1/32", "::ffff:127.0.0.1", true),
        ])
    func networks(network: String, address: String, isInside: Bool) throws {
        #expect(try #require(IPNetwork(network)).contains(try #require(IPAddress(address))) == isInside)
    }

    @Test(
        "Bad networks are refused",
        arguments: ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "fd00::/129", "x/8", "10.0.0.0/8/8", "host"])
    func badNetworks(text: String) {
        #expect(IPNetwork(text) == nil)
    }

    @Test(
        "The client is the last element that is not trusted",
        arguments: [
            ([], "10.0.0.1"), (["192.0.2.1"], "192.0.2.1"), (["192.0.2.1, 192.0.2.2"], "192.0.2.2"), (["192.0.2.1, 10.0.0.7"], "192.0.2.1"),
            (["192.0.2.1", "192.0.2.2,10.0.0.7"], "192.0.2.2"), (["192.0.2.1:5050"], "192.0.2.1"), (["[2001:db8::1]:80"], "2001:db8::1"),
            (["2001:db8::1"], "2001:db8::1"), (["unknown"], "10.0.0.1"), (["192.0.2.1, unknown, 10.0.0.7"], "10.0.0.7"),
            (["10.0.0.9, 10.0.0.8"], "10.0.0.9"), (["::ffff:192.0.2.1"], "192.0.2.1"),
        ] as [([String], String)])
    func forwarded(fields: [String], client: String) throws {
        let headers = HTTPHeaders(fields.map { ("X-Forwarded-For", $0) })
        let trusted = [try #require(IPNetwork("10.0.0.0/8"))]
        let found = ClientAddress.of(peer: try #require(IPAddress("10.0.0.1")), headers: headers, trusted: trusted)
        #expect(found == IPAddress(client))
        let stranger = try #require(IPAddress("203.0.113.1"))
        #expect(ClientAddress.of(peer: stranger, headers: headers, trusted: trusted) == stranger)
    }

    @Test("A bucket lets the burst through, then the rate")
    func bucket() throws {
        let limiter = RateLimiter(RateLimit(rate: 10, burst: 3))
        let client = try #require(IPAddress("192.0.2.1"))
        for _ in 0..<3 { #expect(limiter.refuses(client, now: .uptimeNanoseconds(1_000_000_000)) == nil) }
        #expect(limiter.refuses(client, now: .uptimeNanoseconds(1_000_000_000)) == 1)
        #expect(limiter.refuses(client, now: .uptimeNanoseconds(1_099_000_000)) == 1)
        #expect(limiter.refuses(client, now: .uptimeNanoseconds(1_101_000_000)) == nil)
        #expect(limiter.refuses(try #require(IPAddress("192.0.2.2")), now: .uptimeNanoseconds(1_101_000_000)) == nil)
        for _ in 0..<3 { #expect(limiter.refuses(client, now: .uptimeNanoseconds(9_000_000_000)) == nil) }
        #expect(limiter.refuses(client, now: .uptimeNanoseconds(9_000_000_000)) == 1)
    }

    @Test("IPv6 clients share a bucket by /64, and mapped IPv4 ones are IPv4")
    func prefix() throws {
        let limiter = RateLimiter(RateLimit(rate: 0.1, burst: 1))
        let now = NIODeadline.uptimeNanoseconds(1)
        #expect(limiter.refuses(try #require(IPAddress("2001:db8::1")), now: now) == nil)
        #expect(limiter.refuses(try #require(IPAddress("2001:db8::2")), now: now) == 10)
        #expect(limiter.refuses(try #require(IPAddress("2001:db8:0:1::1")), now: now) == nil)
        #expect(limiter.refuses(try #require(IPAddress("1.2.3.4")), now: now) == nil)
        #expect(limiter.refuses(try #require(IPAddress("::ffff:1.2.3.4")), now: now) == 10)
        #expect(limiter.refuses(try #require(IPAddress("1.2.3.5")), now: now) == nil)
    }

    @Test("The number of buckets is bounded; one in use is not forgotten")
    func bounded() throws {
        let limiter = RateLimiter(RateLimit(rate: 0.001, burst: 1), bucketLimit: 100)
        let steady = try #require(IPAddress("192.0.2.1"))
        #expect(limiter.refuses(steady, now: .uptimeNanoseconds(1)) == nil)
        for index in 0..<1000 {
            #expect(limiter.refuses(try #require(IPAddress("10.0.\(index / 250).\(index % 250)")), now: .uptimeNanoseconds(1)) == nil)
            #expect(limiter.refuses(steady, now: .uptimeNanoseconds(1)) != nil)
            #expect(limiter.bucketCount <= 100)
        }
    }
}
