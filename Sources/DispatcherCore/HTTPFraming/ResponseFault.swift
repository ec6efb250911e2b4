/// Why a response is refused: each distinct reason, with a label to count it by.
///
/// The client gets 502 if nothing of the response was sent to it, else its connection is reset; the connection to the server closes.
public enum ResponseFault: UInt8, CaseIterable, Error {
    // Lines
    case incompleteHead
    case headTooLong
    case tooManyFields
    case emptyLines
    case bareCR
    case bareLF
    case controlByte
    case foldedLine
    case emptyName
    case whitespaceInName
    case nameByte
    case missingColon
    // Status line
    case statusLineSyntax
    case versionUnsupported
    case statusCode
    // Length of the body
    case duplicateLength
    case lengthSyntax
    case lengthAndChunked
    case duplicateCoding
    case codingUnknown
    case codingInOldVersion
    case codingForOldClient
    case bodyWithoutContent
    // 101
    case upgradeUnasked
    case upgradeSyntax
    // Chunks
    case chunkSize
    case chunkExtension
    case chunkEnd
    case chunkTrailer
    case chunkLineTooLong
    case trailerTooLong

    /// The reason as a metric's label.
    public var label: StaticString {
        switch self {
        case .incompleteHead: return "incomplete-head"
        case .headTooLong: return "head-too-long"
        case .tooManyFields: return "too-many-fields"
        case .emptyLines: return "empty-lines"
        case .bareCR: return "bare-cr"
        case .bareLF: return "bare-lf"
        case .controlByte: return "control-byte"
        case .foldedLine: return "folded-line"
        case .emptyName: return "empty-name"
        case .whitespaceInName: return "whitespace-in-name"
        case .nameByte: return "name-byte"
        case .missingColon: return "missing-colon"
        case .statusLineSyntax: return "status-line-syntax"
        case .versionUnsupported: return "version-unsupported"
        case .statusCode: return "status-code"
        case .duplicateLength: return "duplicate-length"
        case .lengthSyntax: return "length-syntax"
        case .lengthAndChunked: return "length-and-chunked"
        case .duplicateCoding: return "duplicate-coding"
        case .codingUnknown: return "coding-unknown"
        case .codingInOldVersion: return "coding-in-old-version"
        case .codingForOldClient: return "coding-for-old-client"
        case .bodyWithoutContent: return "body-without-content"
        case .upgradeUnasked: return "upgrade-unasked"
        case .upgradeSyntax: return "upgrade-syntax"
        case .chunkSize: return "chunk-size"
        case .chunkExtension: return "chunk-extension"
        case .chunkEnd: return "chunk-end"
        case .chunkTrailer: return "chunk-trailer"
        case .chunkLineTooLong: return "chunk-line-too-long"
        case .trailerTooLong: return "trailer-too-long"
        }
    }
}
