import Foundation
import NIOCore
import NIOHTTP1

/// What a dispatcher's admin listener answers to its operator's tools (docs/metrics.md).
public struct AdminClient: Sendable {
    /// Where the admin listener is unless the configuration says otherwise.
    public static let standardURL = "http://127.0.0.1:9900"

    private let url: ServerURL

    /// - Parameter url: of the admin listener.
    public init(url: String) throws(LabError) { self.url = try ServerURL(url) }

    /// The figures of `/status.json`.
    public func status() async throws -> DispatcherStatus {
        let answer = try await request(.GET, "/status.json")
        do {
            return try JSONDecoder().decode(DispatcherStatus.self, from: Data(answer.body))
        } catch {
            throw LabError("\(url.authority): what /status.json says cannot be read: \(error); is a dispatcher of this version there?")
        }
    }

    /// Changes a server: one key at least of `state`, `limit`, `weight`, `band`.
    /// - Returns: what it is like now, a line of JSON.
    public func change(pool: String, server: String, to body: [String: any Sendable]) async throws -> String {
        let bytes = Array(try JSONSerialization.data(withJSONObject: body, options: [.sortedKeys]))
        let answer = try await request(.POST, "/pools/\(Self.escaped(pool))/servers/\(Self.escaped(server))", body: bytes)
        return answer.text.trimmingCharacters(in: .newlines)
    }

    /// Has the configuration file loaded again.
    /// - Returns: what is otherwise now, a line of JSON.
    public func reload() async throws -> String {
        try await request(.POST, "/reload").text.trimmingCharacters(in: .newlines)
    }

    private func request(_ method: HTTPMethod, _ path: String, body: [UInt8]? = nil) async throws -> HTTPClientAnswer {
        let connection = try await HTTPClientConnection.connect(to: url)
        do {
            let answer = try await connection.request(method, path: path, body: body, within: .seconds(10))
            await connection.close()
            guard answer.status == 200 else { throw LabError("the dispatcher refused: \(answer.status) \(Self.reason(answer))") }
            return answer
        } catch {
            await connection.close()
            throw error
        }
    }

    private static func escaped(_ part: String) -> String {
        part.addingPercentEncoding(withAllowedCharacters: .alphanumerics.union(CharacterSet(charactersIn: "-._:"))) ?? part
    }

    private static func reason(_ answer: HTTPClientAnswer) -> String {
        let object = try? JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any]
        return object?["error"] as? String ?? answer.text.trimmingCharacters(in: .newlines)
    }
}
