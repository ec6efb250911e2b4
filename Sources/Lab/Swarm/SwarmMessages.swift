import NIOCore
import PushProtocol

/// The bodies of a swarm's messages.
///
/// A signature takes a thousand times longer than the rest, so a number of texts are signed beforehand and used in turn. What tells the
/// messages apart is `id`, which is not signed.
struct SwarmMessages {
    /// How many texts there are.
    private static let texts = 256

    private let ends: [ByteBuffer]

    /// Signs the texts, each of `size` bytes, with `key`.
    init(key: RSAPrivateKey, size: Int) {
        ends = (0..<Self.texts).map { number in
            let text = String("\(number) ".appending(String(repeating: "message ", count: size / 8 + 1)).prefix(max(1, size)))
            let signature = Base64.encode(key.sign(Array(text.utf8)))
            return ByteBuffer(string: #","message":"\#(text)","signature":"\#(signature)"}"#)
        }
    }

    /// The body of message `number` with this `id`.
    func body(_ number: Int, id: Int) -> ByteBuffer {
        var body = ByteBuffer(string: #"{"messageType":"notification","id":\#(id)"#)
        body.writeImmutableBuffer(ends[number % ends.count])
        return body
    }
}
