import Foundation

/// What the admin listener answers.
struct AdminResponse: Equatable {
    var status: Int
    var contentType: String
    var allow: String?
    var body: [UInt8]

    static func text(_ status: Int, _ text: String, contentType: String = "text/plain; charset=utf-8") -> AdminResponse {
        AdminResponse(status: status, contentType: contentType, body: Array(text.utf8))
    }

    static func json(_ status: Int, _ body: [UInt8]) -> AdminResponse {
        AdminResponse(status: status, contentType: "application/json", body: body)
    }

    /// A value as one line of JSON, keys sorted.
    static func encoding(_ status: Int, _ value: some Encodable) -> AdminResponse {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return json(status, Array((try? encoder.encode(value)) ?? Data("{}".utf8)) + [0x0A])
    }

    /// `{"error": REASON}`.
    static func error(_ status: Int, _ reason: String) -> AdminResponse {
        encoding(status, ["error": reason])
    }

    static func notAllowed(_ method: String) -> AdminResponse {
        var response = text(405, "only \(method) is answered here\n")
        response.allow = method
        return response
    }
}
